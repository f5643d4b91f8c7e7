//! In which form each call asks the signer to answer: a stock one refuses what it cannot serve.

use std::collections::BTreeSet;

use cryfttee::config::{KeyGeneration, Limits};
use cryfttee::listen::Role;
use serde_json::json;

use crate::support::client::{ask, get, header};
use crate::support::signer::{FakeSigner, Got, Reply, working};
use crate::support::stock::{Process, stock};
use crate::support::{BLS, Served, TLS, TLS_64, to_sign};

/// Method, route, `Accept`. A route with a key in it is named without the key.
const TABLE: [(&str, &str, &str); 13] = [
    ("GET", "/upcheck", "*/*"),
    ("GET", "/healthcheck", "application/json"),
    ("GET", "/api/v1/eth2/publicKeys", "application/json"),
    ("GET", "/api/v1/eth1/publicKeys", "application/json"),
    ("POST", "/api/v1/eth2/sign/{key}", "application/json"),
    ("POST", "/api/v1/eth1/sign/{key}", "text/plain"),
    ("GET", "/eth/v1/keystores", "application/json"),
    ("POST", "/eth/v1/keystores", "application/json"),
    ("POST", "/reload", "application/json"),
    ("GET", "/ext/cryft/v1", "application/json"),
    ("GET", "/ext/cryft/v1/bls/{key}/proof-of-possession", "application/json"),
    ("POST", "/ext/cryft/v1/secp256k1/{key}/sign-sha256", "application/json"),
    ("POST", "/ext/cryft/v1/secp256k1/{key}/sign-digest", "application/json"),
];

fn asked(got: &Got) -> (String, String, String) {
    let path = got.path.replace(BLS, "{key}").replace(TLS_64, "{key}");
    let accepts = got.head.lines().filter(|line| line.starts_with("accept:")).count();
    assert_eq!(accepts, 1, "{}", got.head);
    (got.method.clone(), path, header(&got.head, "accept").expect("one").to_owned())
}

/// A signer with every extension, so that every call is made.
async fn able(lists: bool) -> FakeSigner {
    FakeSigner::working_but(move |got| match (got.method.as_str(), got.path.as_str()) {
        ("GET", "/ext/cryft/v1") => Some(Reply::json(
            r#"{"functions":["generate","raw_signing","proof_of_possession","sign_sha256","sign_digest"]}"#,
        )),
        ("GET", path) if path.ends_with("publicKeys") && !lists => Some(Reply::json("[]")),
        ("POST", "/eth/v1/keystores") if got.body.contains("keystores") => {
            Some(Reply::json(r#"{"data":[{"status":"imported","message":null}]}"#))
        }
        ("POST", path) if path.contains("/sign-") => {
            Some(Reply::json(format!("{{\"signature\":\"0x{}\"}}", "01".repeat(64))))
        }
        _ => None,
    })
    .await
}

async fn exercise(signer: &FakeSigner, who: KeyGeneration) {
    let served = Served::with(&signer.url, &[Role::Api, Role::Control], |settings| settings.key_generation = who);
    assert_eq!(ask(&served.control, "/v1/runtime/admit", "{}").await.status, 204);
    assert_eq!(get(&served.api, "/v1/staking/status").await.status, 200);
    assert_eq!(ask(&served.api, "/v1/staking/bls/sign", to_sign(1)).await.status, 200);
    assert_eq!(ask(&served.api, "/v1/staking/tls/sign", json!({"pubkey":TLS,"data":"aGk="})).await.status, 200);
    let digest = contract::Bytes(vec![0x11; 32]).to_base64();
    let digest = ask(&served.api, "/v1/staking/tls/sign", json!({"keyHandle":TLS,"digest":digest})).await;
    assert_eq!(digest.status, 200, "{}", digest.body);
    for kind in ["bls", "tls"] {
        ask(&served.control, &format!("/v1/staking/{kind}/register"), json!({"action":"generate"})).await;
    }
    let verify = json!({"mode":"verify","publicKey":BLS});
    ask(&served.control, "/v1/staking/bls/register", verify).await;
    assert_eq!(ask(&served.control, "/v1/runtime/signer/reload", "").await.status, 200);
}

#[tokio::test]
async fn every_route_of_the_signer_is_asked_for_exactly_the_form_that_it_has() {
    let mut seen = BTreeSet::new();
    for (who, lists) in [(KeyGeneration::Signer, true), (KeyGeneration::Import, true), (KeyGeneration::Off, false)] {
        let signer = able(lists).await;
        exercise(&signer, who).await;
        seen.extend(signer.got().iter().map(asked));
    }
    let table: BTreeSet<_> =
        TABLE.iter().map(|(method, route, accept)| ((*method).into(), (*route).into(), (*accept).into())).collect();
    assert_eq!(seen, table);
}

#[tokio::test]
async fn a_stock_signer_of_two_processes_is_ready_and_signs() {
    let (eth2, eth1) = (stock(Process::Eth2).await, stock(Process::Eth1).await);
    let served = Served::with(&eth2.url, &[Role::Api], |settings| {
        settings.signer_eth1 = Some(eth1.url.parse().expect("a URL"));
        settings.key_generation = KeyGeneration::Import;
        settings.limits = Limits { upcheck_cache: std::time::Duration::ZERO, ..Limits::default() };
    });
    let status = get(&served.api, "/v1/staking/status").await.json();
    assert_eq!((&status["ready"], &status["web3Signer"]["lastError"]), (&json!(true), &json!(null)), "{status}");
    assert_eq!(status["capabilities"], json!(["bls_signing", "tls_signing", "key_generation"]));
    assert_eq!((&status["bls_pubkeys"], &status["tls_pubkeys"]), (&json!([BLS]), &json!([TLS])));
    let signers = [("eth2", &eth2.url, json!(true), json!(null)), ("eth1", &eth1.url, json!(null), json!(true))];
    for (index, (role, url, bls, tls)) in signers.into_iter().enumerate() {
        let process = &status["signers"][index];
        let manager = if role == "eth2" { json!(true) } else { json!(null) };
        let expected = json!({
            "role": role, "url": url, "state": "answers", "why": "", "serves_bls": bls, "serves_tls": tls, "keys": 1,
            "health": "up", "failed_keys": 0, "key_manager": manager
        });
        assert_eq!(process, &expected);
    }
    assert_eq!(ask(&served.api, "/v1/staking/bls/sign", to_sign(1)).await.status, 200);
    assert_eq!(ask(&served.api, "/v1/staking/tls/sign", json!({"pubkey":TLS,"data":"aGk="})).await.status, 200);
    assert_eq!(ask(&served.api, "/v1/staking/bls/register", json!({"action":"generate"})).await.status, 201);
}

#[tokio::test]
async fn the_answer_of_a_signer_before_23_9_is_taken_too() {
    let signer = FakeSigner::start(|got| match got.path.as_str() {
        "/upcheck" => Reply::json("\"OK\""),
        _ => working(got),
    })
    .await;
    let served = Served::api(&signer.url, Limits::default());
    assert_eq!(get(&served.api, "/v1/staking/status").await.json()["ready"], true);
}
