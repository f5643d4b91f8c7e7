use super::super::entry::Reader;
use super::super::verify::Verification;
use super::*;

fn entry(kind: &str, time: &str, more: &str) -> String {
    format!(
        "CRYFTTEE_EVENT={kind}\nAUDIT_CHAIN={}\nAUDIT_TIME=2026-11-22T{time}.000000Z\n_UID=998\n_HOSTNAME=node\n{more}\n\n",
        "3".repeat(32)
    )
}

fn story(text: &str) -> Story {
    let (mut story, mut reader) = (Story::default(), Reader::new(text.as_bytes()));
    while let Some(entry) = reader.next().expect("export") {
        story.add(entry);
    }
    story
}

fn page(text: &str) -> String {
    html(&story(text), &Verification::new(None, None).finish(None), 0)
}

#[test]
fn text_in_entries_is_never_markup_anywhere_on_the_page() {
    const HOSTILE: &str = "</title></style><script>alert('1')</script>\"&";
    let fields =
        ["MESSAGE", "CRYFTTEE_NODE_ID", "CRYFTTEE_REFERENCE", "CRYFTTEE_DIGEST", "CRYFTTEE_VERSION", "CRYFTTEE_PUBKEY"];
    let more: String = fields.iter().map(|field| format!("{field}={HOSTILE}\n")).collect();
    let more = format!("{more}PRIORITY=2");
    let mut text = String::new();
    for kind in ["ready", "attested", "key-known", "refused", HOSTILE] {
        text += &entry(kind, "10:00:00", &more);
    }
    let page = page(&text.replace("_HOSTNAME=node", &format!("_HOSTNAME={HOSTILE}")));
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{page}");
    assert!(!page.contains("<script") && page.matches("</style>").count() == 1 && page.matches("</title>").count() > 1);
    assert!(!page.contains("alert('1')"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = page(&entry("ready", "10:00:00", "MESSAGE=Ready"));
    for word in ["http://", "https://", "<script", "<link", "<img", "url(", "@import", "src="] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn time_is_counted_for_the_state_that_it_was_spent_in() {
    let text = [
        entry("trail-opened", "10:00:00", "CRYFTTEE_CLEAN=yes"),
        entry("measured", "10:00:00", ""),
        entry("ready", "10:00:10", ""),
        entry("degraded", "10:00:50", "PRIORITY=3"),
        entry("recovered", "10:01:00", ""),
        // Killed, nobody knows when, and started again.
        entry("trail-opened", "10:01:20", "CRYFTTEE_CLEAN=no\nPRIORITY=4"),
        entry("ready", "10:01:30", ""),
        entry("stopped", "10:01:40", ""),
    ]
    .concat();
    let story = story(&text);
    let node = story.nodes().values().next().expect("one");
    assert_eq!(node.share(&[State::Ready]), 500);
    assert_eq!(node.share(&[State::Ready, State::Degraded]), 600);
    assert_eq!(node.share(&[State::Unknown]), 200);
    assert_eq!(node.share(&[State::Starting]), 200);
    assert_eq!((node.state, node.entries, node.notable.len()), (State::Stopped, 8, 2));
}

#[test]
fn a_clock_that_is_set_back_and_other_users_entries_count_for_nothing() {
    let text = entry("ready", "10:00:10", "")
        + &entry("stopped", "09:00:00", "")
        + &entry("locked", "11:00:00", "").replace("_UID=998", "_UID=1000");
    let story = story(&text);
    let node = story.nodes().values().next().expect("one");
    assert_eq!((node.state, node.entries, node.last - node.first), (State::Stopped, 2, 0));
}

#[test]
fn memory_is_bounded_and_what_is_left_out_is_counted() {
    let mut text = String::new();
    for number in 0..3000_u32 {
        let time = format!("{:02}:{:02}:{:02}", number / 3600, number / 60 % 60, number % 60);
        text += &entry(if number % 2 == 0 { "ready" } else { "refused" }, &time, "PRIORITY=2\nMESSAGE=no");
    }
    let story = story(&text);
    let node = story.nodes().values().next().expect("one");
    assert_eq!((node.spans.len(), node.notable.len()), (MOST_SPANS, MOST_NOTABLE));
    assert_eq!((node.spans_left_out, node.notable_left_out), (999, 2700));
}

#[test]
fn more_nodes_than_fit_on_a_page_are_counted_and_kinds_that_nobody_knows_are_bounded() {
    let mut text = String::new();
    for number in 0..MOST_NODES + 2 {
        text += &entry("ready", "10:00:00", "").replace(&"3".repeat(32), &format!("{number:032}"));
    }
    for number in 0..MOST_KINDS + 5 {
        text += &entry(&format!("kind-{number}"), "10:00:01", "").replace(&"3".repeat(32), &"0".repeat(32));
    }
    let story = story(&text);
    assert_eq!((story.nodes().len(), story.left_out()), (MOST_NODES, 2));
    assert_eq!(story.nodes()[&"0".repeat(32)].counts.len(), MOST_KINDS);
    let page = html(&story, &Verification::new(None, None).finish(None), 0);
    assert!(page.contains("2 entries of further chains are not shown"));
}

/// A page of one chain whose entries are no trail, so that each is a finding.
fn wrong(text: &str) -> String {
    let mut verification = Verification::new(None, None);
    let mut reader = Reader::new(text.as_bytes());
    while let Some(entry) = reader.next().expect("export") {
        verification.add(entry);
    }
    html(&story(text), &verification.finish(None), 0)
}

#[test]
fn the_headline_counts_findings_and_each_names_its_entry_and_where_to_look_it_up() {
    assert!(page("").contains("<h2>There is nothing in it</h2>"));
    let page = wrong(&entry("ready", "10:00:00", "AUDIT_SEQ=7\n__CURSOR=s=<b>;i=1"));
    assert!(page.contains("<h2>The trail is NOT whole: 1 finding</h2>"), "{page}");
    assert!(page.contains("<strong>Entry 7 of chain 3333"), "{page}");
    assert!(page.contains("journalctl --cursor=</span>'s=&lt;b&gt;;i=1'"), "{page}");
    let two = wrong(&(entry("ready", "10:00:00", "AUDIT_SEQ=7") + &entry("ready", "10:00:00", "AUDIT_SEQ=8")));
    assert!(two.contains("NOT whole: 2 findings"), "{two}");
}

#[test]
fn a_last_word_of_any_length_leaves_room_for_the_figures() {
    let page = page(&entry("degraded", "10:00:00", &format!("MESSAGE={}", "x".repeat(1000))));
    let (_, rest) = page.split_once("class=\"state").expect("the state");
    let (state, _) = rest.split_once("</p>").expect("its end");
    assert!(state.len() < 300 && state.contains('…'), "{state}");
}

/// WCAG 2: text of this size needs 4.5 to 1.
#[test]
fn what_is_text_can_be_read_on_its_paper_in_each_of_the_three_schemes() {
    let light = |hex: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")) / 255.0;
            if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    };
    let schemes: Vec<&str> = include_str!("page.css").split(":root{").skip(1).collect();
    assert_eq!(schemes.len(), 3);
    for scheme in schemes {
        let (colours, _) = scheme.split_once('}').expect("its end");
        let colour = |name: &str| {
            let (_, rest) =
                colours.split_once(&format!("--{name}:#")).unwrap_or_else(|| panic!("no {name}: {colours}"));
            let hex = rest.split([';', '}']).next().expect("a colour");
            if hex.len() == 3 { hex.chars().flat_map(|digit| [digit, digit]).collect() } else { hex.to_owned() }
        };
        let paper = light(&colour("paper"));
        for text in ["ink", "quiet", "bad", "warn-ink"] {
            let ink = light(&colour(text));
            let contrast = (paper.max(ink) + 0.05) / (paper.min(ink) + 0.05);
            assert!(contrast >= 4.5, "{text}: {contrast:.2}: {colours}");
        }
    }
}
