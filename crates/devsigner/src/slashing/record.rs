//! What is remembered of one key, and the rules.

use std::fmt;

use contract::BlsPublicKey;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use super::Interchange;
use super::interchange::{SignedAttestation, SignedBlock};
use crate::ssz::Root;
use crate::typed::{Fixed, Uint64, Vote, VoteKind};

const VERSION: u32 = 1;

/// Why a vote could be slashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// It is for another chain than what was signed before.
    OtherChain,
    /// Another block was signed for this slot.
    DoubleBlock {
        /// The slot.
        slot: u64,
    },
    /// A block was signed for a later slot.
    OldBlock {
        /// The slot asked for.
        slot: u64,
        /// The highest slot signed.
        highest: u64,
    },
    /// The source is after the target.
    Backwards,
    /// It would surround, or might be surrounded by, an earlier one.
    OldSource {
        /// The source epoch asked for.
        source: u64,
        /// The highest source epoch signed.
        highest: u64,
    },
    /// Another attestation was signed for this target.
    DoubleVote {
        /// The target epoch.
        target: u64,
    },
    /// An attestation was signed for a later target.
    OldTarget {
        /// The target epoch asked for.
        target: u64,
        /// The highest target epoch signed.
        highest: u64,
    },
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherChain => f.write_str("the genesis validators root is that of another chain"),
            Self::DoubleBlock { slot } => write!(f, "a block for slot {slot} was signed, and this is another"),
            Self::OldBlock { slot, highest } => {
                write!(f, "slot {slot} is below {highest}, the highest that was signed")
            }
            Self::Backwards => f.write_str("the source epoch is after the target epoch"),
            Self::OldSource { source, highest } => {
                write!(f, "source epoch {source} is below {highest}, the highest that was signed")
            }
            Self::DoubleVote { target } => {
                write!(f, "an attestation for target epoch {target} was signed, and this is another")
            }
            Self::OldTarget { target, highest } => {
                write!(f, "target epoch {target} is below {highest}, the highest that was signed")
            }
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It is not the JSON of a record.
    #[error("read or write it as JSON")]
    Json(#[source] serde_json::Error),
    /// Its checksum is another.
    #[error("its checksum differs")]
    Checksum,
    /// It was written by a later version.
    #[error("its version is {0}, and this signer knows 1")]
    Version(u32),
    /// It is about another key than its name says.
    #[error("it is about another key")]
    OtherKey,
    /// It names no chain.
    #[error("it holds no genesis validators root")]
    Chain,
}

/// The watermarks of a key. Members are never left out of the file: one that is missing is damage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    pub(super) pubkey: BlsPublicKey,
    #[serde(deserialize_with = "present")]
    genesis_validators_root: Option<Fixed<32>>,
    #[serde(deserialize_with = "present")]
    pub(super) block: Option<SignedBlock>,
    #[serde(deserialize_with = "present")]
    pub(super) attestation: Option<SignedAttestation>,
}

/// `null` or a value, but there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

/// A record in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    record: Record,
    /// Over the record's compact JSON, so that a changed digit is found.
    sha256: Fixed<32>,
}

/// What becomes of a vote that is safe.
pub(super) enum Verdict {
    /// It is the one that set the watermark.
    Again,
    /// It sets the watermark.
    New(Record),
}

impl Record {
    pub(super) fn new(pubkey: BlsPublicKey) -> Self {
        Self { version: VERSION, pubkey, genesis_validators_root: None, block: None, attestation: None }
    }

    pub(super) fn parse(content: &[u8], key: &BlsPublicKey) -> Result<Self, Damage> {
        let Sealed { record, sha256 } = serde_json::from_slice(content).map_err(Damage::Json)?;
        if record.version != VERSION {
            return Err(Damage::Version(record.version));
        }
        if record.checksum()? != sha256 {
            return Err(Damage::Checksum);
        }
        if record.pubkey == *key { Ok(record) } else { Err(Damage::OtherKey) }
    }

    pub(super) fn to_file(&self) -> Result<Vec<u8>, Damage> {
        let sealed = Sealed { record: self.clone(), sha256: self.checksum()? };
        let mut content = serde_json::to_vec_pretty(&sealed).map_err(Damage::Json)?;
        content.push(b'\n');
        Ok(content)
    }

    fn checksum(&self) -> Result<Fixed<32>, Damage> {
        let json = serde_json::to_vec(self).map_err(Damage::Json)?;
        Ok(Fixed(Sha256::digest(json).into()))
    }

    /// Whether a vote is safe, and the record that remembers it.
    pub(super) fn judge(&self, vote: &Vote, root: &Root) -> Result<Verdict, Unsafe> {
        self.check_chain(&vote.genesis_validators_root)?;
        let root = Some(Fixed(*root));
        let mut record = self.clone();
        record.genesis_validators_root = Some(Fixed(vote.genesis_validators_root));
        match vote.kind {
            VoteKind::Block { slot } => {
                if let Some(last) = &self.block {
                    match slot.cmp(&last.slot.0) {
                        std::cmp::Ordering::Greater => {}
                        std::cmp::Ordering::Equal if last.signing_root == root => return Ok(Verdict::Again),
                        std::cmp::Ordering::Equal => return Err(Unsafe::DoubleBlock { slot }),
                        std::cmp::Ordering::Less => return Err(Unsafe::OldBlock { slot, highest: last.slot.0 }),
                    }
                }
                record.block = Some(SignedBlock { slot: Uint64(slot), signing_root: root });
            }
            VoteKind::Attestation { source, target } => {
                if source > target {
                    return Err(Unsafe::Backwards);
                }
                if let Some(last) = &self.attestation {
                    match target.cmp(&last.target_epoch.0) {
                        std::cmp::Ordering::Greater => {}
                        std::cmp::Ordering::Equal if last.signing_root == root => return Ok(Verdict::Again),
                        std::cmp::Ordering::Equal => return Err(Unsafe::DoubleVote { target }),
                        std::cmp::Ordering::Less => {
                            return Err(Unsafe::OldTarget { target, highest: last.target_epoch.0 });
                        }
                    }
                    if source < last.source_epoch.0 {
                        return Err(Unsafe::OldSource { source, highest: last.source_epoch.0 });
                    }
                }
                record.attestation = Some(SignedAttestation {
                    source_epoch: Uint64(source),
                    target_epoch: Uint64(target),
                    signing_root: root,
                });
            }
        }
        Ok(Verdict::New(record))
    }

    /// The record with at least the watermarks of an interchange.
    pub(super) fn raised(&self, interchange: &Interchange, chain: &Root) -> Result<Self, Unsafe> {
        self.check_chain(chain)?;
        let mut record = self.clone();
        record.genesis_validators_root = Some(Fixed(*chain));
        for (blocks, attestations) in interchange.of(&self.pubkey) {
            for block in blocks {
                record.block = Some(record.block.map_or(*block, |last| last.higher(block)));
            }
            for vote in attestations {
                record.attestation = Some(record.attestation.map_or(*vote, |last| last.higher(vote)));
            }
        }
        Ok(record)
    }

    fn check_chain(&self, root: &Root) -> Result<(), Unsafe> {
        match self.genesis_validators_root {
            Some(Fixed(chain)) if chain != *root => Err(Unsafe::OtherChain),
            _ => Ok(()),
        }
    }
}
