use super::super::chain::{Moment, seal};
use super::super::entry::Reader;
use super::super::kept::{Head, Run};
use super::*;

/// A trail as the journal has it, entry by entry.
struct Trail {
    last: Link,
    boot: String,
    at: u64,
    uid: u32,
    /// Export form.
    entries: Vec<String>,
}

impl Trail {
    fn new(chain: u8) -> Self {
        let last = Link::genesis(ChainId::new([chain; 16]));
        Self { last, boot: "b".repeat(32), at: 1_000_000, uid: 990, entries: Vec::new() }
    }

    fn add(&mut self, name: &str, more: &[(&str, &str)]) -> &mut Self {
        self.at += 1000;
        let moment = Moment { boot: self.boot.clone(), monotonic: self.at, wall: self.at };
        let mut fields = vec![("CRYFTTEE_EVENT", name.to_owned()), ("MESSAGE", format!("it is {name}"))];
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let sealed = seal(self.last, &moment, &fields);
        self.last = sealed.link;
        let text = String::from_utf8(sealed.datagram).expect("text");
        let (at, uid) = (self.at, self.uid);
        self.entries.push(format!("__CURSOR=c{at}\n__REALTIME_TIMESTAMP={at}\n_UID={uid}\n{text}\n"));
        self
    }

    fn of(count: usize) -> Self {
        let mut trail = Self::new(1);
        for _ in 0..count {
            trail.add("stopping", &[]);
        }
        trail
    }

    fn opened(&mut self, settled: &str) -> &mut Self {
        let after = self.last.seq.to_string();
        self.add("trail-opened", &[("CRYFTTEE_AFTER", &after), ("CRYFTTEE_SETTLED", settled)])
    }

    fn verify(&self) -> Verdict {
        verify(&[&self.entries.concat()])
    }
}

fn verify(inputs: &[&str]) -> Verdict {
    verify_with(Verification::new(None, None), inputs, None)
}

fn verify_with(mut verification: Verification<'_>, inputs: &[&str], live: Option<(&Seen, &str)>) -> Verdict {
    for input in inputs {
        let mut reader = Reader::new(input.as_bytes());
        while let Some(entry) = reader.next().expect("export") {
            verification.add(entry);
        }
        verification.next_input();
    }
    verification.finish(live)
}

fn problems(verdict: &Verdict) -> Vec<(Option<u64>, &'static str)> {
    verdict.findings.iter().map(|finding| (finding.seq, finding.problem.word())).collect()
}

#[test]
fn a_whole_trail_is_good_and_what_is_deleted_moved_changed_or_inserted_is_named() {
    let whole = Trail::of(20);
    let verdict = whole.verify();
    assert!(verdict.is_good() && verdict.entries() == 20, "{verdict:?}");

    let mut deleted = Trail::of(20);
    deleted.entries.drain(7..9);
    let verdict = deleted.verify();
    assert_eq!(problems(&verdict), [(Some(8), "missing")]);
    assert!(verdict.findings[0].to_string().contains("up to 9"), "{}", verdict.findings[0]);

    let mut moved = Trail::of(20);
    moved.entries.swap(7, 8);
    assert_eq!(problems(&moved.verify()), [(Some(8), "out-of-order")]);

    let mut changed = Trail::of(20);
    changed.entries[7] = changed.entries[7].replace("it is stopping", "it is fine");
    let verdict = changed.verify();
    assert_eq!(problems(&verdict), [(Some(8), "changed")]);
    let told = verdict.findings[0].to_string();
    assert!(told.starts_with("entry 8 of chain 0101") && told.contains("1970-01-01T00:00:01.008000Z"), "{told}");

    let mut inserted = Trail::of(20);
    let mut forger = Trail::of(7);
    forger.add("ready", &[]);
    inserted.entries.insert(7, forger.entries[7].clone());
    assert_eq!(problems(&inserted.verify())[0].0, Some(8));
    inserted.entries.remove(8);
    assert_eq!(problems(&inserted.verify()), [(Some(9), "not-linked")]);
}

