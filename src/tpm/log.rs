//! What was extended since the host was started: enough to compute the value of the PCR anew, and to see where something else
//! extended it too.

use std::io;
use std::path::Path;

use contract::Digest;
use serde::{Deserialize, Serialize};

use super::extended;
use crate::{clock, durable};

/// The form of the file.
const VERSION: u32 = 1;
/// Entries that are kept; the older half of more becomes part of the baseline.
const MOST: usize = 2048;
/// A file beyond this is none of ours.
const MAX: u64 = 1024 * 1024;

/// The log of one boot and one PCR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Log {
    pub version: u32,
    pub boot_id: String,
    pub pcr: u8,
    /// The value that was found before the first entry.
    pub baseline: Digest,
    /// Older entries that the baseline holds.
    pub folded: u64,
    pub entries: Vec<Entry>,
}

/// One launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Entry {
    pub time: String,
    pub digest: Digest,
    /// Whether it is known to have been extended.
    pub done: bool,
    /// The value that the PCR had before, where the log does not account for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Digest>,
}

impl Log {
    /// With nothing in it yet.
    pub fn new(boot_id: String, pcr: u8, baseline: Digest) -> Self {
        Self { version: VERSION, boot_id, pcr, baseline, folded: 0, entries: Vec::new() }
    }

    /// The log of this boot and this PCR; none where there is no such.
    ///
    /// # Errors
    /// What the file system reports, and a file that is no log.
    pub fn read(path: &Path, pcr: u8) -> io::Result<Option<Self>> {
        let Some(bytes) = durable::read(path, MAX)? else { return Ok(None) };
        let log: Self = serde_json::from_slice(&bytes)?;
        let is_ours = log.version == VERSION && log.pcr == pcr && clock::is_of_this_boot(path, &log.boot_id);
        Ok(is_ours.then_some(log))
    }

    /// Puts it in the place of the old one, for everybody to read.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::from)?;
        durable::publish(path, &text)
    }

    /// The value that the PCR has where nothing else extended it.
    pub fn replay(&self) -> Digest {
        replay(self.baseline, &self.entries)
    }

    /// Finds out, by the value that the PCR has, whether an extend was done before whose end was not noted: by a process that
    /// was killed in between.
    pub fn settle(&mut self, value: Digest) {
        let Some((last, before)) = self.entries.split_last_mut().filter(|(last, _)| !last.done) else { return };
        let was = last.found.unwrap_or_else(|| replay(self.baseline, before));
        if extended(was, last.digest) == value {
            last.done = true;
        } else if was == value {
            self.entries.pop();
        }
        // Otherwise nobody knows, and the next entry says that.
    }

    /// Notes that a digest is about to be extended into a PCR that has this value. Says whether the log accounts for it.
    pub fn intend(&mut self, digest: Digest, time: String, value: Digest) -> bool {
        self.settle(value);
        let accounted = self.replay() == value;
        if self.entries.len() >= MOST {
            let older: Vec<_> = self.entries.drain(..MOST / 2).collect();
            self.baseline = replay(self.baseline, &older);
            self.folded += older.len() as u64;
        }
        self.entries.push(Entry { time, digest, done: false, found: (!accounted).then_some(value) });
        accounted
    }

    /// Notes that it was.
    pub fn done(&mut self) {
        if let Some(last) = self.entries.last_mut() {
            last.done = true;
        }
    }
}

fn replay(baseline: Digest, entries: &[Entry]) -> Digest {
    entries.iter().fold(baseline, |value, entry| {
        let before = entry.found.unwrap_or(value);
        if entry.done { extended(before, entry.digest) } else { before }
    })
}

#[cfg(test)]
mod tests;
