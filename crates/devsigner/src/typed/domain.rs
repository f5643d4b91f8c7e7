//! What a signature is good for: domains, as the consensus specification has them.

use tree_hash_derive::TreeHash;

use super::shapes::ForkInfo;
use super::{Vote, VoteKind};
use crate::ssz::{self, Root};

/// The fork version of mainnet at genesis.
pub const MAINNET_GENESIS_VERSION: [u8; 4] = [0; 4];
/// Mainnet, by the root of its first validators.
const MAINNET: Root = [
    0x4b, 0x36, 0x3d, 0xb9, 0x4e, 0x28, 0x61, 0x20, 0xd7, 0x6e, 0xb9, 0x05, 0x34, 0x0f, 0xdd, 0x4e, 0x54, 0xbf, 0xe9,
    0xf0, 0x6b, 0xf3, 0x3f, 0xf6, 0xcf, 0x5a, 0xd2, 0x7f, 0x51, 0x1b, 0xfe, 0x95,
];
const MAINNET_CAPELLA_VERSION: [u8; 4] = [3, 0, 0, 0];
const MAINNET_DENEB_EPOCH: u64 = 269_568;

/// What a request does not say of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The fork version at genesis.
    pub genesis_version: [u8; 4],
    /// Slots of an epoch.
    pub slots_per_epoch: u64,
    /// The first slot with sync committees.
    pub altair_slot: u64,
}

impl Network {
    /// Ethereum's.
    pub const MAINNET: Self =
        Self { genesis_version: MAINNET_GENESIS_VERSION, slots_per_epoch: 32, altair_slot: 2_375_680 };
    /// Small epochs, and every fork from the first slot on.
    pub const MINIMAL: Self = Self { genesis_version: [0, 0, 0, 1], slots_per_epoch: 8, altair_slot: 0 };
}

impl Default for Network {
    /// Mainnet, as with Web3Signer.
    fn default() -> Self {
        Self::MAINNET
    }
}

/// The domain types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Block,
    Attestation,
    Randao,
    VoluntaryExit,
    AggregationSlot,
    SyncCommittee,
    ApplicationBuilder,
}

impl Purpose {
    fn domain_type(self) -> [u8; 4] {
        match self {
            Self::Block => [0, 0, 0, 0],
            Self::Attestation => [1, 0, 0, 0],
            Self::Randao => [2, 0, 0, 0],
            Self::VoluntaryExit => [4, 0, 0, 0],
            Self::AggregationSlot => [5, 0, 0, 0],
            Self::SyncCommittee => [7, 0, 0, 0],
            // The one that is not of the beacon chain, so it counts from the other end.
            Self::ApplicationBuilder => [0, 0, 0, 1],
        }
    }
}

impl ForkInfo {
    /// The domain at an epoch: a fork is in force from its own epoch on.
    pub(super) fn domain(&self, purpose: Purpose, epoch: u64) -> Root {
        let fork = &self.fork;
        let version = if epoch < fork.epoch.0 { fork.previous_version } else { fork.current_version };
        domain(purpose, version.0, self.genesis_validators_root.0)
    }

    /// An exit stays valid for ever since Deneb (EIP-7044): its domain is then Capella's, whatever fork is in force.
    /// Which version that is a `fork_info` does not say, so it is known here for mainnet alone.
    pub(super) fn exit_domain(&self, epoch: u64) -> Root {
        if self.genesis_validators_root.0 == MAINNET && epoch >= MAINNET_DENEB_EPOCH {
            domain(Purpose::VoluntaryExit, MAINNET_CAPELLA_VERSION, MAINNET)
        } else {
            self.domain(Purpose::VoluntaryExit, epoch)
        }
    }

    pub(super) fn vote(&self, kind: VoteKind) -> Option<Vote> {
        Some(Vote { genesis_validators_root: self.genesis_validators_root.0, kind })
    }
}

impl Network {
    /// The domain of what belongs to no fork: the version at genesis and no validators.
    pub(super) fn domain(&self, purpose: Purpose) -> Root {
        domain(purpose, self.genesis_version, [0; 32])
    }
}

#[derive(TreeHash)]
struct ForkData {
    current_version: [u8; 4],
    genesis_validators_root: Root,
}

#[derive(TreeHash)]
struct SigningData {
    object_root: Root,
    domain: Root,
}

fn domain(purpose: Purpose, version: [u8; 4], genesis_validators_root: Root) -> Root {
    let fork_data = ssz::root(&ForkData { current_version: version, genesis_validators_root });
    let mut domain = [0; 32];
    domain[..4].copy_from_slice(&purpose.domain_type());
    domain[4..].copy_from_slice(&fork_data[..28]);
    domain
}

pub(super) fn signing_root(object_root: Root, domain: Root) -> Root {
    ssz::root(&SigningData { object_root, domain })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fork digests are published, in every client and on every peer's wire: the first four bytes of the fork data.
    #[test]
    fn the_fork_digests_of_mainnet_come_out() {
        for (version, digest) in [(0, "b5303f2a"), (1, "afcaaba0"), (2, "4a26c58b"), (3, "bba4da96"), (4, "6a95a1a9")] {
            let domain = domain(Purpose::Block, [version, 0, 0, 0], MAINNET);
            assert_eq!(hex::encode(&domain[4..8]), digest, "{version}");
        }
    }

    #[test]
    fn the_builder_domain_of_mainnet_is_the_one_that_relays_publish() {
        let domain = Network::default().domain(Purpose::ApplicationBuilder);
        assert_eq!(hex::encode(domain), "00000001f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a9");
    }
}
