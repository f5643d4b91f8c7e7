//! What a trail says, for somebody who reads a page: built up entry by entry, in memory that is bounded.

mod page;

use std::collections::{BTreeMap, VecDeque};

pub use page::html;

use super::entry::Entry;
use crate::clock;
use crate::text::sanitise;

/// How many of each are shown; what is more is counted.
const MOST_SPANS: usize = 2000;
const MOST_NOTABLE: usize = 300;
const MOST_NODES: usize = 256;
/// More kinds than there are.
const MOST_KINDS: usize = 100;

/// What a node was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// No trail tells: before the first entry, or after a run that ended without a word.
    #[default]
    Unknown,
    /// Between a start, a crash or a reload and READY.
    Starting,
    /// Watched, and serving.
    Ready,
    /// Watched and serving, but the signer is away.
    Degraded,
    /// Stopped by an operator.
    Stopped,
    /// Refused or locked.
    Refused,
}

/// For so long, in microseconds since 1970, in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// In which.
    pub state: State,
}

/// An event that an auditor asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notable {
    /// When.
    pub at: u64,
    /// 2 critical, 3 error, 4 warning.
    pub priority: u64,
    /// Its kind.
    pub kind: String,
    /// Its message.
    pub message: String,
}

/// One chain: one node, as long as its state is not removed.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "each is what its name says")]
pub struct Node {
    pub host: String,
    pub node_id: String,
    pub digest: String,
    pub reference: String,
    pub bls: String,
    pub tls: String,
    pub version: String,
    pub state: State,
    pub last_word: String,
    pub first: u64,
    pub last: u64,
    pub entries: u64,
    pub spans: VecDeque<Span>,
    pub spans_left_out: u64,
    pub notable: VecDeque<Notable>,
    pub notable_left_out: u64,
    pub counts: BTreeMap<String, u64>,
    times: [u64; 6],
    uid: Option<u64>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Story {
    nodes: BTreeMap<String, Node>,
    left_out: u64,
}

impl Story {
    /// Takes one entry; what is no event of the trail is passed over, and so is what another user than the first one of its
    /// chain, or root, sent.
    pub fn add(&mut self, entry: &Entry) {
        let text = |name| entry.get(name).map(|value| sanitise(&String::from_utf8_lossy(value)));
        let (Some(kind), Some(chain)) = (text("CRYFTTEE_EVENT"), text("AUDIT_CHAIN")) else { return };
        let Some(at) = text("AUDIT_TIME").as_deref().and_then(clock::parse_utc_micros) else { return };
        if !self.nodes.contains_key(&chain) && self.nodes.len() == MOST_NODES {
            self.left_out += 1;
            return;
        }
        let node = self.nodes.entry(chain).or_default();
        if let Some(uid) = entry.number("_UID").filter(|uid| *uid != 0)
            && *node.uid.get_or_insert(uid) != uid
        {
            return;
        }
        let is_clean = text("CRYFTTEE_CLEAN").is_none_or(|clean| clean == "yes");
        node.happened(at, &kind, is_clean);
        for (field, into) in [
            ("_HOSTNAME", &mut node.host),
            ("CRYFTTEE_NODE_ID", &mut node.node_id),
            ("CRYFTTEE_REFERENCE", &mut node.reference),
        ] {
            if let Some(value) = text(field) {
                *into = value;
            }
        }
        let message = text("MESSAGE").unwrap_or_default();
        let facts =
            [("ready", "CRYFTTEE_DIGEST", &mut node.digest), ("attested", "CRYFTTEE_VERSION", &mut node.version)];
        for (of, field, into) in facts {
            if let Some(value) = text(field).filter(|_| of == kind) {
                *into = value;
            }
        }
        if let Some(key) = text("CRYFTTEE_PUBKEY").filter(|_| kind.starts_with("key-")) {
            let is_bls = text("CRYFTTEE_KEY_KIND").map_or(key.len() > 90, |kind| kind == "BLS");
            *(if is_bls { &mut node.bls } else { &mut node.tls }) = key;
        }
        if let Some(priority) = entry.number("PRIORITY").filter(|priority| *priority <= 4) {
            if node.notable.len() == MOST_NOTABLE {
                node.notable.pop_front();
                node.notable_left_out += 1;
            }
            node.notable.push_back(Notable { at, priority, kind: kind.clone(), message: message.clone() });
        }
        if !matches!(kind.as_str(), "trail-opened" | "trail-closed" | "checkpoint") {
            node.last_word = message;
        }
        if node.counts.contains_key(&kind) || node.counts.len() < MOST_KINDS {
            *node.counts.entry(kind).or_default() += 1;
        }
    }

    /// How many entries are of chains beyond those that are shown.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Each chain.
    pub fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.nodes
    }
}

impl Node {
    fn happened(&mut self, at: u64, kind: &str, is_clean: bool) {
        // A clock that was set back must not make time that was not.
        let at = at.max(self.last);
        if self.entries == 0 {
            (self.first, self.last) = (at, at);
        }
        // Nobody knows how long a run went on after its last word.
        let until_now = if kind == "trail-opened" && !is_clean { State::Unknown } else { self.state };
        self.passed(at, until_now);
        self.entries += 1;
        self.state = match (kind, self.state) {
            ("ready" | "recovered" | "reloaded", _) => State::Ready,
            ("degraded", _) => State::Degraded,
            ("refused" | "locked" | "lock-failed", _) => State::Refused,
            ("stopped" | "signer-disabled", State::Refused) => State::Refused,
            ("stopped" | "signer-disabled", _) => State::Stopped,
            ("sidecar-ended" | "restarting" | "sidecar-hung" | "stopping" | "unlocked", _) => State::Starting,
            ("measured", State::Stopped | State::Refused | State::Unknown) => State::Starting,
            ("trail-opened", _) if !is_clean => State::Starting,
            (_, same) => same,
        };
    }

    fn passed(&mut self, at: u64, state: State) {
        let (from, to) = (self.last, at);
        self.last = at;
        self.times[state as usize] += to - from;
        match self.spans.back_mut() {
            Some(last) if last.state == state => last.to = to,
            _ if to > from => {
                if self.spans.len() == MOST_SPANS {
                    self.spans.pop_front();
                    self.spans_left_out += 1;
                }
                self.spans.push_back(Span { from, to, state });
            }
            _ => {}
        }
    }

    /// How much of the time, in thousandths, the node was in one of these states.
    pub fn share(&self, states: &[State]) -> u64 {
        let all: u64 = self.times.iter().sum();
        let these: u64 = states.iter().map(|state| self.times[*state as usize]).sum();
        these.saturating_mul(1000).checked_div(all).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