#[test]
fn an_event_without_its_place_in_the_chain_is_named() {
    for field in ["AUDIT_SEQ", "AUDIT_HASH", "AUDIT_PREV", "AUDIT_CHAIN", "AUDIT_BOOT", "AUDIT_TIME", "MESSAGE"] {
        let mut trail = Trail::of(3);
        trail.entries[1] = trail.entries[1].replace(&format!("\n{field}="), "\nELSE=");
        assert!(!trail.verify().is_good(), "{field}");
    }
    let mut trail = Trail::of(3);
    trail.entries.insert(1, "_UID=990\nCRYFTTEE_EVENT=ready\nMESSAGE=x\n\n".to_owned());
    assert_eq!(problems(&trail.verify()), [(None, "unchained")]);
    let mut trail = Trail::of(3);
    trail.entries[1] = trail.entries[1].replace("AUDIT_SEQ=2\n", "AUDIT_SEQ=2\nAUDIT_SEQ=2\n");
    assert_eq!(problems(&trail.verify())[0].1, "changed");
}

#[test]
fn what_the_operator_or_journald_adds_is_no_change() {
    let mut trail = Trail::of(3);
    trail.entries[1] = trail.entries[1].replace("\n_UID", "\nDATACENTRE=north\n_COMM=x\n_UID");
    trail.entries.insert(1, "_UID=990\nMESSAGE=a diagnostic\nSYSLOG_IDENTIFIER=cryftgo-tee\n\n".to_owned());
    let verdict = trail.verify();
    assert!(verdict.is_good() && verdict.others == 1, "{verdict:?}");
}

#[test]
fn a_journal_that_was_rotated_begins_later_and_is_good() {
    let mut trail = Trail::of(20);
    trail.entries.drain(..12);
    let verdict = trail.verify();
    assert!(verdict.is_good());
    assert_eq!((verdict.chains[0].first, verdict.chains[0].last), (13, 20));
}

#[test]
fn a_crash_of_the_host_explains_what_the_journal_had_not_on_its_disk_and_no_more() {
    let crash = |settled: &str, boot: &str| {
        let mut trail = Trail::of(10);
        trail.boot = boot.repeat(32);
        // An operator's command may come before the service.
        trail.add("unlocked", &[]).opened(settled);
        trail.entries.drain(7..10);
        trail.verify()
    };
    let verdict = crash("7", "c");
    assert!(verdict.is_good());
    assert_eq!(verdict.chains[0].crash_gaps, [Gap { from: 8, to: 10 }]);
    // It had them on its disk; or there was no crash at all.
    assert_eq!(problems(&crash("8", "c")), [(Some(8), "missing")]);
    assert_eq!(problems(&crash("7", "b")), [(Some(8), "missing")]);
}

#[test]
fn copies_are_no_finding_wherever_they_come_and_others_with_their_number_are() {
    let trail = Trail::of(3000);
    let (all, tail, part) = (trail.entries.concat(), trail.entries[2900..].concat(), trail.entries[10..40].concat());
    let verdict = verify(&[&all, &all, &tail, &part]);
    assert!(verdict.is_good(), "{:?}", verdict.findings);
    assert_eq!((verdict.entries(), verdict.chains[0].duplicates), (3000, 3130));
    // Sent twice in one journal, as after a crash.
    let twice = trail.entries[..20].concat() + &trail.entries[15..].concat();
    assert!(verify(&[&twice]).is_good());
    let mut verification = Verification::new(None, None);
    let mut new = |text: &str| {
        let mut reader = Reader::new(text.as_bytes());
        let mut new = 0;
        while let Some(entry) = reader.next().expect("export") {
            new += u64::from(verification.add(entry));
        }
        new
    };
    assert_eq!((new(&part), new(&all), new(&tail)), (30, 2970, 0), "each is shown once");
    let mut forger = Trail::of(9);
    forger.add("ready", &[]);
    assert_eq!(problems(&verify(&[&all, &forger.entries[9]])), [(Some(10), "conflict")]);
}

