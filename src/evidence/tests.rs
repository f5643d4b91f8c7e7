use std::time::Duration;

use serde_json::{Value, json};

use super::*;

const NONCE: &str = "8f1c09a2d4e67b35";
const NOW: u64 = 1_795_374_720;

fn statement() -> Value {
    let (key, _) = signed::tests::sign(Kind::Evidence, b"");
    let digest = Digest::new([1; 32]);
    let confined = json!({
        "uid": "7 7 7 7", "gid": "7 7 7 7", "groups": "", "no_new_privs": "1", "seccomp": "2", "tracer_pid": "0",
        "cap_eff": "0000000000000000", "cap_bnd": "0000000000000000", "cap_amb": "0000000000000000",
        "own_namespaces": ["mnt"],
    });
    json!({
        "version": 1, "nonce": NONCE, "time": "2026-11-22T19:12:00Z", "boot_id": "b", "kernel": "6.1",
        "node_id": NodeId::of(&key), "tls_pubkey": key, "bls_pubkey": null,
        "sidecar": {
            "pid": 7, "version": "0.1.0", "digest": digest, "reported_digest": digest, "sealed": true,
            "mappings": [
                { "what": "image", "digest": digest, "writable": false, "private_kib": 0 },
                { "what": "kernel", "digest": null, "writable": false, "private_kib": 0 },
            ],
            "confinement": confined,
        },
        "verifier": { "pid": 6, "version": "0.1.0", "digest": digest, "confinement": confined },
        "reference": { "accepted": true, "by": "pins.d/release, line 1" },
        "audit_head": { "chain": "c", "seq": 5, "hash": "h" },
    })
}

fn sign(statement: Value) -> Vec<u8> {
    let (_, signature) = signed::tests::sign(Kind::Evidence, &canonical(&statement));
    json!({ "statement": statement, "signature": signature }).to_string().into_bytes()
}

fn expected() -> Expected {
    let (key, _) = signed::tests::sign(Kind::Evidence, b"");
    Expected {
        nonce: NONCE.to_owned(),
        node_id: NodeId::of(&key),
        digest: Some(Digest::new([1; 32])),
        max_age: Duration::from_secs(300),
        now: NOW + 10,
        tpm_key: None,
        tpm_baseline: None,
        require_tpm: false,
    }
}

/// The names of the checks that do not hold.
fn wrong(document: &[u8], expected: &Expected) -> Vec<&'static str> {
    let (document, statement) = Document::read(document).expect("evidence");
    let checks = judge(&document, &statement, expected);
    checks.iter().filter(|check| check.outcome == Outcome::Wrong).map(|check| check.name).collect()
}

#[test]
fn what_holds_holds_however_its_json_is_written() {
    let document = sign(statement());
    assert_eq!(wrong(&document, &expected()), [""; 0]);
    let value: Value = serde_json::from_slice(&document).expect("JSON");
    let pretty = serde_json::to_vec_pretty(&value).expect("JSON");
    assert_eq!(wrong(&pretty, &expected()), [""; 0]);
}

#[test]
fn each_way_of_being_wrong_is_named() {
    /// The word that names it, and how a statement comes to be so.
    type Case = (&'static str, fn(&mut Value));
    let cases: [Case; 15] = [
        ("nonce", |s| s["nonce"] = "8f1c09a2d4e67b36".into()),
        ("age", |s| s["time"] = "2026-11-22T19:07:00Z".into()),
        ("age", |s| s["time"] = "2026-11-22T19:14:00Z".into()),
        ("age", |s| s["time"] = "yesterday".into()),
        ("digest", |s| s["sidecar"]["reported_digest"] = json!(Digest::new([2; 32]))),
        ("reference", |s| s["reference"]["accepted"] = false.into()),
        ("mappings", |s| s["sidecar"]["mappings"][0]["writable"] = true.into()),
        ("mappings", |s| s["sidecar"]["mappings"][0]["private_kib"] = 4.into()),
        ("mappings", |s| s["sidecar"]["mappings"][1]["what"] = "memory".into()),
        ("mappings", |s| s["sidecar"]["mappings"] = json!([])),
        ("confined", |s| s["sidecar"]["confinement"]["no_new_privs"] = "0".into()),
        ("confined", |s| s["sidecar"]["confinement"]["tracer_pid"] = "9".into()),
        ("confined", |s| s["sidecar"]["confinement"]["cap_eff"] = "0000000000000080".into()),
        ("confined", |s| s["sidecar"]["confinement"]["cap_amb"] = "absent".into()),
        ("node", |s| s["node_id"] = "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2".into()),
    ];
    for (name, change) in cases {
        let mut statement = statement();
        change(&mut statement);
        assert_eq!(wrong(&sign(statement), &expected()), [name]);
    }
    let other = Expected { digest: Some(Digest::new([3; 32])), ..expected() };
    assert_eq!(wrong(&sign(statement()), &other), ["digest"]);
    let other =
        NodeId::of(&"0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("key"));
    assert_eq!(wrong(&sign(statement()), &Expected { node_id: other, ..expected() }), ["node"]);
}

#[test]
fn whatever_is_changed_after_signing_is_found_also_what_this_version_does_not_know() {
    let changes: [fn(&mut Value); 4] = [
        |s| s["kernel"] = "6.2".into(),
        |s| s["audit_head"]["seq"] = 6.into(),
        |s| s["new"] = "field".into(),
        |s| drop(s["audit_head"].take()),
    ];
    for change in changes {
        let mut document: Value = serde_json::from_slice(&sign(statement())).expect("JSON");
        change(&mut document["statement"]);
        assert_eq!(wrong(document.to_string().as_bytes(), &expected()), ["signature"]);
    }
    // With a key of one's own, all but the node can be had.
    let mut document: Value = serde_json::from_slice(&sign(statement())).expect("JSON");
    document["statement"]["tls_pubkey"] = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".into();
    assert_eq!(wrong(document.to_string().as_bytes(), &expected()), ["node", "signature"]);
}

#[test]
fn without_a_digest_to_compare_with_nothing_is_claimed() {
    let (document, statement) = Document::read(&sign(statement())).expect("evidence");
    let checks = judge(&document, &statement, &Expected { digest: None, ..expected() });
    assert!(checks.iter().any(|check| check.name == "digest" && check.outcome == Outcome::Unknown));
}

#[test]
fn what_is_no_evidence_is_refused() {
    for text in ["", "{}", "[]", r#"{"statement":{},"signature":"0x00"}"#] {
        assert!(matches!(Document::read(text.as_bytes()), Err(NotEvidence::Form(_))), "{text}");
    }
    let mut later = statement();
    later["version"] = 2.into();
    assert!(matches!(Document::read(&sign(later)), Err(NotEvidence::Version(2))));
}
