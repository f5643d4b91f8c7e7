//! The page: one file, no script, nothing from elsewhere. Whatever comes from the trail is text, and escaped.

use std::fmt::Write as _;

use super::super::verify::{Finding, Verdict};
use super::{Node, State, Story};
use crate::clock;
use crate::text::sanitise_up_to;

const STYLE: &str = include_str!("page.css");

/// The whole page. `made` is when, in seconds since 1970.
pub fn html(story: &Story, verdict: &Verdict, made: u64) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    );
    let _ = write!(page, "<title>Audit report, {}</title><style>{STYLE}</style></head><body><main>", clock::utc(made));
    let _ = write!(
        page,
        "<header><h1>Audit report</h1><p class=\"quiet\">cryftgo-tee {}, made {}; times in UTC</p></header>",
        env!("CARGO_PKG_VERSION"),
        clock::utc(made)
    );
    chain_verdict(&mut page, verdict);
    for (chain, node) in story.nodes() {
        section(&mut page, chain, node);
    }
    if story.left_out() > 0 {
        let _ = write!(
            page,
            "<section><p>{} entries of further chains are not shown: more than {} do not fit on a page. All were \
             looked at for the verdict above.</p></section>",
            story.left_out(),
            story.nodes().len()
        );
    }
    page.push_str(
        "<footer class=\"quiet\"><p>The service tells what it does; this page tells what its trail says. That the trail is \
         whole was verified as stated above. Whoever is root on a host can stop the service and what it tells, and can \
         write a trail of his own up to the next checkpoint that somebody else has.</p></footer></main></body></html>\n",
    );
    page
}

fn chain_verdict(page: &mut String, verdict: &Verdict) {
    let (class, word) = headline(verdict);
    let _ = write!(page, "<section class=\"verdict {class}\"><h2>{word}</h2><ul>");
    for chain in &verdict.chains {
        let host = chain.host.as_deref().map_or_else(String::new, |host| format!(" of {}", escape(host)));
        let signed = match (chain.checkpoints, chain.signed_up_to) {
            (0, _) => "no checkpoint".to_owned(),
            (count, None) => {
                format!("{}, signatures not verified (give <code>--node-id</code>)", counted(count, "checkpoint"))
            }
            (count, Some(seq)) => {
                let at = chain.signed_at.as_ref().map_or_else(String::new, |time| format!(" at {}", escape(time)));
                format!("{}, signed up to entry {seq}{at}", counted(count, "checkpoint"))
            }
        };
        let _ = write!(
            page,
            "<li>Chain <code>{}</code>{host}: {}, {} to {}; {signed}</li>",
            escape(&chain.chain),
            counted(chain.entries, "entry"),
            chain.first,
            chain.last
        );
        for gap in &chain.crash_gaps {
            let _ = write!(page, "<li>Entries {} to {} were lost in a crash of the host</li>", gap.from, gap.to);
        }
    }
    for finding in verdict.findings.iter().take(20) {
        about(page, finding, verdict);
    }
    if verdict.wrong > 20 {
        let _ = write!(page, "<li>and {} more</li>", verdict.wrong - 20);
    }
    for (uid, count) in &verdict.foreign {
        let _ = write!(page, "<li>{count} entries were sent by user id {uid}, and do not count</li>");
    }
    if verdict.foreign_of_more > 0 {
        let _ = write!(page, "<li>{} more were sent by further users, and do not count</li>", verdict.foreign_of_more);
    }
    if verdict.left_out > 0 {
        let _ =
            write!(page, "<li><strong>{} entries of further chains were NOT VERIFIED</strong></li>", verdict.left_out);
    }
    page.push_str("</ul></section>");
}

fn headline(verdict: &Verdict) -> (&'static str, String) {
    let findings = counted(verdict.wrong, "finding");
    match (verdict.is_good(), verdict.entries(), verdict.chains.len()) {
        (false, _, 0 | 1) => ("bad", format!("The trail is NOT whole: {findings}")),
        (false, _, count) => ("bad", format!("Of {count} trails, NOT all are whole: {findings}")),
        (true, 0, _) => ("bad", "There is nothing in it".to_owned()),
        (true, _, 0 | 1) => ("good", "The trail is whole".to_owned()),
        (true, _, count) => ("good", format!("All of {count} trails are whole")),
    }
}

/// A finding, with the host that it is of; where it stands comes last, for whoever looks it up.
fn about(page: &mut String, finding: &Finding, verdict: &Verdict) {
    let entry = finding.seq.map_or_else(|| "An entry".to_owned(), |seq| format!("Entry {seq}"));
    let chain = finding.chain.map(|chain| chain.to_string());
    let of = chain.as_ref().map_or_else(String::new, |chain| {
        let host =
            verdict.chains.iter().find(|report| report.chain == *chain).and_then(|report| report.host.as_deref());
        host.map_or_else(|| format!(" of chain {}", escape(chain)), |host| format!(" of {}", escape(host)))
    });
    let _ = write!(page, "<li class=\"wrong\"><strong>{entry}{of}</strong>: {}", escape(&finding.problem.to_string()));
    if let Some(time) = &finding.place.time {
        let _ = write!(page, "<br><span class=\"quiet\">{}</span>", escape(time));
    }
    if let Some(cursor) = &finding.place.cursor {
        let _ = write!(page, "<br><code class=\"quiet\"><span>journalctl --cursor=</span>'{}'</code>", escape(cursor));
    }
    page.push_str("</li>");
}

/// `1 entry`, `2 entries`.
fn counted(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}

