//! Typed requests: the root that is signed is the consensus specification's.
//!
//! The constants here were computed once with `tree_hash` 0.12.1, the crate that the signer asks too: they hold whatever
//! version of it comes next to what it said then. `by_hand` is the other opinion: every tree written out with plain SHA-256.
//! The same for many more values is in `roots.rs`.

mod support;

use cryfttee_devsigner::options::Options;
use cryfttee_devsigner::typed::{Network, Typed};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Signer, bytes, text, typed, verify};

/// Each body beside its signing root as `tree_hash` computes it: at the last epoch of a fork and the first of the next.
fn rows() -> Vec<(&'static str, Value, &'static str)> {
    let (old, new) = (99, 100);
    let (last, first) = (3199, 3200);
    vec![
        (
            "attestation, old",
            typed::attestation(old),
            "1b99a6f30bb0af78c8462c7b4cf39fd8d364013ab673e8c23a7d571edb7b5203",
        ),
        (
            "attestation, new",
            typed::attestation(new),
            "205ec3235bf0ae7fdd2edd606c26fd4c964ba263570f6b6508f5c7f261344cc8",
        ),
        ("block, old", typed::block(last), "20435bd317cff84a3bca9b47c6bc4d863a10b4f5c043d0eb938c51e8f20944b1"),
        ("block, new", typed::block(first), "2be896938def12dd6f9720de07e28d065b6d9c021860ed603702b702b43e2ad2"),
        (
            "slot, old",
            typed::aggregation_slot(last),
            "a65d8ee1715507da9d35af46636d553da4984ede2e96e4f01659f5be5e3a4011",
        ),
        (
            "slot, new",
            typed::aggregation_slot(first),
            "616da39533fdcf98b758585e748a23cb3ee5a17b7a2b9ddb2c466cb9ef7bfff0",
        ),
        ("sync, old", typed::sync_message(last), "3854395ee337c5d5f049d9f5239ddecfd1277418c6b8ff2cb7e1e71e58b70fbc"),
        ("sync, new", typed::sync_message(first), "237f9ad828ae80f8bbf31f978c887fd0ca458b808328b3aad9d057736f30d3f4"),
        ("randao, old", typed::randao(old), "7b29ec5edb1179551b4ea20228d42745cc98951344d1394f4a860f019781d50f"),
        ("randao, new", typed::randao(new), "2d11be3339917ed617df24d1747e32da4603c5a3bdd5d31be168466fd18ab987"),
        ("exit, old", typed::exit(old), "40b161e335c6218253c56ccddd26c3a4c703ada772093cd781e4d73f2cec2b76"),
        ("exit, new", typed::exit(new), "f813d86e062d3e6f85774877ae151a748fd34b3c4104a152dcc2b040629099e1"),
        ("registration", typed::registration(), "24dc18a858486318763c3e80c338e363498f4a755a4349a99b9b4a4842dc7a92"),
    ]
}

/// Mainnet, but for its forks: the slots here are before the first one with sync committees.
const EARLY: Network = Network { altair_slot: 0, ..Network::MAINNET };

fn parsed(body: &Value) -> Typed {
    Typed::parse(body.to_string().as_bytes(), &EARLY).expect("a typed request")
}

fn start(folder: &std::path::Path) -> Signer {
    Signer::with(folder, Options { network: EARLY, ..Options::everything() })
}

#[test]
fn the_roots_are_those_of_tree_hash() {
    for (name, body, root) in rows() {
        assert_eq!(hex::encode(parsed(&body).root), root, "{name}");
    }
}

/// Trees written out by hand: `h` is the only code that is shared between them.
mod by_hand {
    use super::*;

    type Leaf = [u8; 32];

    fn h(left: Leaf, right: Leaf) -> Leaf {
        Sha256::digest([left, right].concat()).into()
    }

    fn number(value: u64) -> Leaf {
        let mut leaf = [0; 32];
        leaf[..8].copy_from_slice(&value.to_le_bytes());
        leaf
    }

