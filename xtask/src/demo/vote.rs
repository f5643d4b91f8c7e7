//! A vote as a validator client has it signed, and what is signed of it.
//!
//! The signing root is computed here, by the consensus specification and with plain SHA-256, so that the demo does not take
//! the signer's word for what it signed.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// `DOMAIN_BEACON_ATTESTER`.
const DOMAIN: [u8; 4] = [1, 0, 0, 0];
/// Electra on mainnet, and since when: an attestation has index 0 from then on.
const VERSION: [u8; 4] = [5, 0, 0, 0];
const PREVIOUS_VERSION: [u8; 4] = [4, 0, 0, 0];
const FORK_EPOCH: u64 = 364_032;
/// `genesis_validators_root` of a chain that there is not: this vote counts nowhere.
const CHAIN: [u8; 32] = [0x77; 32];

type Leaf = [u8; 32];

/// An attestation.
pub(super) struct Vote {
    slot: u64,
    index: u64,
    block: Leaf,
    source: (u64, Leaf),
    target: (u64, Leaf),
}

impl Vote {
    /// The one that the demo has signed. The very same vote may be signed again as often as you like.
    pub(super) const DEMO: Self = Self {
        slot: (FORK_EPOCH + 2) * 32,
        index: 0,
        block: [0x11; 32],
        source: (FORK_EPOCH + 1, [0x22; 32]),
        target: (FORK_EPOCH + 2, [0x33; 32]),
    };

    /// The typed body that Web3Signer takes.
    pub(super) fn body(&self) -> Value {
        let checkpoint = |(epoch, root): &(u64, Leaf)| json!({"epoch": epoch.to_string(), "root": hex(root)});
        json!({
            "type": "ATTESTATION",
            "fork_info": {
                "fork": {
                    "previous_version": hex(&PREVIOUS_VERSION),
                    "current_version": hex(&VERSION),
                    "epoch": FORK_EPOCH.to_string(),
                },
                "genesis_validators_root": hex(&CHAIN),
            },
            "attestation": {
                "slot": self.slot.to_string(),
                "index": self.index.to_string(),
                "beacon_block_root": hex(&self.block),
                "source": checkpoint(&self.source),
                "target": checkpoint(&self.target),
            },
        })
    }

    /// The 32 bytes that are signed.
    pub(super) fn signing_root(&self) -> Leaf {
        const NONE: Leaf = [0; 32];
        let checkpoint = |(epoch, root): &(u64, Leaf)| node(&number(*epoch), root);
        let left = node(&node(&number(self.slot), &number(self.index)), &node(&self.block, &checkpoint(&self.source)));
        let empty = node(&NONE, &NONE);
        let right = node(&node(&checkpoint(&self.target), &NONE), &empty);
        let mut version = NONE;
        version[..4].copy_from_slice(&VERSION);
        let mut domain = NONE;
        domain[..4].copy_from_slice(&DOMAIN);
        domain[4..].copy_from_slice(&node(&version, &CHAIN)[..28]);
        node(&node(&left, &right), &domain)
    }
}

/// The parent of two nodes of a Merkle tree.
fn node(left: &Leaf, right: &Leaf) -> Leaf {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

fn number(value: u64) -> Leaf {
    let mut leaf = [0; 32];
    leaf[..8].copy_from_slice(&value.to_le_bytes());
    leaf
}

fn hex(bytes: &[u8]) -> String {
    contract::Bytes(bytes.to_vec()).to_string()
}

#[cfg(test)]
mod tests {
    use cryfttee_devsigner::typed::{Network, Typed};

    use super::*;

    #[test]
    fn the_signing_root_is_the_one_that_the_signers_library_computes() {
        let body = Vote::DEMO.body().to_string();
        let typed = Typed::parse(body.as_bytes(), &Network::default()).expect("a typed request");
        assert_eq!(typed.root, Vote::DEMO.signing_root());
        let other = Vote { target: (FORK_EPOCH + 3, [0x33; 32]), ..Vote::DEMO };
        assert_ne!(typed.root, other.signing_root());
    }
}
