//! Each type with a good body, and with every member of that body made wrong in every way.

use serde_json::{Value, json};

use super::*;

fn hex(bytes: usize) -> Value {
    json!(format!("0x{}", "5a".repeat(bytes)))
}

fn fork_info() -> Value {
    json!({
        "fork": {"previous_version": hex(4), "current_version": hex(4), "epoch": "364032"},
        "genesis_validators_root": hex(32)
    })
}

fn attestation_data() -> Value {
    let checkpoint = json!({"epoch": "7", "root": hex(32)});
    json!({"slot": "225", "index": "0", "beacon_block_root": hex(32), "source": checkpoint, "target": checkpoint})
}

fn attestation() -> Value {
    json!({"aggregation_bits": "0x0101", "data": attestation_data(), "signature": hex(96)})
}

fn aggregate_and_proof(aggregate: &Value) -> Value {
    json!({"aggregator_index": "1", "aggregate": aggregate, "selection_proof": hex(96)})
}

fn of_committees() -> Value {
    let mut attestation = attestation();
    attestation["committee_bits"] = json!("0x0100000000000000");
    aggregate_and_proof(&attestation)
}

fn header() -> Value {
    json!({"slot": "1", "proposer_index": "7", "parent_root": hex(32), "state_root": hex(32), "body_root": hex(32)})
}

fn block() -> Value {
    let signed_header = json!({"message": header(), "signature": hex(96)});
    let indexed = json!({"attesting_indices": ["1"], "data": attestation_data(), "signature": hex(96)});
    let deposit =
        json!({"pubkey": hex(48), "withdrawal_credentials": hex(32), "amount": "32000000000", "signature": hex(96)});
    json!({
        "slot": "1", "proposer_index": "7", "parent_root": hex(32), "state_root": hex(32),
        "body": {
            "randao_reveal": hex(96),
            "eth1_data": {"deposit_root": hex(32), "deposit_count": "1", "block_hash": hex(32)},
            "graffiti": hex(32),
            "proposer_slashings": [{"signed_header_1": signed_header, "signed_header_2": signed_header}],
            "attester_slashings": [{"attestation_1": indexed, "attestation_2": indexed}],
            "attestations": [attestation()],
            "deposits": [{"proof": [hex(32)], "data": deposit}],
            "voluntary_exits": [{"message": {"epoch": "1", "validator_index": "2"}, "signature": hex(96)}]
        }
    })
}

fn altair_block() -> Value {
    let mut block = block();
    block["body"]["sync_aggregate"] = json!({"sync_committee_bits": hex(64), "sync_committee_signature": hex(96)});
    block
}

/// A good body of every type, and of each version that differs. The last column says whether it needs
/// `fork_info`.
fn good() -> Vec<(&'static str, Value, bool)> {
    let slot = json!({"slot": "1"});
    vec![
        ("ATTESTATION", json!({"attestation": attestation_data()}), true),
        ("AGGREGATION_SLOT", json!({"aggregation_slot": slot}), true),
        ("AGGREGATE_AND_PROOF", json!({"aggregate_and_proof": aggregate_and_proof(&attestation())}), true),
        (
            "AGGREGATE_AND_PROOF_V2",
            json!({"aggregate_and_proof": {"version": "DENEB", "data": aggregate_and_proof(&attestation())}}),
            true,
        ),
        ("AGGREGATE_AND_PROOF_V2", json!({"aggregate_and_proof": {"version": "ELECTRA", "data": of_committees()}}), true),
        ("BLOCK", json!({"block": block()}), true),
        ("BLOCK_V2", json!({"beacon_block": {"version": "PHASE0", "block": block()}}), true),
        ("BLOCK_V2", json!({"beacon_block": {"version": "ALTAIR", "block": altair_block()}}), true),
        ("BLOCK_V2", json!({"beacon_block": {"version": "BELLATRIX", "block_header": header()}}), true),
        ("BLOCK_V2", json!({"beacon_block": {"version": "FULU", "block_header": header()}}), true),
        (
            "DEPOSIT",
            json!({"deposit": {"pubkey": hex(48), "withdrawal_credentials": hex(32), "amount": "1", "genesis_fork_version": hex(4)}}),
            false,
        ),
        ("RANDAO_REVEAL", json!({"randao_reveal": {"epoch": "3"}}), true),
        ("VOLUNTARY_EXIT", json!({"voluntary_exit": {"epoch": "3", "validator_index": "9"}}), true),
        ("SYNC_COMMITTEE_MESSAGE", json!({"sync_committee_message": {"beacon_block_root": hex(32), "slot": "0"}}), true),
        (
            "SYNC_COMMITTEE_SELECTION_PROOF",
            json!({"sync_aggregator_selection_data": {"slot": "1", "subcommittee_index": "1"}}),
            true,
        ),
        (
            "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
            json!({"contribution_and_proof": {
                "aggregator_index": "1", "selection_proof": hex(96),
                "contribution": {
                    "slot": "1", "beacon_block_root": hex(32), "subcommittee_index": "0",
                    "aggregation_bits": hex(16), "signature": hex(96)
                }
            }}),
            true,
        ),
        (
            "VALIDATOR_REGISTRATION",
            json!({"validator_registration": {
                "fee_recipient": hex(20), "gas_limit": "30000000", "timestamp": "1", "pubkey": hex(48)
            }}),
            false,
        ),
        ("PAYLOAD_ATTESTATION_MESSAGE", json!({"payload_attestation_message": {}}), true),
    ]
    .into_iter()
    .map(|(kind, mut body, needs_fork)| {
        body["type"] = json!(kind);
        if needs_fork {
            body["fork_info"] = fork_info();
        }
        (kind, body, needs_fork)
    })
    .collect()
}