#[test]
fn files_may_come_in_any_order_and_hosts_in_one_file() {
    let (one, mut two) = (Trail::of(40), Trail::new(2));
    two.uid = 991;
    for _ in 0..40 {
        two.add("ready", &[]);
    }
    let (late, early) = (one.entries[20..].concat(), one.entries[..20].concat());
    assert!(verify(&[&late, &early]).is_good());
    let both: String = one.entries.iter().zip(&two.entries).flat_map(|(one, two)| [one.as_str(), two]).collect();
    let verdict = verify(&[&both]);
    assert!(verdict.is_good() && verdict.chains.len() == 2, "{verdict:?}");
    assert_eq!((verdict.chains[0].uid, verdict.chains[1].uid), (Some(990), Some(991)));
}

#[test]
fn boots_in_the_order_of_a_clock_that_was_set_back_are_no_finding() {
    let mut trail = Trail::of(10);
    trail.boot = "c".repeat(32);
    trail.at = 5000;
    for _ in 0..5 {
        trail.add("ready", &[]);
    }
    trail.entries.rotate_left(10);
    let verdict = trail.verify();
    assert!(verdict.is_good(), "{verdict:?}");
    // In the order of their numbers, but not of their times, the same boots were moved by nobody either.
    trail.entries.rotate_left(5);
    assert!(trail.verify().is_good());
}

#[test]
fn what_another_user_made_up_is_told_and_changes_no_verdict() {
    let mut trail = Trail::of(10);
    let mut forger = Trail::of(12);
    forger.entries.iter_mut().for_each(|entry| *entry = entry.replace("_UID=990", "_UID=1000"));
    trail.entries.splice(5..5, forger.entries.clone());
    let verdict = trail.verify();
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(verdict.foreign.into_iter().collect::<Vec<_>>(), [(1000, 12)]);
    // Where they came first, it takes to be told who counts.
    let both = [&*forger.entries.concat(), &*Trail::of(10).entries.concat()];
    let verdict = verify_with(Verification::new(Some(vec![990]), None), &both, None);
    assert!(verdict.is_good() && verdict.entries() == 10, "{verdict:?}");
    // Root may add to every chain: it clears locks.
    let mut trail = Trail::of(3);
    trail.uid = 0;
    assert!(trail.add("unlocked", &[]).verify().is_good());
}

#[test]
fn the_head_of_this_host_shows_a_tail_that_is_gone() {
    let trail = Trail::of(20);
    let seen = |seq: u64, waiting: u64, settled: u64| {
        let (link, run) = (Link { seq, ..trail.last }, Run::Open);
        let head = Head { link, settled, boot: "b".repeat(32), run };
        Seen { head: Found::Head(head), waiting, uid: 990 }
    };
    let live = |seen: &Seen, entries: usize, boot: &str| {
        verify_with(
            Verification::new(None, None),
            &[&trail.entries[..entries].concat()],
            Some((seen, &boot.repeat(32))),
        )
    };
    assert!(live(&seen(20, 0, 20), 20, "b").is_good());
    // Entries that came after the look at the head.
    let earlier = Head { link: Link { seq: 2, hash: Hash::default(), ..trail.last }, ..Head::new(trail.last.chain) };
    let earlier = Seen { head: Found::Head(earlier), waiting: 0, uid: 990 };
    assert_eq!(problems(&live(&earlier, 20, "b")), [(Some(2), "other-head")]);
    assert_eq!(problems(&live(&seen(20, 0, 20), 17, "b")), [(Some(18), "missing-tail")]);
    assert_eq!(problems(&live(&seen(20, 0, 20), 0, "b")), [(Some(1), "missing-tail")]);
    assert!(live(&seen(20, 3, 17), 17, "b").is_good(), "what waits is not missing");
    assert!(live(&seen(20, 0, 17), 17, "c").is_good(), "the host crashed, and nothing ran since");
    assert_eq!(problems(&live(&seen(20, 0, 18), 17, "c")), [(Some(18), "missing-tail")]);
}

