//! Who makes keys: the signer, the sidecar, nobody.

use cryfttee::config::{KeyGeneration, Limits};
use cryfttee::listen::Role;
use cryfttee_devsigner::keys::bls::BlsKey;
use cryfttee_devsigner::keystore::{Keystore, Password};
use serde_json::{Value, json};

use crate::support::client::{Answer, ask, get};
use crate::support::signer::{FakeSigner, Got, Reply};
use crate::support::{BLS, Served};

const KEYSTORES: &str = "/eth/v1/keystores";

fn served(signer: &FakeSigner, who: KeyGeneration) -> Served {
    Served::with(&signer.url, &[Role::Api], |settings| {
        settings.key_generation = who;
        settings.limits = Limits { upcheck_cache: std::time::Duration::ZERO, ..Limits::default() };
    })
}

/// A signer as it is sold: no extension, a key manager that imports and answers `outcome`.
async fn stock(outcome: &'static str) -> FakeSigner {
    FakeSigner::working_but(move |got| match (got.method.as_str(), got.path.as_str()) {
        ("GET", KEYSTORES) => Some(Reply::json(r#"{"data":[]}"#)),
        ("POST", KEYSTORES) => Some(Reply::json(outcome)),
        _ if got.path.starts_with("/ext") => Some(Reply::text(404, "Resource not found")),
        _ => None,
    })
    .await
}

async fn generate(served: &Served, kind: &str) -> Answer {
    ask(&served.api, &format!("/v1/staking/{kind}/register"), json!({"action":"generate"})).await
}

async fn announced(served: &Served) -> bool {
    let status = get(&served.api, "/v1/staking/status").await.json();
    status["capabilities"].as_array().expect("a list").contains(&json!("key_generation"))
}

fn imports(signer: &FakeSigner) -> Vec<Got> {
    signer.got().into_iter().filter(|got| (got.method.as_str(), got.path.as_str()) == ("POST", KEYSTORES)).collect()
}

#[tokio::test]
async fn an_imported_key_is_the_one_that_the_keystore_holds() {
    let signer = stock(r#"{"data":[{"status":"imported","message":null}]}"#).await;
    let served = served(&signer, KeyGeneration::Import);
    assert!(announced(&served).await);
    let answer = generate(&served, "bls").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let [got] = &imports(&signer)[..] else { panic!("one import") };
    let body: Value = serde_json::from_str(&got.body).expect("JSON");
    assert_eq!(
        (body["keystores"].as_array().map(Vec::len), body["passwords"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
    let keystore = Keystore::parse(body["keystores"][0].as_str().expect("a text").as_bytes()).expect("a keystore");
    let secret = keystore.open(&Password::new(body["passwords"][0].as_str().expect("a text"))).expect("opens");
    let key = BlsKey::from_secret(&secret).expect("a key");
    assert_eq!(answer.json()["pubkey"], key.public().to_string());
    assert_eq!(answer.json()["proof_of_possession"], contract::Bytes(key.prove_possession().to_vec()).to_string());
    assert!(!answer.body.contains(body["passwords"][0].as_str().expect("a text")));
}

#[tokio::test]
async fn an_import_that_the_signer_does_not_take_is_told_by_its_reason_and_not_tried_again() {
    for (outcome, status, code, said) in [
        (r#"{"data":[{"status":"duplicate"}]}"#, 409, "key_exists", "duplicate"),
        (r#"{"data":[{"status":"error","message":"disk full"}]}"#, 502, "signer_error", "disk full"),
        (r#"{"data":[{"status":"pending"}]}"#, 502, "signer_error", "pending"),
        (r#"{"data":[]}"#, 502, "signer_nonsense", "data"),
        (r#"{"data":[{"status":"imported"},{"status":"imported"}]}"#, 502, "signer_nonsense", "data"),
        ("<html>", 502, "signer_nonsense", "data"),
    ] {
        let signer = stock(outcome).await;
        let answer = generate(&served(&signer, KeyGeneration::Import), "bls").await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{outcome}");
        assert!(answer.json()["details"].as_str().is_some_and(|text| text.contains(said)), "{}", answer.body);
        assert_eq!(imports(&signer).len(), 1);
    }
}

#[tokio::test]
async fn a_signer_without_a_key_manager_cannot_be_imported_into_and_says_so() {
    for refusal in [404, 405] {
        let signer =
            FakeSigner::working_but(move |got| (got.path == KEYSTORES).then(|| Reply::text(refusal, ""))).await;
        let served = served(&signer, KeyGeneration::Import);
        assert!(!announced(&served).await);
        let answer = generate(&served, "bls").await;
        assert_eq!(answer.refusal(), (400, "not_supported_by_signer".to_owned()));
        assert!(answer.body.contains("key manager"), "{}", answer.body);
    }
}

#[tokio::test]
async fn tls_keys_cannot_be_imported_and_that_is_said_before_anything_is_asked() {
    let signer = stock(r#"{"data":[{"status":"imported"}]}"#).await;
    let answer = generate(&served(&signer, KeyGeneration::Import), "tls").await;
    assert_eq!(answer.refusal(), (403, "key_generation_off".to_owned()));
    assert!(answer.body.contains("only BLS keys"), "{}", answer.body);
    assert_eq!(signer.got(), []);
}

#[tokio::test]
async fn switched_off_no_key_is_made_and_none_is_announced() {
    let signer = FakeSigner::working().await;
    let served = served(&signer, KeyGeneration::Off);
    assert!(!announced(&served).await);
    for kind in ["bls", "tls"] {
        let answer = generate(&served, kind).await;
        assert_eq!(answer.refusal(), (403, "key_generation_off".to_owned()));
    }
    assert!(signer.got().iter().all(|got| got.method == "GET"));
    let known = json!({"mode":"verify","publicKey":BLS});
    assert_eq!(ask(&served.api, "/v1/staking/bls/register", known).await.status, 200);
}

#[tokio::test]
async fn making_keys_is_announced_only_before_a_signer_that_lists_it_now() {
    let signer = FakeSigner::working().await;
    let ours = served(&signer, KeyGeneration::Signer);
    for _ in 0..3 {
        assert!(announced(&ours).await);
    }
    let probes = signer.got().into_iter().filter(|got| got.path == "/ext/cryft/v1").count();
    assert_eq!(probes, 3, "it may have been restarted without");
    let signer = stock("{}").await;
    assert!(!announced(&served(&signer, KeyGeneration::Signer)).await);
    let other = |got: &Got| got.path.starts_with("/ext").then(|| Reply::json(r#"{"functions":["sign_digest"]}"#));
    let signer = FakeSigner::working_but(other).await;
    assert!(!announced(&served(&signer, KeyGeneration::Signer)).await);
}
