//! Every vote that a key signed, or is said to have signed elsewhere: one line each, added at the end of a file.
//!
//! Safety does not rest on it. What may be signed anew is decided by the watermarks of the record; this says which votes
//! below them were signed before, so that they may be signed again, and what a deleted key has signed. A line that was
//! lost only makes a vote that could be signed again one that is refused.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::interchange::{SignedAttestation, SignedBlock};
use crate::requests::hex_text;
use crate::ssz::Root;
use crate::store::StoreError;
use crate::store::folder;
use crate::typed::{Fixed, Uint64, Vote, VoteKind};

/// The longest history that is read: hundreds of thousands of votes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A vote as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Block(SignedBlock),
    Attestation(SignedAttestation),
}

impl Past {
    pub(super) fn of(vote: &Vote, root: &Root) -> Self {
        let signing_root = Some(Fixed(*root));
        match vote.kind {
            VoteKind::Block { slot } => Self::Block(SignedBlock { slot: Uint64(slot), signing_root }),
            VoteKind::Attestation { source, target } => Self::Attestation(SignedAttestation {
                source_epoch: Uint64(source),
                target_epoch: Uint64(target),
                signing_root,
            }),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let mut number = || words.next()?.parse().ok().map(Uint64);
        let past = match kind {
            "block" => {
                let slot = number()?;
                Self::Block(SignedBlock { slot, signing_root: root(words.next()?)? })
            }
            "attestation" => {
                let (source_epoch, target_epoch) = (number()?, number()?);
                Self::Attestation(SignedAttestation { source_epoch, target_epoch, signing_root: root(words.next()?)? })
            }
            _ => return None,
        };
        words.next().is_none().then_some(past)
    }
}

/// `-` for a vote whose root nobody told.
fn root(text: &str) -> Option<Option<Fixed<32>>> {
    if text == "-" {
        return Some(None);
    }
    let mut root = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut root).ok()?;
    Some(Some(Fixed(root)))
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |root: &Option<Fixed<32>>| root.map_or_else(|| "-".to_owned(), |Fixed(root)| hex_text(root));
        match self {
            Self::Block(SignedBlock { slot, signing_root }) => write!(f, "block {} {}", slot.0, text(signing_root)),
            Self::Attestation(SignedAttestation { source_epoch, target_epoch, signing_root }) => {
                write!(f, "attestation {} {} {}", source_epoch.0, target_epoch.0, text(signing_root))
            }
        }
    }
}

/// The votes in the file, oldest first. A file that is not there has none; a line that was cut off is none.
pub(super) fn read(path: &Path) -> Result<Vec<Past>, StoreError> {
    match folder::read_up_to(path, MAX_BYTES) {
        Ok(content) => Ok(String::from_utf8_lossy(&content).lines().filter_map(Past::parse).collect()),
        Err(StoreError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Adds votes.
pub(super) fn append(path: &PathBuf, votes: &[Past]) -> Result<(), StoreError> {
    // The line's end comes before it: what a crash cut off must not spoil the line after it.
    let text: String = votes.iter().map(|vote| format!("\n{vote}")).collect();
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    };
    if votes.is_empty() {
        return Ok(());
    }
    write().map_err(|source| StoreError::Write { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(slot: u64, root: Option<u8>) -> Past {
        Past::Block(SignedBlock { slot: Uint64(slot), signing_root: root.map(|byte| Fixed([byte; 32])) })
    }

    #[test]
    fn what_was_added_is_read_back_in_order_and_a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history");
        assert_eq!(read(&path).expect("readable"), []);
        let attestation = Past::Attestation(SignedAttestation {
            source_epoch: Uint64(3),
            target_epoch: Uint64(u64::MAX),
            signing_root: Some(Fixed([0xab; 32])),
        });
        append(&path, &[block(1, Some(7)), attestation]).expect("written");
        let mut torn = std::fs::read(&path).expect("readable");
        torn.extend_from_slice(b"\nblock 5 0x00");
        std::fs::write(&path, torn).expect("written");
        append(&path, &[block(9, None)]).expect("written");
        append(&path, &[]).expect("nothing to write");
        assert_eq!(read(&path).expect("readable"), [block(1, Some(7)), attestation, block(9, None)]);
    }

    #[test]
    fn a_line_is_a_vote_or_nothing() {
        for line in ["", "block", "block 1", "block x -", "block 1 0x", "block 1 - -", "vote 1 -", "attestation 1 -"] {
            assert_eq!(Past::parse(line), None, "{line}");
        }
    }
}