    /// Domain type, four bytes of version and the chain, to the root that is signed.
    fn signed(object: Leaf, kind: [u8; 4], version: [u8; 4], chain: u8) -> Leaf {
        let mut leaf = [0; 32];
        leaf[..4].copy_from_slice(&version);
        let fork = h(leaf, [chain; 32]);
        let domain = [&kind[..], &fork[..28]].concat();
        h(object, domain.try_into().expect("32 bytes"))
    }

    const ZERO: Leaf = [0; 32];
    const OLD: [u8; 4] = [0x10, 0, 0, 0x20];
    const NEW: [u8; 4] = [0x11, 0, 0, 0x20];

    #[test]
    fn an_attestation_is_a_tree_of_eight_leaves_of_which_three_are_zero() {
        for (target, version) in [(99, OLD), (100, NEW)] {
            let source = h(number(target - 1), [0x5a; 32]);
            let goal = h(number(target), [0x7a; 32]);
            let left = h(h(number(target * 32 + 5), number(3)), h([0xb1; 32], source));
            let right = h(h(goal, ZERO), h(ZERO, ZERO));
            let root = signed(h(left, right), [1, 0, 0, 0], version, 0x99);
            assert_eq!(parsed(&typed::attestation(target)).root, root, "{target}");
        }
    }

    #[test]
    fn a_block_is_signed_by_its_header() {
        for (slot, version) in [(3199, OLD), (3200, NEW)] {
            let left = h(h(number(slot), number(77)), h([0xa1; 32], [0xa2; 32]));
            let right = h(h([0xa3; 32], ZERO), h(ZERO, ZERO));
            let root = signed(h(left, right), [0; 4], version, 0x99);
            assert_eq!(parsed(&typed::block(slot)).root, root, "{slot}");
        }
    }

    #[test]
    fn what_has_one_leaf_is_signed_as_that_leaf() {
        for (epoch, version) in [(99, OLD), (100, NEW)] {
            let slot = epoch * 32;
            for (body, object, kind) in [
                (typed::randao(epoch), number(epoch), 2),
                (typed::aggregation_slot(slot), number(slot), 5),
                (typed::sync_message(slot), [0xb2; 32], 7),
                (typed::exit(epoch), h(number(epoch), number(41)), 4),
            ] {
                assert_eq!(parsed(&body).root, signed(object, [kind, 0, 0, 0], version, 0x99), "{body}");
            }
        }
    }

    #[test]
    fn a_registration_belongs_to_the_network_and_to_no_fork() {
        let mut recipient = ZERO;
        recipient[..20].fill(0xfe);
        let mut rest = ZERO;
        rest[..16].fill(0xab);
        let object = h(h(recipient, number(30_000_000)), h(number(1_700_000_000), h([0xab; 32], rest)));
        let body = typed::registration().to_string();
        for version in [[0; 4], [0x90, 0, 0, 0x69]] {
            let network = Network { genesis_version: version, ..EARLY };
            let root = Typed::parse(body.as_bytes(), &network).expect("a registration").root;
            assert_eq!(root, signed(object, [0, 0, 0, 1], version, 0));
        }
    }
}

#[test]
fn an_exit_on_mainnet_stays_in_capellas_domain_after_deneb() {
    let mut body = typed::exit(0);
    body["fork_info"] = json!({
        "fork": { "previous_version": "0x03000000", "current_version": "0x04000000", "epoch": "269568" },
        "genesis_validators_root": "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
    });
    for (epoch, root) in [
        ("269567", "b09e50acb05083d925be882594bf3d8f188c4d4fe30eeb0a1bdcf4e826f80fa2"),
        ("269568", "3ba6e16fdce580135fd219f4ad710f8ed9c3b68257d8fb2338063eb986c7347b"),
    ] {
        body["voluntary_exit"]["epoch"] = json!(epoch);
        assert_eq!(hex::encode(parsed(&body).root), root, "{epoch}");
    }
}