fn checked(kind: &str, body: &Value) -> Result<(), Fault> {
    check(kind, &body.to_string())
}

/// Where every value below the top stands, as a JSON pointer.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in members {
        let place = format!("{at}/{name}");
        places(value, &place, all);
        all.push(place);
    }
}

/// The places of a body that the check is about, each as a pointer and as the reason says it.
fn members(body: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    places(body, "", &mut all);
    all.retain(|place| place != "/type");
    all.into_iter().map(|place| (place.clone(), place[1..].replace('/', "."))).collect()
}

fn with(body: &Value, place: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(place).expect(place) = value;
    body
}

fn is(path: &str, is: &str) -> Result<(), Fault> {
    Err(Fault { path: path.to_owned(), is: is.to_owned() })
}

#[test]
fn a_good_body_of_every_type_passes() {
    for (kind, body, _) in good() {
        assert_eq!(checked(kind, &body), Ok(()), "{kind}");
        assert_eq!(checked(&kind.to_lowercase(), &body), Ok(()), "{kind} in lower case");
    }
    assert_eq!(good().iter().map(|(kind, ..)| *kind).collect::<std::collections::BTreeSet<_>>().len(), KINDS.len());
}

#[test]
fn a_member_that_is_left_out_or_null_is_named_wherever_it_stands() {
    for (kind, body, _) in good() {
        for (place, path) in members(&body) {
            assert_eq!(
                checked(kind, &with(&body, &place, Value::Null)),
                is(&path, "is missing"),
                "{kind} {path}: null"
            );
            let (parent, name) = place.rsplit_once('/').expect("below the top");
            let mut less = body.clone();
            match less.pointer_mut(parent).expect(parent) {
                Value::Object(members) => drop(members.remove(name)),
                // A list may have any length.
                _ => continue,
            }
            assert_eq!(checked(kind, &less), is(&path, "is missing"), "{kind} without {path}");
        }
    }
}

#[test]
fn a_member_of_another_kind_of_json_is_named() {
    for (kind, body, _) in good() {
        for (place, path) in members(&body) {
            let (wrong, reason): (&[Value], &str) = match body.pointer(&place).expect("there") {
                Value::Object(_) => (&[json!([]), json!("0x00"), json!(7), json!(true)], "is not an object"),
                Value::Array(_) => (&[json!({}), json!("0x00"), json!(7), json!(true)], "is not a list"),
                Value::String(_) => (&[json!({}), json!([]), json!(-1), json!(0.5), json!(false)], "is not "),
                other => panic!("{other}"),
            };
            for wrong in wrong {
                let fault = checked(kind, &with(&body, &place, wrong.clone())).expect_err(&path);
                let expected = format!("{path} {reason}");
                assert!(fault.to_string().starts_with(&expected), "{kind}: {wrong}: {fault}");
            }
        }
    }
}

