//! Bytes go to a signer that signs bytes, and to no other.

use cryfttee::config::Limits;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, ask, get, post};
use crate::support::signer::{FakeSigner, Got, Reply};
use crate::support::{BLS, Served, to_sign};

const SIGN: &str = "/v1/staking/bls/sign";
const EXTENSION: &str = "/ext/cryft/v1";

fn bytes() -> Value {
    json!({"pubkey":BLS,"data":"aGk=","type":"ATTESTATION"})
}

async fn lists(functions: &'static str) -> FakeSigner {
    let body = format!("{{\"functions\":[{functions}]}}");
    FakeSigner::working_but(move |got| (got.path == EXTENSION).then(|| Reply::json(body.clone()))).await
}

fn looks(signer: &FakeSigner) -> usize {
    signer.got().iter().filter(|got| got.path == EXTENSION).count()
}

fn limits() -> Limits {
    Limits { upcheck_cache: std::time::Duration::ZERO, ..Limits::default() }
}

async fn sign(served: &Served) -> Answer {
    ask(&served.api, SIGN, bytes()).await
}

#[tokio::test]
async fn bytes_are_not_sent_to_a_signer_that_does_not_list_raw_signing() {
    for functions in ["", "\"generate\"", "\"raw_bls\",\"sign_digest\""] {
        let signer = lists(functions).await;
        let minute = std::time::Duration::from_secs(60);
        let served = Served::api(&signer.url, Limits { upcheck_cache: minute, ..Limits::default() });
        let mut kept = Client::connect(&served.api).await;
        for request in [bytes(), json!({"keyHandle":BLS,"message":"aGk="}), json!({"pubkey":BLS,"data":"","type":"X"})]
        {
            let answer = kept.post(SIGN, &request).await;
            assert_eq!(answer.refusal(), (400, "signer_refused".to_owned()), "{request}");
            assert!(answer.body.contains("signs typed requests"), "{}", answer.body);
        }
        // The way past the fast path.
        kept.send(post(SIGN, &bytes().to_string()).replacen("\r\n", "\r\nx-unheard-of: 1\r\n", 1)).await;
        let answer = kept.answer().await.expect("an answer");
        assert_eq!(answer.refusal(), (400, "signer_refused".to_owned()));
        assert_eq!((signer.signs().len(), looks(&signer)), (0, 1), "one look, and nothing sent");
        assert_eq!(kept.post(SIGN, to_sign(1)).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_known_of_a_signer_does_not_outlast_it_where_nobody_asks_for_the_status() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let signs = std::sync::Arc::new(AtomicBool::new(false));
    let now = std::sync::Arc::clone(&signs);
    let signer = FakeSigner::working_but(move |got| match (got.path.as_str(), now.load(Ordering::Relaxed)) {
        ("/ext/cryft/v1", true) => Some(Reply::json(r#"{"functions":["raw_signing"]}"#)),
        ("/ext/cryft/v1", false) => Some(Reply::text(404, "")),
        // As stock answers to bytes.
        (path, false) if path.contains("/sign/") => Some(Reply::text(500, "")),
        _ => None,
    })
    .await;
    let served = Served::api(&signer.url, limits());
    assert_eq!(sign(&served).await.refusal(), (400, "signer_refused".to_owned()));
    signs.store(true, Ordering::Relaxed);
    assert_eq!(sign(&served).await.status, 200, "another signer came, which does");
    signs.store(false, Ordering::Relaxed);
    assert_eq!(sign(&served).await.refusal(), (502, "signer_error".to_owned()), "the one that finds it out");
    assert_eq!(sign(&served).await.refusal(), (400, "signer_refused".to_owned()));
}

#[tokio::test]
async fn bytes_are_sent_to_one_that_does_after_one_look_at_most() {
    let signer = lists("\"raw_signing\"").await;
    let served = Served::api(&signer.url, limits());
    for _ in 0..3 {
        assert_eq!(sign(&served).await.status, 200);
    }
    assert_eq!((signer.signs().len(), looks(&signer)), (3, 1));
    assert_eq!(signer.signs()[0].body, r#"{"type":"ATTESTATION","data":"0x6869"}"#);

    let signer = lists("\"raw_signing\"").await;
    let served = Served::api(&signer.url, limits());
    assert_eq!(get(&served.api, "/v1/staking/status").await.status, 200);
    assert_eq!(sign(&served).await.status, 200);
    assert_eq!(looks(&signer), 1, "status looked already");
}

#[tokio::test]
async fn a_signer_that_cannot_be_asked_is_away_and_is_asked_again() {
    let silent = FakeSigner::working_but(|got| (got.path == EXTENSION).then_some(Reply::Close)).await;
    let served = Served::api(&silent.url, limits());
    for _ in 0..2 {
        assert_eq!(sign(&served).await.refusal(), (502, "signer_broke_off".to_owned()));
    }
    assert_eq!((silent.signs().len(), looks(&silent)), (0, 2));
    let served = Served::api("http://127.0.0.1:9", limits());
    assert_eq!(sign(&served).await.refusal(), (503, "signer_unavailable".to_owned()));
}

#[tokio::test]
async fn a_signer_that_was_restarted_without_the_extension_is_seen_by_the_next_status() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let able = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&able);
    let signer = FakeSigner::working_but(move |got: &Got| {
        let lists = if now.load(Ordering::SeqCst) { r#"{"functions":["raw_signing"]}"# } else { "{}" };
        (got.path == EXTENSION).then(|| Reply::json(lists))
    })
    .await;
    let served = Served::api(&signer.url, limits());
    for (there, status) in [(true, 200), (false, 400), (true, 200)] {
        able.store(there, Ordering::SeqCst);
        let capabilities = get(&served.api, "/v1/staking/status").await.json()["capabilities"].clone();
        assert_eq!(capabilities.as_array().expect("a list").contains(&json!("raw_signing")), there);
        assert_eq!(sign(&served).await.status, status);
    }
}

#[tokio::test]
async fn each_extension_is_a_capability_exactly_if_it_is_listed() {
    for (functions, expected) in [
        ("", json!(["bls_signing", "tls_signing"])),
        ("\"raw_signing\"", json!(["bls_signing", "tls_signing", "raw_signing"])),
        ("\"sign_sha256\",\"sign_digest\"", json!(["bls_signing", "tls_signing", "digest_signing"])),
        ("\"proof_of_possession\"", json!(["bls_signing", "tls_signing", "possession_proofs"])),
        ("\"generate\"", json!(["bls_signing", "tls_signing", "key_generation"])),
    ] {
        let signer = lists(functions).await;
        let served = Served::api(&signer.url, limits());
        assert_eq!(get(&served.api, "/v1/staking/status").await.json()["capabilities"], expected);
    }
}
