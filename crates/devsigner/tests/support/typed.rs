//! Bodies of typed requests.

use serde_json::{Value, json};

pub const OLD_VERSION: &str = "0x10000020";
pub const NEW_VERSION: &str = "0x11000020";
/// The epoch from which the new version is in force.
pub const FORK_EPOCH: u64 = 100;
/// The chain of these bodies.
pub const CHAIN: u8 = 0x99;

/// 32 equal bytes, as text.
pub fn root(byte: u8) -> String {
    format!("0x{}", hex::encode([byte; 32]))
}

pub fn fork_info() -> Value {
    json!({
        "fork": {
            "previous_version": OLD_VERSION,
            "current_version": NEW_VERSION,
            "epoch": FORK_EPOCH.to_string(),
        },
        "genesis_validators_root": root(CHAIN),
    })
}

fn body(kind: &str, member: &str, object: Value) -> Value {
    json!({ "type": kind, "fork_info": fork_info(), member: object })
}

/// An attestation whose votes differ in `block` only, where their epochs are the same.
pub fn attestation_of(source: u64, target: u64, block: u8) -> Value {
    let object = json!({
        "slot": (target * 32 + 5).to_string(),
        "index": "3",
        "beacon_block_root": root(block),
        "source": { "epoch": source.to_string(), "root": root(0x5a) },
        "target": { "epoch": target.to_string(), "root": root(0x7a) },
    });
    body("ATTESTATION", "attestation", object)
}

pub fn attestation(target: u64) -> Value {
    attestation_of(target - 1, target, 0xb1)
}

/// A block whose content differs in `parent` only, where the slot is the same.
pub fn block_of(slot: u64, parent: u8) -> Value {
    let header = json!({
        "slot": slot.to_string(),
        "proposer_index": "77",
        "parent_root": root(parent),
        "state_root": root(0xa2),
        "body_root": root(0xa3),
    });
    body("BLOCK_V2", "beacon_block", json!({ "version": "DENEB", "block_header": header }))
}

pub fn block(slot: u64) -> Value {
    block_of(slot, 0xa1)
}

pub fn randao(epoch: u64) -> Value {
    body("RANDAO_REVEAL", "randao_reveal", json!({ "epoch": epoch.to_string() }))
}

pub fn aggregation_slot(slot: u64) -> Value {
    body("AGGREGATION_SLOT", "aggregation_slot", json!({ "slot": slot.to_string() }))
}

pub fn exit(epoch: u64) -> Value {
    body("VOLUNTARY_EXIT", "voluntary_exit", json!({ "epoch": epoch.to_string(), "validator_index": "41" }))
}

pub fn sync_message(slot: u64) -> Value {
    let object = json!({ "beacon_block_root": root(0xb2), "slot": slot.to_string() });
    body("SYNC_COMMITTEE_MESSAGE", "sync_committee_message", object)
}

pub fn registration() -> Value {
    json!({
        "type": "VALIDATOR_REGISTRATION",
        "validator_registration": {
            "fee_recipient": format!("0x{}", "fe".repeat(20)),
            "gas_limit": "30000000",
            "timestamp": "1700000000",
            "pubkey": format!("0x{}", "ab".repeat(48)),
        },
    })
}
