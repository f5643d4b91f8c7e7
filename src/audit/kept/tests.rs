use super::super::chain::{ChainId, Link, Moment, seal};
use super::*;

fn entry(last: Link, message: &str) -> Waiting {
    let moment = Moment { boot: "b".repeat(32), monotonic: 1, wall: 2 };
    Waiting { sealed: seal(last, &moment, &[("MESSAGE", message.to_owned())]), since: 7 }
}

#[test]
fn a_head_comes_out_as_it_went_in_and_nothing_else_is_read_as_one() {
    let folder = tempfile::tempdir().expect("folder");
    let kept = Kept::open(folder.path()).expect("open");
    assert_eq!(kept.head().expect("read"), Found::Nothing);
    let mut head = Head::new(ChainId::new([7; 16]));
    kept.save(&head).expect("save");
    head.link = entry(head.link, "x").sealed.link;
    head.run = Run::Open;
    kept.save(&head).expect("save");
    assert_eq!(kept.head().expect("read"), Found::Head(head.clone()));
    assert_eq!(look(folder.path()).expect("look").head, Found::Head(head.clone()));
    let good = head.to_string();
    for bad in [&good[1..], &good[..good.len() - 1], &good.replace("open", "shot"), &format!("{good}x"), "\n"] {
        std::fs::write(folder.path().join("audit/head"), bad).expect("write");
        assert_eq!(kept.head().expect("read"), Found::Damaged, "{bad}");
    }
}

#[test]
fn a_spool_that_a_crash_cut_anywhere_gives_its_whole_entries() {
    let folder = tempfile::tempdir().expect("folder");
    let kept = Kept::open(folder.path()).expect("open");
    let first = entry(Link::genesis(ChainId::new([7; 16])), "first");
    let second = entry(first.sealed.link, "second");
    kept.spool(std::slice::from_ref(&first)).expect("spool");
    let one = kept.spooled().expect("length");
    kept.spool(std::slice::from_ref(&second)).expect("spool");
    let two = kept.spooled().expect("length");
    let found = kept.waiting().expect("read");
    assert_eq!(
        found.iter().map(|waiting| waiting.sealed.link).collect::<Vec<_>>(),
        [first.sealed.link, second.sealed.link]
    );
    assert_eq!((&found[1].sealed.datagram, found[1].since), (&second.sealed.datagram, 7));
    for length in (0..two).rev() {
        kept.cut_spool(length).expect("cut");
        assert_eq!(kept.waiting().expect("read").len(), usize::from(length >= one), "{length}");
    }
}