#[test]
fn hex_of_another_length_and_numbers_that_are_none_are_named() {
    for (kind, body, _) in good() {
        for (place, path) in members(&body) {
            let Value::String(text) = body.pointer(&place).expect("there") else { continue };
            let open = ["/aggregation_bits", "/sync_committee_bits", "/committee_bits"];
            let wrong: Vec<String> = if place.ends_with("/version") {
                continue;
            } else if open.iter().any(|open| place.ends_with(open)) {
                vec![format!("{text}0"), "0xzz".into(), "0x é".into()]
            } else if text.starts_with("0x") {
                vec![format!("{text}00"), text[..text.len() - 2].into(), format!("{text}0"), "0x".into(), String::new()]
            } else {
                ["", "-1", "+1", "1.5", "0x1", " 1", "18446744073709551616"].map(str::to_owned).into()
            };
            for wrong in wrong {
                let fault = checked(kind, &with(&body, &place, json!(wrong))).expect_err(&path);
                assert!(fault.to_string().starts_with(&format!("{path} is not ")), "{kind}: {wrong:?}: {fault}");
            }
        }
    }
}

#[test]
fn what_a_stock_signer_takes_beside_its_api_passes() {
    for (kind, body, needs_fork) in good() {
        for (place, path) in members(&body) {
            let value = body.pointer(&place).expect("there");
            let other = match value {
                Value::String(text) if text.starts_with("0x") => json!(text[2..].to_uppercase()),
                Value::String(text) => text.parse::<u64>().map_or(value.clone(), |number| json!(number)),
                Value::Object(members) => {
                    let mut members = members.clone();
                    members.insert("unknown".to_owned(), json!({"deep": [[[null]]]}));
                    Value::Object(members)
                }
                other => other.clone(),
            };
            assert_eq!(checked(kind, &with(&body, &place, other)), Ok(()), "{kind} {path}");
        }
        let mut more = body.clone();
        for name in ["signingRoot", "signing_root"] {
            more[name] = hex(32);
            assert_eq!(checked(kind, &more), Ok(()), "{kind} {name}");
            more[name] = hex(31);
            assert_eq!(checked(kind, &more), is(name, "is not 32 bytes in hex"), "{kind} {name}");
            more[name] = Value::Null;
            assert_eq!(checked(kind, &more), Ok(()), "{kind} {name}");
        }
        if !needs_fork {
            more["fork_info"] = fork_info();
            assert_eq!(checked(kind, &more), Ok(()), "{kind} with fork_info");
        }
    }
}

#[test]
fn a_type_that_is_not_known_here_is_for_the_signer_to_judge() {
    for kind in ["RAW", "SYNC_COMMITTEE", "", "ATTESTATION "] {
        assert_eq!(checked(kind, &json!({"anything": 1})), Ok(()), "{kind}");
    }
}

#[test]
fn raw_data_in_the_place_of_the_object_is_told_so() {
    for (kind, body, needs_fork) in good() {
        let fault = check(kind, r#"{"data":"0x00"}"#).expect_err(kind).to_string();
        let object = body.as_object().expect("an object").keys().find(|name| !matches!(&***name, "type" | "fork_info"));
        let first = if needs_fork { "fork_info" } else { object.expect("one") };
        assert_eq!(fault, format!("{first} is missing"), "{kind}");
    }
}

#[test]
fn a_block_is_whole_or_by_its_header_as_its_version_says() {
    let body = |version: &str, name: &str, block: Value| json!({"fork_info": fork_info(), "beacon_block": {name: block, "version": version}});
    for (version, name, block, wrong) in [
        ("PHASE0", "block_header", header(), Some("beacon_block.block is missing")),
        ("ALTAIR", "block_header", header(), Some("beacon_block.block is missing")),
        ("ALTAIR", "block", block(), Some("beacon_block.block.body.sync_aggregate is missing")),
        ("CAPELLA", "block", altair_block(), Some("beacon_block.block_header is missing")),
        ("GLOAS", "block_header", header(), None),
        ("altair", "block", altair_block(), None),
    ] {
        let fault = checked("BLOCK_V2", &body(version, name, block)).err().map(|fault| fault.to_string());
        assert_eq!(fault.as_deref(), wrong, "{version} {name}");
    }
    let without = json!({"fork_info": fork_info(), "beacon_block": {"block_header": header()}});
    assert_eq!(checked("BLOCK_V2", &without), is("beacon_block.version", "is missing"));
    let neither = json!({"fork_info": fork_info(), "beacon_block": {"version": "FULU"}});
    assert_eq!(checked("BLOCK_V2", &neither), is("beacon_block.block_header", "is missing"));
}

#[test]
fn a_text_that_cannot_be_read_is_no_request() {
    for body in [r#"{"attestation":"\ud800"}"#, "[]", "null", "7", "\"\"", ""] {
        assert!(check("ATTESTATION", body).is_err(), "{body}");
    }
    let deep = format!("{{\"unknown\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(check("ATTESTATION", &deep), is("fork_info", "is missing"), "what is not looked at has any depth");
}
