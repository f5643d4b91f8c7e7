//! The roots that are signed, of requests with other values in every field each time: the signer's, which a crate
//! computes, against those of plain SHA-256 (`support/merkle.rs`).

mod support;

use cryfttee_devsigner::typed::{Network, Typed};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::merkle::{Root, bytes, bytes48, container, uint64};

const ROUNDS: u64 = 200;

/// Values that differ from field to field and from round to round, and are the same in every run.
struct Values(Root);

impl Values {
    fn of_round(round: u64) -> Self {
        Self(uint64(round))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut value = [0; N];
        for chunk in value.chunks_mut(32) {
            self.0 = Sha256::digest(self.0).into();
            chunk.copy_from_slice(&self.0[..chunk.len()]);
        }
        value
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}

fn hex_of(value: impl AsRef<[u8]>) -> Value {
    json!(format!("0x{}", hex::encode(value)))
}

fn digits(value: u64) -> Value {
    json!(value.to_string())
}

/// A fork, and what its domains are made of.
struct Fork {
    old: [u8; 4],
    new: [u8; 4],
    epoch: u64,
    chain: Root,
}

impl Fork {
    fn draw(values: &mut Values) -> Self {
        Self { old: values.bytes(), new: values.bytes(), epoch: values.number(), chain: values.bytes() }
    }

    fn json(&self) -> Value {
        json!({
            "fork": {
                "previous_version": hex_of(self.old),
                "current_version": hex_of(self.new),
                "epoch": digits(self.epoch),
            },
            "genesis_validators_root": hex_of(self.chain),
        })
    }

    fn signed(&self, kind: u8, epoch: u64, object: Root) -> Root {
        let version = if epoch < self.epoch { self.old } else { self.new };
        signed([kind, 0, 0, 0], version, self.chain, object)
    }

    /// Asks the signer's code for the root of an object under this fork.
    fn asked(&self, kind: &str, member: &str, object: &Value) -> Root {
        asked(&json!({ "type": kind, "fork_info": self.json(), member: object }), &Network::default())
    }
}

fn signed(kind: [u8; 4], version: [u8; 4], chain: Root, object: Root) -> Root {
    let fork_data = container([bytes(version), chain]);
    let mut domain = [0; 32];
    domain[..4].copy_from_slice(&kind);
    domain[4..].copy_from_slice(&fork_data[..28]);
    container([object, domain])
}

fn asked(body: &Value, network: &Network) -> Root {
    Typed::parse(body.to_string().as_bytes(), network).expect("a typed request").root
}

#[test]
fn attestations_have_the_root_of_plain_hashing() {
    for round in 0..ROUNDS {
        let mut values = Values::of_round(round);
        let fork = Fork::draw(&mut values);
        let (slot, index, block) = (values.number(), values.number(), values.bytes::<32>());
        let [source, target] = [(); 2].map(|()| (values.number(), values.bytes::<32>()));
        let checkpoint = |(epoch, root): (u64, Root)| json!({ "epoch": digits(epoch), "root": hex_of(root) });
        let object = json!({
            "slot": digits(slot),
            "index": digits(index),
            "beacon_block_root": hex_of(block),
            "source": checkpoint(source),
            "target": checkpoint(target),
        });
        let [from, to] = [source, target].map(|(epoch, root)| container([uint64(epoch), root]));
        let root = container([uint64(slot), uint64(index), block, from, to]);
        assert_eq!(fork.asked("ATTESTATION", "attestation", &object), fork.signed(1, target.0, root), "{object}");
    }
}

#[test]
fn blocks_have_the_root_of_plain_hashing() {
    for round in 0..ROUNDS {
        let mut values = Values::of_round(round);
        let fork = Fork::draw(&mut values);
        let (slot, proposer) = (values.number(), values.number());
        let [parent, state, body] = [(); 3].map(|()| values.bytes::<32>());
        let object = json!({ "version": "DENEB", "block_header": {
            "slot": digits(slot),
            "proposer_index": digits(proposer),
            "parent_root": hex_of(parent),
            "state_root": hex_of(state),
            "body_root": hex_of(body),
        }});
        let root = container([uint64(slot), uint64(proposer), parent, state, body]);
        assert_eq!(fork.asked("BLOCK_V2", "beacon_block", &object), fork.signed(0, slot / 32, root), "{object}");
    }
}

#[test]
fn what_is_small_has_the_root_of_plain_hashing() {
    for round in 0..ROUNDS {
        let mut values = Values::of_round(round);
        let fork = Fork::draw(&mut values);
        let (number, validator, block) = (values.number(), values.number(), values.bytes::<32>());
        let epoch = json!({ "epoch": digits(number) });
        assert_eq!(fork.asked("RANDAO_REVEAL", "randao_reveal", &epoch), fork.signed(2, number, uint64(number)));
        let slot = json!({ "slot": digits(number) });
        let root = fork.signed(5, number / 32, uint64(number));
        assert_eq!(fork.asked("AGGREGATION_SLOT", "aggregation_slot", &slot), root);
        let message = json!({ "beacon_block_root": hex_of(block), "slot": digits(number) });
        let root = fork.signed(7, number / 32, block);
        assert_eq!(fork.asked("SYNC_COMMITTEE_MESSAGE", "sync_committee_message", &message), root);
        let exit = json!({ "epoch": digits(number), "validator_index": digits(validator) });
        let root = fork.signed(4, number, container([uint64(number), uint64(validator)]));
        assert_eq!(fork.asked("VOLUNTARY_EXIT", "voluntary_exit", &exit), root);
    }
}

#[test]
fn registrations_have_the_root_of_plain_hashing() {
    for round in 0..ROUNDS {
        let mut values = Values::of_round(round);
        let network = Network { genesis_version: values.bytes(), ..Network::MAINNET };
        let (recipient, public) = (values.bytes::<20>(), values.bytes::<48>());
        let (gas, time) = (values.number(), values.number());
        let body = json!({ "type": "VALIDATOR_REGISTRATION", "validator_registration": {
            "fee_recipient": hex_of(recipient),
            "gas_limit": digits(gas),
            "timestamp": digits(time),
            "pubkey": hex_of(public),
        }});
        let object = container([bytes(recipient), uint64(gas), uint64(time), bytes48(public)]);
        let root = signed([0, 0, 0, 1], network.genesis_version, [0; 32], object);
        assert_eq!(asked(&body, &network), root, "{body}");
    }
}