#[test]
fn checkpoints_are_compared_and_their_signatures_asked_for() {
    let mut trail = Trail::of(5);
    let hash = trail.last.hash.to_string();
    let fields =
        [("CRYFTTEE_SEQ", "5"), ("CRYFTTEE_HASH", &*hash), ("CRYFTTEE_SIGNATURE", "s"), ("CRYFTTEE_PUBKEY", "k")];
    trail.add("checkpoint", &fields);
    let text = trail.entries.concat();
    let check = |point: &Checkpoint<'_>| {
        if (point.link.seq, point.signature, point.pubkey) == (5, "s", "k") { Ok(()) } else { Err("no".to_owned()) }
    };
    let verdict = verify_with(Verification::new(None, Some(&check)), &[&text], None);
    assert!(verdict.is_good());
    assert_eq!((verdict.chains[0].checkpoints, verdict.chains[0].signed_up_to), (1, Some(5)));
    let never = |_: &Checkpoint<'_>| Err("signed by somebody else".to_owned());
    let verdict = verify_with(Verification::new(None, Some(&never)), &[&text], None);
    assert_eq!(problems(&verdict), [(Some(6), "checkpoint")]);
    // Those since then say when, in the form of the chain.
    const TIME: &str = "2026-11-22T19:12:00.000001Z";
    for (time, good) in [(TIME, true), ("yesterday", false), ("", false)] {
        let mut trail = Trail::of(5);
        trail.add("checkpoint", &[&fields[..], &[("CRYFTTEE_TIME", time)]].concat());
        let says = |point: &Checkpoint<'_>| point.time.filter(|time| *time == TIME).map(drop).ok_or_else(String::new);
        let verdict = verify_with(Verification::new(None, Some(&says)), &[&trail.entries.concat()], None);
        assert_eq!(verdict.is_good(), good, "{time}");
        assert_eq!(verdict.chains[0].signed_at.as_deref(), good.then_some(TIME));
    }
    // A chain that was computed again from an entry on is whole, and its checkpoints are not its own.
    let mut forged = Trail::of(4);
    forged.add("ready", &[]).add("checkpoint", &fields);
    assert_eq!(problems(&forged.verify()), [(Some(6), "checkpoint")]);
}

#[test]
fn of_more_chains_than_have_room_the_first_is_named_and_the_rest_are_not_called_good() {
    let one = |number: usize| {
        let mut id = [7; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let mut trail = Trail { last: Link::genesis(ChainId::new(id)), ..Trail::new(1) };
        trail.add("ready", &[]).add("stopping", &[]).entries.concat()
    };
    let (all, more): (String, String) =
        ((0..MOST_CHAINS).map(one).collect(), (0..3).map(|n| one(MOST_CHAINS + n)).collect());
    let verdict = verify(&[&all]);
    assert!(verdict.is_good() && verdict.chains.len() == MOST_CHAINS && verdict.left_out == 0);
    let verdict = verify(&[&all, &more, &all]);
    assert_eq!(problems(&verdict), [(Some(1), "too-many")]);
    assert_eq!((verdict.chains.len(), verdict.entries(), verdict.left_out), (MOST_CHAINS, 2 * MOST_CHAINS as u64, 6));
    assert!(verdict.findings[0].to_string().contains("than 4096"), "{}", verdict.findings[0]);
}

#[test]
fn users_who_do_not_count_are_told_up_to_a_bound_and_then_counted() {
    let entry = Trail::of(1).entries.concat();
    let strangers: String =
        (0..MOST_USERS + 5).map(|uid| entry.replace("_UID=990", &format!("_UID={}", 100_000 + uid))).collect();
    let verification = Verification::new(Some(vec![990]), None);
    let verdict = verify_with(verification, &[&entry, &strangers], None);
    assert!(verdict.is_good());
    assert_eq!((verdict.foreign.len(), verdict.foreign_of_more), (MOST_USERS, 5));
}
