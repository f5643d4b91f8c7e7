//! The keys that the node is known by: a signer that does not find one of them is away, and not ignorant of it.

use cryfttee::listen::Role;
use serde_json::{Value, json};

use crate::support::client::{Answer, ask};
use crate::support::signer::{FakeSigner, Reply};
use crate::support::{BLS, Served, TLS, TLS_64, to_sign};

const OTHER_TLS: &str = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

/// A signer that has lost every key since it was asked last.
async fn lost() -> FakeSigner {
    FakeSigner::working_but(|got| match got.path.as_str() {
        path if path.contains("/sign") => Some(Reply::Http(404, "", "Not Found".to_owned())),
        path if path.ends_with("publicKeys") => Some(Reply::json("[]")),
        "/ext/cryft/v1" => Some(Reply::json(r#"{"functions":["sign_digest"]}"#)),
        _ => None,
    })
    .await
}

async fn served(signer: &FakeSigner, named: Value) -> Served {
    let served = Served::start(&signer.url, Default::default(), &[Role::Api, Role::Control]);
    let admitted = ask(&served.control, "/v1/runtime/admit", named).await;
    assert_eq!(admitted.status, 204, "{}", admitted.body);
    served
}

async fn each(served: &Served, tls: &str) -> [(&'static str, Answer); 5] {
    let digest = contract::Bytes(vec![0x11; 32]).to_base64();
    let sign = |kind| format!("/v1/staking/{kind}/sign");
    let register = |kind| format!("/v1/staking/{kind}/register");
    let api = &served.api;
    [
        ("sign bls", ask(api, &sign("bls"), to_sign(1)).await),
        ("verify bls", ask(api, &register("bls"), json!({"mode":"verify","publicKey":BLS})).await),
        ("sign tls", ask(api, &sign("tls"), json!({"pubkey":tls,"data":"aGk="})).await),
        ("digest", ask(api, &sign("tls"), json!({"keyHandle":tls,"digest":digest})).await),
        ("verify tls", ask(api, &register("tls"), json!({"mode":"verify","publicKey":tls})).await),
    ]
}

#[tokio::test]
async fn a_node_key_that_the_signer_does_not_find_is_a_503_and_any_other_a_404() {
    let away = (503, "signer_unavailable".to_owned());
    let unknown = (404, "key_not_found".to_owned());
    for (named, bls, tls) in [
        (json!({"bls_pubkey":BLS,"tls_pubkey":TLS}), &away, &away),
        (json!({"bls_pubkey":BLS}), &away, &unknown),
        (json!({"tls_pubkey":TLS}), &unknown, &away),
        (json!({"tls_pubkey":OTHER_TLS}), &unknown, &unknown),
        (json!({}), &unknown, &unknown),
    ] {
        let signer = lost().await;
        let served = served(&signer, named.clone()).await;
        for spelling in [TLS, TLS_64] {
            for (what, answer) in each(&served, spelling).await {
                let expected = if what.contains("bls") { bls } else { tls };
                assert_eq!(answer.refusal(), *expected, "{what} {named}");
                assert_eq!(answer.body.contains("POST /reload"), answer.status == 503, "{}", answer.body);
            }
        }
        let sent = signer.signs().iter().filter(|got| got.path.starts_with("/api")).count();
        assert_eq!(sent, 4, "nothing is sent twice: two signatures, two spellings");
    }
}

#[tokio::test]
async fn the_keys_expected_from_the_start_hold_until_the_admission_names_others() {
    let signer = lost().await;
    let served = Served::with(&signer.url, &[Role::Api, Role::Control], |settings| {
        settings.expected.bls = Some(BLS.parse().expect("a key"));
        settings.expected.tls = Some(TLS.parse().expect("a key"));
    });
    for (named, tls) in [(json!({}), 503), (json!({"tls_pubkey":OTHER_TLS}), 404), (json!(""), 404)] {
        let body = if named == json!("") { String::new() } else { named.to_string() };
        assert_eq!(ask(&served.control, "/v1/runtime/admit", body).await.status, 204);
        for (what, answer) in each(&served, TLS).await {
            let expected = if what.contains("bls") { 503 } else { tls };
            assert_eq!(answer.status, expected, "{what} {named}");
        }
    }
}

#[tokio::test]
async fn an_admission_that_cannot_be_read_admits_nobody() {
    let signer = lost().await;
    let served = Served::start(&signer.url, Default::default(), &[Role::Api, Role::Control]);
    for body in ["{", "7", r#"{"bls_pubkey":"0x97"}"#, r#"{"tls_pubkey":7}"#] {
        assert_eq!(ask(&served.control, "/v1/runtime/admit", body).await.refusal(), (400, "malformed".to_owned()));
    }
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), ask(&served.api, "/", "")).await;
    assert!(early.is_err(), "the gate is closed");
}
