//! Typed eth2 requests: what a validator asks to have signed, and the root that is signed for it.
//!
//! The names are those of Web3Signer's public API. An unsigned integer is a string of decimal digits or a number, bytes
//! are `0x` hex of exactly their length, members that nobody asked for are ignored.

mod domain;
mod shapes;

pub use domain::{MAINNET_GENESIS_VERSION, Network};

use crate::answer::Refusal;
use crate::requests;
use crate::requests::HexBytes;
use crate::ssz::{self, Root};
use domain::Purpose;
use shapes::{Body, ForkInfo, Kind};
pub(crate) use shapes::{Fixed, Uint64};

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
    /// Reads a body, whatever `data` it has.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also for a type that is not served; [`Refusal::Unsignable`] if what the type needs is
    /// missing, or of no fork that the network has then; [`Refusal::RootMismatch`].
    pub fn parse(body: &[u8], network: &Network) -> Result<Self, Refusal> {
        check_object(body)?;
        let body: Body = requests::parse(body)?;
        let expected = body.signing_root.as_ref().map(|HexBytes(root)| root.clone());
        let typed = Self::of(body, network)?;
        match expected {
            Some(expected) if expected != typed.root => Err(Refusal::RootMismatch),
            _ => Ok(typed),
        }
    }

    fn of(body: Body, network: &Network) -> Result<Self, Refusal> {
        let epoch_of = |slot: Uint64| slot.0 / network.slots_per_epoch;
        let plain = |fork_info: &ForkInfo, purpose, epoch, object| Self {
            root: domain::signing_root(object, fork_info.domain(purpose, epoch)),
            vote: None,
        };
        let fork_info = body.fork_info;
        let fork_info = move || needed(fork_info, "fork_info");
        Ok(match body.kind {
            Kind::Attestation => {
                let (fork_info, data) = (fork_info()?, needed(body.attestation, "attestation")?);
                Self {
                    vote: fork_info
                        .vote(VoteKind::Attestation { source: data.source.epoch.0, target: data.target.epoch.0 }),
                    ..plain(&fork_info, Purpose::Attestation, data.target.epoch.0, ssz::root(&data))
                }
            }
            Kind::BlockV2 => {
                let (fork_info, block) = (fork_info()?, needed(body.beacon_block, "beacon_block")?);
                let header = needed(block.block_header, "beacon_block.block_header")?;
                Self {
                    vote: fork_info.vote(VoteKind::Block { slot: header.slot.0 }),
                    ..plain(&fork_info, Purpose::Block, epoch_of(header.slot), ssz::root(&header))
                }
            }
            Kind::RandaoReveal => {
                let (fork_info, reveal) = (fork_info()?, needed(body.randao_reveal, "randao_reveal")?);
                plain(&fork_info, Purpose::Randao, reveal.epoch.0, ssz::root(&reveal.epoch))
            }
            Kind::AggregationSlot => {
                let (fork_info, at) = (fork_info()?, needed(body.aggregation_slot, "aggregation_slot")?);
                plain(&fork_info, Purpose::AggregationSlot, epoch_of(at.slot), ssz::root(&at.slot))
            }
            Kind::VoluntaryExit => {
                let (fork_info, exit) = (fork_info()?, needed(body.voluntary_exit, "voluntary_exit")?);
                let domain = fork_info.exit_domain(exit.epoch.0);
                Self { root: domain::signing_root(ssz::root(&exit), domain), vote: None }
            }
            Kind::SyncCommitteeMessage => {
                let fork_info = fork_info()?;
                let message = needed(body.sync_committee_message, "sync_committee_message")?;
                if message.slot.0 < network.altair_slot {
                    let first = network.altair_slot;
                    return Err(Refusal::Unsignable(format!("the network has sync committees from slot {first} on")));
                }
                plain(&fork_info, Purpose::SyncCommittee, epoch_of(message.slot), message.beacon_block_root.0)
            }
            Kind::ValidatorRegistration => {
                let registration = needed(body.validator_registration, "validator_registration")?;
                let domain = network.domain(Purpose::ApplicationBuilder);
                Self { root: domain::signing_root(ssz::root(&registration), domain), vote: None }
            }
        })
    }
}

/// Whether a body may be a request at all.
pub(crate) fn check_object(body: &[u8]) -> Result<(), Refusal> {
    // Stock reads this as a request and finds it missing later.
    if body.trim_ascii() == b"null" {
        return Err(Refusal::Unsignable("the body is null".to_owned()));
    }
    // The derived code would also take a list of the members.
    match body.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        Some(_) | None => Err(Refusal::malformed("the body is no JSON object")),
    }
}

/// A member that the type needs. Stock reads a request without it, and fails while it signs.
fn needed<T>(member: Option<T>, name: &str) -> Result<T, Refusal> {
    member.ok_or_else(|| Refusal::Unsignable(format!("{name} is missing")))
}
