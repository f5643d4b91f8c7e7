//! Typed eth2 requests: what a validator asks to have signed, and the root that is signed for it.
//!
//! The names are those of Web3Signer's public API. An unsigned integer is a string of decimal digits, bytes are
//! `0x` hex of exactly their length, members that nobody asked for are ignored.

mod domain;
mod shapes;

pub use domain::{MAINNET_GENESIS_VERSION, Network};

use crate::answer::Refusal;
use crate::requests;
use crate::ssz::{self, Root};
use domain::Purpose;
use shapes::{Body, ForkInfo};
pub(crate) use shapes::{Fixed, Uint64};

/// Slots of an epoch, on every network with the mainnet preset.
const SLOTS_PER_EPOCH: u64 = 32;

/// A typed request, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    /// What is signed.
    pub root: Root,
    /// What slashing protection must see first; none for what cannot be slashed.
    pub vote: Option<Vote>,
}

/// What a validator can be slashed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The chain.
    pub genesis_validators_root: Root,
    /// What it says.
    pub kind: VoteKind,
}

/// What a vote says, as far as slashing is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteKind {
    /// A proposal.
    Block {
        /// Its slot.
        slot: u64,
    },
    /// An attestation.
    Attestation {
        /// The epoch of its source checkpoint.
        source: u64,
        /// The epoch of its target checkpoint.
        target: u64,
    },
}

impl Typed {
    /// Reads a body without `data`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also for a type that is not served.
    pub fn parse(body: &[u8], network: &Network) -> Result<Self, Refusal> {
        let body: Body = requests::parse(body)?;
        let plain = |fork_info: &ForkInfo, purpose, epoch, object| Self {
            root: domain::signing_root(object, fork_info.domain(purpose, epoch)),
            vote: None,
        };
        Ok(match body {
            Body::Attestation { fork_info, attestation: data } => Self {
                vote: fork_info
                    .vote(VoteKind::Attestation { source: data.source.epoch.0, target: data.target.epoch.0 }),
                ..plain(&fork_info, Purpose::Attestation, data.target.epoch.0, ssz::root(&data))
            },
            Body::BlockV2 { fork_info, beacon_block } => {
                let header = beacon_block.block_header;
                let epoch = header.slot.0 / SLOTS_PER_EPOCH;
                Self {
                    vote: fork_info.vote(VoteKind::Block { slot: header.slot.0 }),
                    ..plain(&fork_info, Purpose::Block, epoch, ssz::root(&header))
                }
            }
            Body::RandaoReveal { fork_info, randao_reveal } => {
                let epoch = randao_reveal.epoch.0;
                plain(&fork_info, Purpose::Randao, epoch, ssz::root(&epoch))
            }
            Body::AggregationSlot { fork_info, aggregation_slot } => {
                let slot = aggregation_slot.slot.0;
                plain(&fork_info, Purpose::AggregationSlot, slot / SLOTS_PER_EPOCH, ssz::root(&slot))
            }
            Body::VoluntaryExit { fork_info, voluntary_exit: exit } => {
                let domain = fork_info.exit_domain(exit.epoch.0);
                Self { root: domain::signing_root(ssz::root(&exit), domain), vote: None }
            }
            Body::SyncCommitteeMessage { fork_info, sync_committee_message: message } => {
                let epoch = message.slot.0 / SLOTS_PER_EPOCH;
                plain(&fork_info, Purpose::SyncCommittee, epoch, message.beacon_block_root.0)
            }
            Body::ValidatorRegistration { validator_registration } => {
                let domain = network.domain(Purpose::ApplicationBuilder);
                Self { root: domain::signing_root(ssz::root(&validator_registration), domain), vote: None }
            }
        })
    }
}
