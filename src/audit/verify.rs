//! Verifies trails from entries as they come: each chain for itself, in memory that has a bound, however many there are.

mod finding;
mod known;
mod report;
mod room;
mod runs;

use std::collections::BTreeMap;

pub use finding::{Finding, Place, Problem};
pub use report::{ChainReport, Gap, Verdict};
pub use room::MOST_CHAINS;

use super::chain::{ChainId, Hash, Hasher, Link};
use super::entry::Entry;
use super::kept::{Found, Seen};
use crate::clock;
use room::{MOST_USERS, Room};
use runs::{Added, Item, Runs};

/// Digits in the name of a boot.
const BOOT: usize = 32;
/// How many findings are told one by one.
const MOST_FINDINGS: usize = 100;

/// Says whether a checkpoint's signature is good, and whether it is by who was expected.
pub type CheckSignature<'a> = dyn Fn(&Checkpoint<'_>) -> Result<(), String> + 'a;

/// A signed statement that an entry has a hash: [`super::checkpoint::statement`].
#[derive(Debug)]
pub struct Checkpoint<'a> {
    /// What it is about.
    pub link: Link,
    /// When that was, by the host's clock; the first builds did not say.
    pub time: Option<&'a str>,
    /// The signature, as the event has it.
    pub signature: &'a str,
    /// The key, as the event has it.
    pub pubkey: &'a str,
}

/// Looks at entries, and remembers what is needed for the verdict.
#[derive(Default)]
pub struct Verification<'a> {
    /// Whose entries count beside root's; none: of each chain, those of the first one that is not root.
    uids: Option<Vec<u64>>,
    signature: Option<&'a CheckSignature<'a>>,
    chains: BTreeMap<ChainId, Chain>,
    room: Room,
    input: u64,
    hasher: Hasher,
    findings: Vec<Finding>,
    wrong: u64,
    others: u64,
    foreign: BTreeMap<u64, u64>,
    foreign_of_more: u64,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Chain {
    uid: Option<u64>,
    host: Option<String>,
    runs: Runs,
    entries: u64,
    duplicates: u64,
    checkpoints: u64,
    /// The highest number under a good signature, and the time that it says.
    signed: Option<(u64, Option<String>)>,
    /// The highest number in this input.
    highest: Option<Highest>,
}

#[derive(Debug)]
struct Highest {
    input: u64,
    seq: u64,
    boot: String,
    /// Of the entry before this one, whatever its number.
    previous: u64,
    realtime: u64,
}

impl<'a> Verification<'a> {
    /// `uids`: whose entries count beside root's. `signature` checks those of checkpoints.
    pub fn new(uids: Option<Vec<u64>>, signature: Option<&'a CheckSignature<'a>>) -> Self {
        Self { uids, signature, ..Self::default() }
    }

    /// What follows is another file: the order of files says nothing.
    pub const fn next_input(&mut self) {
        self.input += 1;
    }

    /// Looks at an entry. Whether it is one of the trail, as far as can be told, and was not there before.
    pub fn add(&mut self, entry: &Entry) -> bool {
        let chain = entry.text("AUDIT_CHAIN").and_then(|text| text.parse::<ChainId>().ok());
        if !entry.has("AUDIT_SEQ") && !entry.has("AUDIT_HASH") && !entry.has("CRYFTTEE_EVENT") {
            self.others += 1;
            return false;
        }
        // Who sent an entry is the kernel's word. What somebody else made up says nothing about the trail.
        if let Some(uid) = entry.number("_UID")
            && !self.counts(chain, uid)
        {
            self.foreign(uid);
            return false;
        }
        let seq = entry.number("AUDIT_SEQ");
        let (chain, item) = match (chain, self.item(entry)) {
            (Some(chain), Ok(item)) => (chain, item),
            (chain, item) => {
                let unchained = !entry.has("AUDIT_SEQ") && !entry.has("AUDIT_HASH");
                let problem = match item {
                    Err(problem) if !unchained => problem,
                    _ => Problem::Unchained,
                };
                self.found(chain, seq, Place::of(entry), problem);
                return true;
            }
        };
        if !self.has_room(chain) {
            self.left_out += 1;
            // Of many, the first is told.
            if self.left_out == 1 {
                self.found(Some(chain), seq, Place::of(entry), Problem::TooMany);
            }
            return true;
        }
        if self.hash(entry) != item.hash {
            self.found(Some(chain), seq, Place::of(entry), Problem::Changed);
        }
        let is_new = self.place(chain, &item, entry);
        if is_new && entry.get("CRYFTTEE_EVENT") == Some(b"checkpoint") {
            self.checkpoint(chain, entry);
        }
        is_new
    }

