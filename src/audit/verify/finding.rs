//! What can be wrong with a trail, and where.

use std::fmt;

use super::super::chain::ChainId;
use super::super::entry::Entry;
use super::room::MOST_CHAINS;
use crate::text::sanitise_up_to;

/// Where an entry stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// When it says that it happened.
    pub time: Option<String>,
    /// Where the journal has it: `journalctl --cursor`.
    pub cursor: Option<String>,
}

impl Place {
    pub(super) fn of(entry: &Entry) -> Self {
        let text = |name| entry.text(name).map(|text| sanitise_up_to(text, 256));
        Self { time: text("AUDIT_TIME"), cursor: text("__CURSOR") }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The chain, where it is known.
    pub chain: Option<ChainId>,
    /// The number of the entry in its chain, where it is known.
    pub seq: Option<u64>,
    /// Where it stands.
    pub place: Place,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each has its sentence")]
pub enum Problem {
    #[error("it was changed: AUDIT_HASH is not the hash of what it says")]
    Changed,
    #[error("it was changed: {0}")]
    Malformed(String),
    #[error("it was inserted, or changed: an event without a place in a chain")]
    Unchained,
    #[error("it was inserted, or changed: there is another entry {0}")]
    Conflict(u64),
    #[error("it was inserted, or one of the two was changed: it does not follow entry {0}")]
    NotLinked(u64),
    #[error("it was moved, or another was: it comes after entry {0}")]
    OutOfOrder(u64),
    #[error("it is missing{}, and no crash explains it", up_to(*to))]
    Missing { to: Option<u64> },
    #[error("it is missing{}, and the head on this host has it", up_to(*to))]
    MissingTail { to: Option<u64> },
    #[error("the head on this host has another hash for it")]
    OtherHead,
    #[error("it is there again{}, and too far away from the first time to be compared", up_to(*to))]
    NotCompared { to: Option<u64> },
    #[error(
        "it is of one more chain than {MOST_CHAINS}, and no more are verified at once: give the files of some hosts, or --uid"
    )]
    TooMany,
    #[error("it and others are too scattered for their order to be found out")]
    Scattered,
    #[error("the checkpoint was changed: {0}")]
    Checkpoint(String),
}

fn up_to(to: Option<u64>) -> String {
    to.map_or_else(String::new, |to| format!(", and so is every other up to {to}"))
}

impl Problem {
    /// One word for programs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Changed | Self::Malformed(_) => "changed",
            Self::Unchained => "unchained",
            Self::Conflict(_) => "conflict",
            Self::NotLinked(_) => "not-linked",
            Self::OutOfOrder(_) => "out-of-order",
            Self::Missing { .. } => "missing",
            Self::MissingTail { .. } => "missing-tail",
            Self::OtherHead => "other-head",
            Self::NotCompared { .. } => "not-compared",
            Self::TooMany => "too-many",
            Self::Scattered => "scattered",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "entry {seq}")?,
            None => f.write_str("an entry")?,
        }
        if let Some(chain) = self.chain {
            write!(f, " of chain {chain}")?;
        }
        if let Some(time) = &self.place.time {
            write!(f, ", {time}")?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.place.cursor {
            Some(cursor) => write!(f, " (journalctl --cursor='{cursor}')"),
            None => Ok(()),
        }
    }
}
