//! The proof of possession: a signer that fails to prove is never taken for one that offers no proofs.

use std::time::Duration;

use cryfttee::config::Limits;
use serde_json::json;

use crate::support::client::{Answer, ask};
use crate::support::signer::{FakeSigner, Reply};
use crate::support::{BLS, Served};

const REGISTER: &str = "/v1/staking/bls/register";

async fn proving(reply: &Reply, request: Duration, body: serde_json::Value) -> Answer {
    let reply = reply.clone();
    let proof = move |got: &crate::support::signer::Got| got.path.ends_with("/proof-of-possession");
    let signer = FakeSigner::working_but(move |got| proof(got).then(|| reply.clone())).await;
    let served = Served::api(&signer.url, Limits { request, ..Limits::default() });
    ask(&served.api, REGISTER, body).await
}

async fn verify(reply: &Reply, request: Duration) -> Answer {
    proving(reply, request, json!({"mode":"verify","publicKey":BLS})).await
}

fn proof(bytes: usize) -> String {
    format!("{{\"proof_of_possession\":\"0x{}\"}}", "ab".repeat(bytes))
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn only_a_signer_that_lacks_the_call_offers_no_proof() {
    for missing in [404, 405] {
        let answer = verify(&Reply::text(missing, "Resource not found"), LONG).await;
        assert_eq!((answer.status, &answer.json()["proof_of_possession"]), (200, &serde_json::Value::Null));
    }
    let answer = verify(&Reply::json(proof(96)), LONG).await;
    assert_eq!((answer.status, &answer.json()["proof_of_possession"]), (200, &json!(format!("0x{}", "ab".repeat(96)))));
}

#[tokio::test]
async fn a_signer_that_fails_to_prove_is_an_error_and_never_one_that_offers_nothing() {
    let rows = [
        (Reply::text(400, "Bad Request"), 502, "signer_error"),
        (Reply::text(401, ""), 502, "signer_error"),
        (Reply::text(403, "Host not authorized."), 502, "signer_error"),
        (Reply::text(409, ""), 502, "signer_error"),
        (Reply::text(412, ""), 502, "signer_error"),
        (Reply::text(500, "boom"), 502, "signer_error"),
        (Reply::text(501, ""), 502, "signer_error"),
        (Reply::text(503, "later"), 503, "signer_unavailable"),
        (Reply::text(302, ""), 502, "signer_error"),
        (Reply::json(""), 502, "signer_nonsense"),
        (Reply::json("{}"), 502, "signer_nonsense"),
        (Reply::json(r#"{"proof_of_possession":null}"#), 502, "signer_nonsense"),
        (Reply::json(proof(0)), 502, "signer_nonsense"),
        (Reply::json(proof(95)), 502, "signer_nonsense"),
        (Reply::json(proof(97)), 502, "signer_nonsense"),
        (Reply::Http(200, "text/html", "<html>".into()), 502, "signer_nonsense"),
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()), 502, "signer_nonsense"),
        (Reply::Endless, 502, "signer_nonsense"),
        (Reply::Close, 502, "signer_broke_off"),
    ];
    for (reply, status, code) in rows {
        let answer = verify(&reply, LONG).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{reply:.60?}");
    }
    let answer = verify(&Reply::Silence, Duration::from_secs(1)).await;
    assert_eq!(answer.refusal(), (504, "signer_timeout".to_owned()));
}

#[tokio::test]
async fn a_key_that_was_just_made_is_not_lost_over_its_proof() {
    for reply in [Reply::text(500, "boom"), Reply::json("{}"), Reply::Close] {
        let answer = proving(&reply, LONG, json!({"action":"generate"})).await;
        assert_eq!((answer.status, &answer.json()["pubkey"]), (201, &json!(BLS)), "{reply:?}");
        assert_eq!(answer.json()["proof_of_possession"], serde_json::Value::Null);
    }
}