    fn counts(&mut self, chain: Option<ChainId>, uid: u64) -> bool {
        if uid == 0 {
            return true;
        }
        if let Some(uids) = &self.uids {
            return uids.contains(&uid);
        }
        match chain {
            // Of a chain that there is no room for, nobody knows.
            Some(id) if !self.has_room(id) => true,
            Some(id) => *self.chains.entry(id).or_default().uid.get_or_insert(uid) == uid,
            None => self.chains.values().any(|chain| chain.uid == Some(uid)),
        }
    }

    /// Whether this chain is one of those that are verified, which each new one becomes while there is room.
    fn has_room(&mut self, id: ChainId) -> bool {
        if self.chains.contains_key(&id) {
            return true;
        }
        let (before, has_room) = (self.room.hashes(), self.room.take_chain());
        if has_room {
            self.chains.entry(id).or_default();
        }
        self.make_room(before);
        has_room
    }

    /// Where each may remember less than before, each forgets some.
    fn make_room(&mut self, before: usize) {
        if self.room.hashes() < before {
            self.chains.values_mut().for_each(|chain| chain.runs.limit(&self.room));
        }
    }

    fn foreign(&mut self, uid: u64) {
        if self.foreign.contains_key(&uid) || self.foreign.len() < MOST_USERS {
            *self.foreign.entry(uid).or_default() += 1;
        } else {
            self.foreign_of_more += 1;
        }
    }

    fn item(&self, entry: &Entry) -> Result<Item, Problem> {
        let malformed = |name: &str| {
            let how = if entry.has(name) { "has not the form of" } else { "is missing or repeated: not" };
            Problem::Malformed(format!("{name} {how} one that cryftgo-tee writes"))
        };
        let hash = |name: &str| entry.text(name).and_then(|text| text.parse().ok()).ok_or_else(|| malformed(name));
        let seq = entry.number("AUDIT_SEQ").filter(|seq| (1..u64::MAX).contains(seq));
        let settled = (entry.get("CRYFTTEE_EVENT") == Some(b"trail-opened")).then(|| entry.number("CRYFTTEE_SETTLED"));
        let (prev, hash) = (hash("AUDIT_PREV")?, hash("AUDIT_HASH")?);
        let seq = seq.ok_or_else(|| malformed("AUDIT_SEQ"))?;
        let boot = entry.text("AUDIT_BOOT").filter(|boot| boot.len() == BOOT).ok_or_else(|| malformed("AUDIT_BOOT"))?;
        let odd = entry
            .fields()
            .find(|(name, value)| super::chain::is_covered(name) && value.is_none_or(|value| value.contains(&b'\n')));
        if let Some((name, _)) = odd {
            let name = String::from_utf8_lossy(name);
            return Err(Problem::Malformed(format!("{name} has a value that cryftgo-tee never writes")));
        }
        Ok(Item { seq, prev, hash, boot: boot.to_owned(), settled: settled.flatten() })
    }

    fn hash(&mut self, entry: &Entry) -> Hash {
        self.hasher.hash(entry.fields().filter_map(|(name, value)| Some((name, value?))))
    }

    /// Puts an entry into its chain. Whether it was not there before.
    fn place(&mut self, id: ChainId, item: &Item, entry: &Entry) -> bool {
        let (input, before) = (self.input, self.room.hashes());
        let chain = self.chains.entry(id).or_default();
        if chain.host.is_none() {
            chain.host = entry.text("_HOSTNAME").map(|host| crate::text::sanitise_up_to(host, 256));
        }
        let place = Place::of(entry);
        let problem = match chain.runs.add(item, &place, &mut self.room) {
            Added::Duplicate => {
                chain.duplicates += 1;
                return false;
            }
            Added::New => chain.order(item, entry, input),
            Added::Wrong(problem) => Some(problem),
        };
        chain.entries += 1;
        self.make_room(before);
        if let Some(problem) = problem {
            self.found(Some(id), Some(item.seq), place, problem);
        }
        true
    }