fn section(page: &mut String, chain: &str, node: &Node) {
    let name = if node.host.is_empty() { chain } else { &node.host };
    let (class, word) = word(node.state);
    let _ = write!(page, "<section><h2>{}</h2><p class=\"state {class}\"><strong>{word}</strong> ", escape(name));
    // The table has all of it.
    let last_word = sanitise_up_to(&node.last_word, 200);
    let _ = write!(page, "at {}: {}</p>", time(node.last), escape(&last_word));
    figures(page, node);
    timeline(page, node);
    page.push_str("<h3>Identity</h3><dl>");
    for (term, value) in [
        ("Node ID", &node.node_id),
        ("Sidecar", &node.version),
        ("Image", &node.digest),
        ("Accepted by", &node.reference),
        ("TLS key", &node.tls),
        ("BLS key", &node.bls),
    ] {
        let value = if value.is_empty() { "not in this trail" } else { value };
        let _ = write!(page, "<dt>{term}</dt><dd><code>{}</code></dd>", escape(value));
    }
    page.push_str("</dl>");
    notable(page, node);
    page.push_str("<h3>Events by kind</h3><p class=\"kinds\">");
    for (kind, count) in &node.counts {
        let _ = write!(page, "<span>{}&nbsp;<b>{count}</b></span> ", escape(kind));
    }
    page.push_str("</p></section>");
}

fn figures(page: &mut String, node: &Node) {
    let share = |states: &[State]| {
        let thousandths = node.share(states);
        format!("{}.{}&nbsp;%", thousandths / 10, thousandths % 10)
    };
    let count = |kinds: &[&str]| kinds.iter().filter_map(|kind| node.counts.get(*kind)).sum::<u64>().to_string();
    page.push_str("<div class=\"figures\">");
    for (figure, of) in [
        (share(&[State::Ready]), "ready: serving, watched, signer there"),
        (share(&[State::Ready, State::Degraded]), "under verification"),
        (share(&[State::Unknown]), "of which nothing is known"),
        (count(&["refused", "locked", "reload-refused"]), "refusals and locks"),
        (count(&["finding", "tamper-pending"]), "findings"),
        (node.entries.to_string(), "events"),
    ] {
        let _ = write!(page, "<div><b>{figure}</b><span>{of}</span></div>");
    }
    let _ = write!(page, "</div><p class=\"quiet\">From {} to {}.</p>", time(node.first), time(node.last));
}

/// Wide and flat; a mark stands for a warning, an error or worse.
fn timeline(page: &mut String, node: &Node) {
    const WIDTH: u64 = 10_000;
    let all = (node.last - node.first).max(1);
    let at = |time: u64| (time.saturating_sub(node.first)) as u128 * u128::from(WIDTH) / u128::from(all);
    let _ = write!(
        page,
        "<h3>Timeline</h3><svg role=\"img\" aria-label=\"States over time\" viewBox=\"0 0 {WIDTH} 700\" preserveAspectRatio=\"none\">"
    );
    for span in &node.spans {
        let (class, word) = word(span.state);
        let (x, end) = (at(span.from), at(span.to));
        let _ = write!(
            page,
            "<rect class=\"{class}\" x=\"{x}\" y=\"200\" width=\"{}\" height=\"500\"><title>{word}, {} to {}</title></rect>",
            (end - x).max(12),
            time(span.from),
            time(span.to)
        );
    }
    for event in &node.notable {
        let class = if event.priority <= 3 { "bad" } else { "warn" };
        let _ = write!(
            page,
            "<rect class=\"{class}\" x=\"{}\" y=\"0\" width=\"24\" height=\"160\"><title>{} {}</title></rect>",
            at(event.at),
            time(event.at),
            escape(&event.kind)
        );
    }
    let _ =
        write!(page, "</svg><p class=\"axis\"><span>{}</span><span>{}</span></p>", time(node.first), time(node.last));
    page.push_str("<p class=\"legend\">");
    for state in [State::Ready, State::Degraded, State::Starting, State::Stopped, State::Refused, State::Unknown] {
        let (class, word) = word(state);
        let _ = write!(page, "<span><i class=\"{class}\"></i>{word}</span>");
    }
    page.push_str("</p>");
    if node.spans_left_out > 0 {
        let _ = write!(page, "<p>{} earlier changes are not drawn.</p>", node.spans_left_out);
    }
}

fn notable(page: &mut String, node: &Node) {
    page.push_str("<h3>Refusals, findings and warnings</h3>");
    if node.notable.is_empty() {
        page.push_str("<p>None.</p>");
        return;
    }
    if node.notable_left_out > 0 {
        let _ = write!(
            page,
            "<p>The last {}; {} earlier ones are not shown.</p>",
            node.notable.len(),
            node.notable_left_out
        );
    }
    page.push_str("<table><thead><tr><th>Time</th><th>Event</th><th>What it says</th></tr></thead><tbody>");
    for event in node.notable.iter().rev() {
        let (class, word) = match event.priority {
            0..=2 => ("bad", "critical"),
            3 => ("bad", "error"),
            _ => ("warn", "warning"),
        };
        let _ = write!(
            page,
            "<tr class=\"{class}\"><td>{}</td><td>{}<br><em>{word}</em></td><td>{}</td></tr>",
            time(event.at),
            escape(&event.kind),
            escape(&event.message)
        );
    }
    page.push_str("</tbody></table>");
}

const fn word(state: State) -> (&'static str, &'static str) {
    match state {
        State::Ready => ("good", "Ready"),
        State::Degraded => ("warn", "Degraded"),
        State::Starting => ("starting", "Starting"),
        State::Stopped => ("stopped", "Stopped"),
        State::Refused => ("bad", "Refused or locked"),
        State::Unknown => ("unknown", "Unknown"),
    }
}

fn time(micros: u64) -> String {
    clock::utc(micros / 1_000_000).replace('T', " ").replace('Z', "")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
