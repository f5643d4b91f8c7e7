//! The spool: entries in order, each behind a line with its length and when it began to wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::super::chain::{ChainId, Hash, Link, Sealed};

/// Larger than any spool that this program leaves.
const LONGEST: u64 = 16 * 1024 * 1024;

/// An entry that journald did not take yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The entry.
    pub sealed: Sealed,
    /// Since when, in microseconds since 1970.
    pub since: u64,
}

impl Waiting {
    fn line(&self) -> String {
        format!("{} {}\n", self.sealed.datagram.len(), self.since)
    }

    /// How much room it takes.
    pub fn on_disk(&self) -> u64 {
        (self.line().len() + self.sealed.datagram.len()) as u64
    }
}

pub(super) fn write(entries: &[Waiting]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(entry.line().as_bytes());
        bytes.extend_from_slice(&entry.sealed.datagram);
    }
    bytes
}

pub(super) fn read(file: &File) -> io::Result<Vec<Waiting>> {
    let length = file.metadata()?.len().min(LONGEST);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(parse(&bytes))
}

fn parse(mut bytes: &[u8]) -> Vec<Waiting> {
    let mut entries = Vec::new();
    while let Some((entry, rest)) = next(bytes) {
        entries.push(entry);
        bytes = rest;
    }
    entries
}

fn next(bytes: &[u8]) -> Option<(Waiting, &[u8])> {
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    let (length, since) = std::str::from_utf8(&bytes[..line]).ok()?.split_once(' ')?;
    let (datagram, rest) = bytes[line + 1..].split_at_checked(length.parse().ok()?)?;
    let link = link(std::str::from_utf8(datagram).ok()?)?;
    let sealed = Sealed { link, datagram: datagram.to_vec() };
    Some((Waiting { sealed, since: since.parse().ok()? }, rest))
}

/// The place that an entry says it has.
fn link(datagram: &str) -> Option<Link> {
    let field = |name: &str| datagram.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let chain: ChainId = field("AUDIT_CHAIN")?.parse().ok()?;
    Some(Link { chain, seq: field("AUDIT_SEQ")?.parse().ok()?, hash: field("AUDIT_HASH")?.parse::<Hash>().ok()? })
}