    fn checkpoint(&mut self, id: ChainId, entry: &Entry) {
        let read = || {
            let hash = entry.text("CRYFTTEE_HASH")?.parse().ok()?;
            let link = Link { chain: id, seq: entry.number("CRYFTTEE_SEQ")?, hash };
            let time = entry.text("CRYFTTEE_TIME");
            if entry.has("CRYFTTEE_TIME") && time.and_then(clock::parse_utc_micros).is_none() {
                return None;
            }
            let (signature, pubkey) = (entry.text("CRYFTTEE_SIGNATURE")?, entry.text("CRYFTTEE_PUBKEY")?);
            Some(Checkpoint { link, time, signature, pubkey })
        };
        let checkpoint = read();
        let wrong = match &checkpoint {
            None => Some("it has not the form that cryftgo-tee writes".to_owned()),
            Some(point) => match self.chains.get(&id).and_then(|chain| chain.runs.is(point.link.seq, &point.link.hash))
            {
                Some(false) => Some(format!("it names another hash for entry {}", point.link.seq)),
                _ => self.signature.and_then(|check| check(point).err()),
            },
        };
        let (seq, place) = (entry.number("AUDIT_SEQ"), Place::of(entry));
        match (wrong, checkpoint) {
            (Some(wrong), _) => self.found(Some(id), seq, place, Problem::Checkpoint(wrong)),
            (None, checkpoint) => {
                let chain = self.chains.entry(id).or_default();
                chain.checkpoints += 1;
                if let Some(point) = checkpoint.filter(|_| self.signature.is_some()) {
                    let signed = (point.link.seq, point.time.map(str::to_owned));
                    chain.signed = chain.signed.take().max(Some(signed));
                }
            }
        }
    }

    fn found(&mut self, chain: Option<ChainId>, seq: Option<u64>, place: Place, problem: Problem) {
        self.wrong += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { chain, seq, place, problem });
        }
    }

    /// The verdict. `live`: the state on this host, as it stood before the journal was read, and the boot that this is.
    pub fn finish(mut self, live: Option<(&Seen, &str)>) -> Verdict {
        let head = match live {
            Some((Seen { head: Found::Head(head), waiting, .. }, boot)) => Some((head, *waiting, boot)),
            _ => None,
        };
        if let Some((head, ..)) = head {
            self.chains.entry(head.link.chain).or_default();
        }
        let mut reports = Vec::new();
        for (id, chain) in std::mem::take(&mut self.chains) {
            let (report, findings) = report::of(id, &chain, head.filter(|(head, ..)| head.link.chain == id));
            for (seq, place, problem) in findings {
                self.found(Some(id), Some(seq), place, problem);
            }
            // One that only foreign entries named.
            if report.entries > 0 || report.has_head {
                reports.push(report);
            }
        }
        let Self { findings, wrong, foreign, foreign_of_more, left_out, others, .. } = self;
        Verdict { chains: reports, findings, wrong, foreign, foreign_of_more, left_out, others }
    }
}

impl Chain {
    /// Entries of one chain come in the order of their numbers. Only where the journal's own clock was set back between
    /// two boots, and several files were read as one, may later ones come first.
    fn order(&mut self, item: &Item, entry: &Entry, input: u64) -> Option<Problem> {
        let realtime = entry.number("__REALTIME_TIMESTAMP").unwrap_or_default();
        let new = Highest { input, seq: item.seq, boot: item.boot.clone(), previous: item.seq, realtime };
        let Some(highest) = self.highest.as_mut().filter(|highest| highest.input == input) else {
            self.highest = Some(new);
            return None;
        };
        if item.seq > highest.seq {
            *highest = new;
            return None;
        }
        let by_time = item.boot != highest.boot && realtime >= highest.realtime && realtime > 0;
        // Of many that follow each other, the first is told.
        let told = highest.previous + 1 == item.seq;
        (highest.previous, highest.realtime) = (item.seq, realtime);
        (!by_time && !told).then_some(Problem::OutOfOrder(highest.seq))
    }
}

#[cfg(test)]
mod tests;
