//! The interchange format of EIP-3076, version 5.

use contract::BlsPublicKey;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::history::Past;
use super::record::Record;
use crate::ssz::Root;
use crate::typed::{Fixed, Uint64};

const VERSION: &str = "5";

/// Why a text is no interchange that this signer can use.
#[derive(Debug, thiserror::Error)]
pub enum NotInterchange {
    /// It is not its JSON.
    #[error("parse the slashing protection data")]
    Json(#[source] serde_json::Error),
    /// It has another version than 5.
    #[error("the slashing protection data has version {0:?}: only \"5\" is supported")]
    Version(String),
    /// It tells of votes, and not of which chain.
    #[error("the slashing protection data names no chain")]
    NoChain,
}

/// What keys of one chain have signed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Interchange {
    metadata: Metadata,
    data: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    interchange_format_version: String,
    /// Always there by the EIP; Web3Signer leaves it out as long as it knows no chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    genesis_validators_root: Option<Fixed<32>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(deserialize_with = "in_any_spelling")]
    pubkey: BlsPublicKey,
    signed_blocks: Vec<SignedBlock>,
    signed_attestations: Vec<SignedAttestation>,
}

fn in_any_spelling<'de, D: Deserializer<'de>>(from: D) -> Result<BlsPublicKey, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    BlsPublicKey::normalise(&text).map_err(D::Error::custom)
}

/// A block that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignedBlock {
    pub(super) slot: Uint64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signing_root: Option<Fixed<32>>,
}

impl SignedBlock {
    /// The watermark of both. Where two of one slot differ, neither may be signed again.
    pub(super) fn higher(self, other: &Self) -> Self {
        match self.slot.cmp(&other.slot) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => *other,
            std::cmp::Ordering::Equal => {
                Self { slot: self.slot, signing_root: self.signing_root.filter(|_| self == *other) }
            }
        }
    }
}

/// An attestation that was signed, or the watermark of several: then each epoch is the highest, and the root that
/// of the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignedAttestation {
    pub(super) source_epoch: Uint64,
    pub(super) target_epoch: Uint64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signing_root: Option<Fixed<32>>,
}

impl SignedAttestation {
    /// The watermark of both.
    pub(super) fn higher(self, other: &Self) -> Self {
        let signing_root = match self.target_epoch.cmp(&other.target_epoch) {
            std::cmp::Ordering::Greater => self.signing_root,
            std::cmp::Ordering::Less => other.signing_root,
            std::cmp::Ordering::Equal => self.signing_root.filter(|_| self.signing_root == other.signing_root),
        };
        Self {
            source_epoch: self.source_epoch.max(other.source_epoch),
            target_epoch: self.target_epoch.max(other.target_epoch),
            signing_root,
        }
    }
}

impl Interchange {
    /// An empty one for a chain, if there is one yet.
    pub fn new(chain: Option<Root>) -> Self {
        let metadata =
            Metadata { interchange_format_version: VERSION.to_owned(), genesis_validators_root: chain.map(Fixed) };
        Self { metadata, data: Vec::new() }
    }

    /// The same for another chain.
    #[must_use]
    pub fn on_chain(self, chain: Option<Root>) -> Self {
        Self { data: self.data, ..Self::new(chain) }
    }

    /// Reads one. Members that the EIP does not name are ignored, as it asks.
    ///
    /// # Errors
    /// [`NotInterchange`].
    pub fn parse(text: &str) -> Result<Self, NotInterchange> {
        let interchange: Self = serde_json::from_str(text).map_err(NotInterchange::Json)?;
        match interchange.metadata.interchange_format_version.as_str() {
            VERSION if interchange.chain().is_none() && !interchange.is_silent() => Err(NotInterchange::NoChain),
            VERSION => Ok(interchange),
            other => Err(NotInterchange::Version(other.to_owned())),
        }
    }

    /// The root of the chain's first validators; there is one if it tells of any vote.
    pub fn chain(&self) -> Option<Root> {
        self.metadata.genesis_validators_root.map(|root| root.0)
    }

    /// Whether it tells of no vote at all: then its chain means nothing, and may be a mere filler.
    pub fn is_silent(&self) -> bool {
        self.data.iter().all(|entry| entry.signed_blocks.is_empty() && entry.signed_attestations.is_empty())
    }

    /// What a key signed: a key may have several entries.
    pub(super) fn of(&self, key: &BlsPublicKey) -> impl Iterator<Item = (&[SignedBlock], &[SignedAttestation])> {
        let of_key = self.data.iter().filter(move |entry| entry.pubkey == *key);
        of_key.map(|entry| (entry.signed_blocks.as_slice(), entry.signed_attestations.as_slice()))
    }

    /// The same, vote by vote.
    pub(super) fn votes_of(&self, key: &BlsPublicKey) -> impl Iterator<Item = Past> {
        self.of(key).flat_map(|(blocks, attestations)| {
            let blocks = blocks.iter().copied().map(Past::Block);
            blocks.chain(attestations.iter().copied().map(Past::Attestation))
        })
    }

    /// Adds what a key signed, once: its history, and what the watermarks say beyond that.
    pub(super) fn add(&mut self, record: &Record, history: &[Past]) {
        let mut entry = Entry { pubkey: record.pubkey, signed_blocks: Vec::new(), signed_attestations: Vec::new() };
        for past in history {
            match past {
                Past::Block(block) => entry.signed_blocks.push(*block),
                Past::Attestation(attestation) => entry.signed_attestations.push(*attestation),
            }
        }
        let blocks = entry.signed_blocks.iter().map(|block| block.slot).max();
        entry.signed_blocks.extend(record.block.filter(|mark| blocks < Some(mark.slot)));
        let votes = &entry.signed_attestations;
        let (source, target) =
            (votes.iter().map(|vote| vote.source_epoch).max(), votes.iter().map(|vote| vote.target_epoch).max());
        let mark = record.attestation;
        let beyond = mark.filter(|mark| source < Some(mark.source_epoch) || target < Some(mark.target_epoch));
        entry.signed_attestations.extend(beyond);
        self.data.retain(|entry| entry.pubkey != record.pubkey);
        self.data.push(entry);
    }
}
