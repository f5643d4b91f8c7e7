//! The verdict.

use std::collections::BTreeMap;

use super::super::chain::ChainId;
use super::super::kept::Head;
use super::Chain;
use super::finding::{Finding, Place, Problem};

/// Entries that are not there, for a reason that is no one's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What is known of one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Its name.
    pub chain: String,
    /// The host that journald says it is from.
    pub host: Option<String>,
    /// Whose entries count, beside root's.
    pub uid: Option<u64>,
    /// The first entry that is there; a journal that was rotated begins later than at 1.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// How many there are.
    pub entries: u64,
    /// How many were there again.
    pub duplicates: u64,
    /// What a crash of the host kept from the journal's disk.
    pub crash_gaps: Vec<Gap>,
    /// Good checkpoints.
    pub checkpoints: u64,
    /// The last entry that one with a good signature, checked with the key that was given, stands for.
    pub signed_up_to: Option<u64>,
    /// When that was, as it says.
    pub signed_at: Option<String>,
    /// Whether the head on this host was compared.
    pub has_head: bool,
    /// How many entries wait on this host for journald.
    pub waiting: u64,
}

/// What came out.
#[derive(Debug)]
pub struct Verdict {
    /// Each chain.
    pub chains: Vec<ChainReport>,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub wrong: u64,
    /// Entries that look like ours and were sent by somebody else: user id, and how many.
    pub foreign: BTreeMap<u64, u64>,
    /// Such entries by users beyond so many that they are not told one by one.
    pub foreign_of_more: u64,
    /// Entries that were not verified, because there are more chains than are verified at once: a finding.
    pub left_out: u64,
    /// Entries that are no audit events.
    pub others: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub const fn is_good(&self) -> bool {
        self.wrong == 0
    }

    /// How many entries were verified.
    pub fn entries(&self) -> u64 {
        self.chains.iter().map(|chain| chain.entries).sum()
    }
}

pub(super) type Wrong = (u64, Place, Problem);

/// What can be said of a chain once all of it was seen. `head`: the one on this host, how many entries wait, and the boot
/// that this is.
pub(super) fn of(id: ChainId, chain: &Chain, head: Option<(&Head, u64, &str)>) -> (ChainReport, Vec<Wrong>) {
    let runs = chain.runs.all();
    let mut report = ChainReport {
        chain: id.to_string(),
        host: chain.host.clone(),
        uid: chain.uid,
        first: runs.first().map_or(0, |run| run.first),
        last: runs.last().map_or(0, |run| run.last),
        entries: chain.entries,
        duplicates: chain.duplicates,
        checkpoints: chain.checkpoints,
        signed_up_to: chain.signed.as_ref().map(|(seq, _)| *seq),
        signed_at: chain.signed.as_ref().and_then(|(_, time)| time.clone()),
        has_head: head.is_some(),
        ..ChainReport::default()
    };
    let mut wrong = Vec::new();
    for pair in runs.windows(2) {
        let (from, to) = (pair[0].last + 1, pair[1].first - 1);
        // The next boot says up to where the journal was on the disk when the one before it ended.
        let crashed = pair[0].last_boot != pair[1].first_boot && pair[1].settled.is_some_and(|settled| settled < from);
        if crashed {
            report.crash_gaps.push(Gap { from, to });
        } else {
            wrong.push((from, pair[1].first_place.clone(), Problem::Missing { to: (to > from).then_some(to) }));
        }
    }
    for again in chain.runs.again() {
        let to = (again.last > again.first).then_some(again.last);
        wrong.push((again.first, again.place.clone(), Problem::NotCompared { to }));
    }
    if let Some((head, waiting, boot)) = head {
        report.waiting = waiting;
        let (from, to) = (report.last + 1, head.link.seq - waiting.min(head.link.seq));
        if from <= to {
            let crashed = head.boot != boot && head.settled < from;
            if crashed {
                report.crash_gaps.push(Gap { from, to });
            } else {
                let problem = Problem::MissingTail { to: (to > from).then_some(to) };
                wrong.push((from, Place::default(), problem));
            }
        } else if chain.runs.is(head.link.seq, &head.link.hash) == Some(false) {
            wrong.push((head.link.seq, Place::default(), Problem::OtherHead));
        }
    }
    (report, wrong)
}