#[test]
fn every_type_is_signed_and_verifies_over_its_root() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = start(folder.path());
    let public = signer.generate("bls");
    let path = format!("/api/v1/eth2/sign/{public}");
    for (name, body, root) in rows() {
        let reply = signer.post_for_json(&path, &body.to_string());
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        // The judge takes its time, so the second of each pair only.
        if !name.ends_with("old") {
            let signature = bytes(&text(&reply.json()["signature"]));
            let message = hex::decode(root).expect("hex");
            assert!(verify::bls(&bytes(&public), &message, &signature, verify::BLS_SIGNATURE_DST), "{name}");
        }
    }
}

#[test]
fn a_root_that_the_client_expects_must_be_the_one_that_is_computed() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = start(folder.path());
    let path = format!("/api/v1/eth2/sign/{}", signer.generate("bls"));
    for (name, body, root) in rows() {
        for member in ["signingRoot", "signing_root"] {
            let mut body = body.clone();
            body[member] = json!(format!("0x{root}"));
            assert_eq!(signer.post(&path, &body.to_string()).status, 200, "{name}");
            body[member] = json!(typed::root(1));
            assert_eq!(signer.post(&path, &body.to_string()).status, 500, "{name}");
        }
    }
}

#[test]
fn what_is_of_the_wrong_form_is_400_and_what_is_missing_is_500_as_with_stock() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = start(folder.path());
    let path = format!("/api/v1/eth2/sign/{}", signer.generate("bls"));
    let refused = |body: &Value, status: u16| {
        let reply = signer.post_for_json(&path, &body.to_string());
        assert_eq!(reply.status, status, "{body}");
        reply.text().to_owned()
    };
    for (_, body, _) in rows() {
        for member in body.as_object().expect("an object").keys() {
            let mut without = body.clone();
            without.as_object_mut().expect("an object").remove(member);
            refused(&without, if member == "type" { 400 } else { 500 });
            let mut null = body.clone();
            null[member] = Value::Null;
            refused(&null, if member == "type" { 400 } else { 500 });
        }
    }
    assert!(refused(&json!({ "type": "ATTESTATION", "fork_info": typed::fork_info() }), 500).contains("attestation"));
    let mut header = typed::block(7);
    header["beacon_block"].as_object_mut().expect("an object").remove("block_header");
    assert!(refused(&header, 500).contains("block_header"));
    let mut version = typed::block(7);
    for name in ["PHASE0", "ALTAIR", "NEXT"] {
        version["beacon_block"]["version"] = json!(name);
        refused(&version, 400);
    }
    let mut short = typed::block(7);
    short["fork_info"]["fork"]["current_version"] = json!("0x110000");
    assert!(refused(&short, 400).contains("8 hex digits"));
    let mut object = typed::attestation(7);
    object["data"] = json!({});
    refused(&object, 400);
}

#[test]
fn numbers_and_types_in_lower_case_are_read_and_sign_the_same() {
    let mut number = typed::attestation(7);
    number["attestation"]["slot"] = json!(229);
    number["fork_info"]["fork"]["epoch"] = json!(100);
    number["type"] = json!("attestation");
    assert_eq!(parsed(&number).root, parsed(&typed::attestation(7)).root);
}

#[test]
fn sync_committees_begin_with_a_fork_of_the_network() {
    let root_of = |slot, network| {
        let body = typed::sync_message(slot).to_string();
        Typed::parse(body.as_bytes(), &network).map(|typed| typed.root).map_err(|refusal| refusal.status().as_u16())
    };
    for (slot, network, signed) in [
        (2_375_679, Network::MAINNET, false),
        (2_375_680, Network::MAINNET, true),
        (3200, Network::MAINNET, false),
        (3200, Network::MINIMAL, true),
    ] {
        assert_eq!(root_of(slot, network).err(), (!signed).then_some(500), "{slot}");
    }
    // Slot 800 is in epoch 100 on one and in epoch 25 on the other: another fork, another domain.
    assert_ne!(root_of(800, Network::MINIMAL), root_of(800, EARLY));
    assert_eq!(root_of(800, Network::MINIMAL), root_of(3200, EARLY));
}
