//! The JSON of typed requests. What has a root of its own (`TreeHash`) has its fields in the order of the SSZ container.

use std::fmt;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tree_hash_derive::TreeHash;

use crate::requests::{self, HexBytes};

/// An unsigned integer: written as a string of decimal digits, read as a number too, as Web3Signer reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Uint64(pub(crate) u64);

impl<'de> Deserialize<'de> for Uint64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Uint64Visitor)
    }
}

struct Uint64Visitor;

impl Visitor<'_> for Uint64Visitor {
    type Value = Uint64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer below 2^64, as decimal digits in a string or as a number")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Uint64, E> {
        Ok(Uint64(value))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Uint64, E> {
        // Rust would also read a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse().ok().filter(|_| digits);
        value.map(Uint64).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl Serialize for Uint64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// `0x` and the hex of exactly this many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fixed<const N: usize>(pub(crate) [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let mut bytes = [0; N];
        text.strip_prefix("0x")
            .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
            .map(|()| Self(bytes))
            .ok_or_else(|| D::Error::custom(format!("expected 0x and {} hex digits", 2 * N)))
    }
}

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&requests::hex_text(self.0))
    }
}

/// A request. What its type needs is looked for only once it is read, since that is another answer.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    // Web3Signer takes both spellings.
    #[serde(rename = "signingRoot", alias = "signing_root")]
    pub(super) signing_root: Option<HexBytes>,
    pub(super) fork_info: Option<ForkInfo>,
    pub(super) attestation: Option<AttestationData>,
    pub(super) beacon_block: Option<BeaconBlock>,
    pub(super) randao_reveal: Option<AtEpoch>,
    pub(super) aggregation_slot: Option<AtSlot>,
    pub(super) voluntary_exit: Option<VoluntaryExit>,
    pub(super) sync_committee_message: Option<SyncCommitteeMessage>,
    pub(super) validator_registration: Option<ValidatorRegistration>,
}

/// The types that are signed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Attestation,
    BlockV2,
    RandaoReveal,
    AggregationSlot,
    VoluntaryExit,
    SyncCommitteeMessage,
    ValidatorRegistration,
}

impl Kind {
    const NAMES: [(&'static str, Self); 7] = [
        ("ATTESTATION", Self::Attestation),
        ("BLOCK_V2", Self::BlockV2),
        ("RANDAO_REVEAL", Self::RandaoReveal),
        ("AGGREGATION_SLOT", Self::AggregationSlot),
        ("VOLUNTARY_EXIT", Self::VoluntaryExit),
        ("SYNC_COMMITTEE_MESSAGE", Self::SyncCommitteeMessage),
        ("VALIDATOR_REGISTRATION", Self::ValidatorRegistration),
    ];
}

impl<'de> Deserialize<'de> for Kind {
    /// In either case.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let known = Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            D::Error::custom(format!("the type {text:?} is not signed here: it may be {names}"))
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ForkInfo {
    pub(super) fork: Fork,
    pub(super) genesis_validators_root: Fixed<32>,
}

#[derive(Deserialize)]
pub(super) struct Fork {
    pub(super) previous_version: Fixed<4>,
    pub(super) current_version: Fixed<4>,
    pub(super) epoch: Uint64,
}

#[derive(Deserialize)]
pub(super) struct AtEpoch {
    pub(super) epoch: Uint64,
}

#[derive(Deserialize)]
pub(super) struct AtSlot {
    pub(super) slot: Uint64,
}

#[derive(Deserialize, TreeHash)]
pub(super) struct AttestationData {
    slot: Uint64,
    index: Uint64,
    beacon_block_root: Fixed<32>,
    pub(super) source: Checkpoint,
    pub(super) target: Checkpoint,
}

#[derive(Deserialize, TreeHash)]
pub(super) struct Checkpoint {
    pub(super) epoch: Uint64,
    root: Fixed<32>,
}

/// From Bellatrix on Web3Signer takes a block by its header; before, whole, which is not served here.
#[derive(Deserialize)]
pub(super) struct BeaconBlock {
    #[serde(rename = "version")]
    _version: HeaderVersion,
    pub(super) block_header: Option<BlockHeader>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum HeaderVersion {
    Bellatrix,
    Capella,
    Deneb,
    Electra,
    Fulu,
}

#[derive(Deserialize, TreeHash)]
pub(super) struct BlockHeader {
    pub(super) slot: Uint64,
    proposer_index: Uint64,
    parent_root: Fixed<32>,
    state_root: Fixed<32>,
    body_root: Fixed<32>,
}

#[derive(Deserialize, TreeHash)]
pub(super) struct VoluntaryExit {
    pub(super) epoch: Uint64,
    validator_index: Uint64,
}

/// The object of the signature is the block root alone; the slot says which fork is in force.
#[derive(Deserialize)]
pub(super) struct SyncCommitteeMessage {
    pub(super) beacon_block_root: Fixed<32>,
    pub(super) slot: Uint64,
}

#[derive(Deserialize, TreeHash)]
pub(super) struct ValidatorRegistration {
    fee_recipient: Fixed<20>,
    gas_limit: Uint64,
    timestamp: Uint64,
    pubkey: Fixed<48>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_mainnets_first_block_comes_out() {
        let header: BlockHeader = serde_json::from_str(
            r#"{"slot":"0","proposer_index":"0",
                "parent_root":"0x0000000000000000000000000000000000000000000000000000000000000000",
                "state_root":"0x7e76880eb67bbdc86250aa578958e9d0675e64e714337855204fb5abaaf82c2b",
                "body_root":"0xccb62460692be0ec813b56be97f68a82cf57abc102e27bf49ebf4190ff22eedd"}"#,
        )
        .expect("a header");
        let published = "4d611d5b93fdab69013a7f0a2f961caca0c853f87cfe9595fe50038163079360";
        assert_eq!(hex::encode(crate::ssz::root(&header)), published);
    }

    #[test]
    fn integers_are_digits_or_numbers_below_2_to_the_64() {
        for (text, value) in [("\"0\"", 0), ("\"007\"", 7), ("\"18446744073709551615\"", u64::MAX)] {
            assert_eq!(serde_json::from_str::<Uint64>(text).ok(), Some(Uint64(value)), "{text}");
        }
        assert_eq!(serde_json::from_str::<Uint64>("5").ok(), Some(Uint64(5)));
        for text in [
            "-5",
            "5.0",
            "18446744073709551616",
            "\"\"",
            "\"+5\"",
            "\"-1\"",
            "\"0x5\"",
            "\" 5\"",
            "\"18446744073709551616\"",
            "null",
        ] {
            assert!(serde_json::from_str::<Uint64>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_have_exactly_their_length() {
        assert_eq!(serde_json::from_str::<Fixed<4>>("\"0xABcd0102\"").ok(), Some(Fixed([0xab, 0xcd, 1, 2])));
        for text in ["\"abcd0102\"", "\"0xabcd01\"", "\"0xabcd010203\"", "\"0xabcd010g\"", "5"] {
            assert!(serde_json::from_str::<Fixed<4>>(text).is_err(), "{text}");
        }
    }
}
