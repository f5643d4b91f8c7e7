//! The head: one line of a fixed length.

use std::fmt;

use super::super::chain::{ChainId, Hash, Link};

const FORM: &str = "cryftgo-tee-audit-head-1";

/// Whether a process of the service has the trail open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It has, or had when it was killed.
    Open,
    /// The last one closed it.
    Shut,
}

/// Where the chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The last entry.
    pub link: Link,
    /// Up to which entry journald has had the time to write its files to the disk.
    pub settled: u64,
    /// The boot of the last entry.
    pub boot: String,
    /// Whether the service closed the trail.
    pub run: Run,
}

impl Head {
    /// Before the first entry.
    pub(in super::super) fn new(chain: ChainId) -> Self {
        Self { link: Link::genesis(chain), settled: 0, boot: "0".repeat(32), run: Run::Shut }
    }

    /// Reads what [`fmt::Display`] writes, and nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.strip_suffix('\n')?.split(' ').collect();
        let [form, chain, seq, hash, settled, boot, run] = words[..] else { return None };
        let run = match run {
            "open" => Run::Open,
            "shut" => Run::Shut,
            _ => return None,
        };
        let link = Link { chain: chain.parse().ok()?, seq: seq.parse().ok()?, hash: hash.parse::<Hash>().ok()? };
        let head = Self { link, settled: settled.parse().ok()?, boot: boot.to_owned(), run };
        (form == FORM && head.to_string() == text && boot.len() == 32).then_some(head)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link: Link { chain, seq, hash }, settled, boot, run } = self;
        let run = if *run == Run::Open { "open" } else { "shut" };
        writeln!(f, "{FORM} {chain} {seq:020} {hash} {settled:020} {boot} {run}")
    }
}
