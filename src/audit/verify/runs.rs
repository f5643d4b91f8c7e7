//! The entries of one chain as runs without a gap. In the order of a journal there is one; what is missing, or came in
//! another order, makes more, and they grow together again.

use super::super::chain::Hash;
use super::finding::{Place, Problem};
use super::known::Known;
use super::room::Room;

/// What the chain needs to know of an entry.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    pub(super) hash: Hash,
    pub(super) boot: String,
    /// Of `trail-opened`: up to where journald had everything on its disk.
    pub(super) settled: Option<u64>,
}

/// Entries without a gap.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) first_boot: String,
    pub(super) last_boot: String,
    /// Of the first `trail-opened` in its first boot.
    pub(super) settled: Option<u64>,
    pub(super) first_place: Place,
    prev: Hash,
    hash: Hash,
    known: Known,
}

impl Run {
    fn new(item: &Item, place: &Place) -> Self {
        Self {
            first: item.seq,
            last: item.seq,
            first_boot: item.boot.clone(),
            last_boot: item.boot.clone(),
            settled: item.settled,
            first_place: place.clone(),
            prev: item.prev,
            hash: item.hash,
            known: Known::new(item.seq, &item.hash),
        }
    }

    fn push_back(&mut self, item: &Item, room: &Room) {
        self.last = item.seq;
        self.hash = item.hash;
        if self.last_boot != item.boot {
            self.last_boot.clone_from(&item.boot);
        }
        if self.settled.is_none() && item.boot == self.first_boot {
            self.settled = item.settled;
        }
        self.known.push_back(&item.hash, room.hashes());
    }

    fn push_front(&mut self, item: &Item, place: &Place, room: &Room) {
        if item.boot != self.first_boot {
            self.settled = None;
        }
        self.first = item.seq;
        self.prev = item.prev;
        self.first_boot.clone_from(&item.boot);
        self.settled = item.settled.or(self.settled);
        self.first_place = place.clone();
        self.known.push_front(&item.hash, room.hashes());
    }

    fn append(&mut self, next: Self, room: &Room) {
        if self.settled.is_none() && next.first_boot == self.first_boot {
            self.settled = next.settled;
        }
        self.last = next.last;
        self.hash = next.hash;
        self.last_boot = next.last_boot;
        self.known.append(next.known, room.hashes());
    }
}

/// Entries that are there again, and are yet to be compared.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) place: Place,
    hash: Hash,
}

/// What an entry turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// One that was not there.
    New,
    /// One that is there already, the same.
    Duplicate,
    /// One that is wrong.
    Wrong(Problem),
}

/// All of one chain, by number.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    again: Vec<Again>,
}

impl Runs {
    pub(super) fn all(&self) -> &[Run] {
        &self.runs
    }

    /// What could not be compared.
    pub(super) fn again(&self) -> &[Again] {
        &self.again
    }

    /// Makes room for others.
    pub(super) fn limit(&mut self, room: &Room) {
        self.runs.iter_mut().for_each(|run| run.known.limit(room.hashes()));
    }

    /// Whether the entry has this hash; none where it is not there, or not remembered.
    pub(super) fn is(&self, seq: u64, hash: &Hash) -> Option<bool> {
        let at = self.runs.partition_point(|run| run.last < seq);
        self.runs.get(at)?.known.is(seq, hash)
    }

    pub(super) fn add(&mut self, item: &Item, place: &Place, room: &mut Room) -> Added {
        // The run that holds it, or the first one behind it.
        let at = self.runs.partition_point(|run| run.last < item.seq);
        if self.runs.get(at).is_some_and(|run| run.first <= item.seq) {
            return self.add_again(at, item, place, room);
        }
        let behind = at.checked_sub(1).filter(|before| self.runs[*before].last + 1 == item.seq);
        let before = (self.runs.get(at)).is_some_and(|next| item.seq + 1 == next.first);
        let mut wrong = None;
        if let Some(behind) = behind
            && self.runs[behind].hash != item.prev
        {
            wrong = Some(Problem::NotLinked(item.seq - 1));
        }
        // The one behind it is not at hand any more, so this one is named.
        if before && self.runs[at].prev != item.hash {
            wrong = wrong.or(Some(Problem::Conflict(item.seq)));
        }
        match (behind, before) {
            (Some(behind), true) => {
                let next = self.runs.remove(at);
                self.runs[behind].push_back(item, room);
                self.runs[behind].append(next, room);
                room.give_run();
            }
            (Some(behind), false) => self.runs[behind].push_back(item, room),
            (None, true) => self.runs[at].push_front(item, place, room),
            // The first is the chain's, which has its room.
            (None, false) if self.runs.is_empty() || room.take_run() => self.runs.insert(at, Run::new(item, place)),
            (None, false) => wrong = Some(Problem::Scattered),
        }
        wrong.map_or(Added::New, Added::Wrong)
    }

    /// An entry whose number is there already.
    fn add_again(&mut self, at: usize, item: &Item, place: &Place, room: &mut Room) -> Added {
        let known = self.runs[at].known.is(item.seq, &item.hash);
        let follows = self.again.iter().position(|again| again.last + 1 == item.seq && again.hash == item.prev);
        match (known, follows) {
            (Some(false), _) => Added::Wrong(Problem::Conflict(item.seq)),
            // Its hash covers all that it follows, so they are the same, too.
            (Some(true), Some(follows)) => {
                self.again.swap_remove(follows);
                room.give_copy();
                Added::Duplicate
            }
            (Some(true), None) => Added::Duplicate,
            (None, Some(follows)) => {
                let again = &mut self.again[follows];
                (again.last, again.hash) = (item.seq, item.hash);
                Added::Duplicate
            }
            (None, None) if room.take_copy() => {
                let (seq, hash) = (item.seq, item.hash);
                self.again.push(Again { first: seq, last: seq, place: place.clone(), hash });
                Added::Duplicate
            }
            (None, None) => Added::Wrong(Problem::Scattered),
        }
    }
}
