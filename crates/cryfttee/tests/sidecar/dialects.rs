//! Every endpoint, asked in the contract's words and in those of 0.4.

use crate::support::client::{ask, get};
use crate::support::signer::{FakeSigner, Got, Reply};
use crate::support::{BLS, Served, TLS, TLS_64, typed};
use contract::wire::{Attestation, Registered, Signed, StakingStatus, v04};
use contract::{BlsPublicKey, TlsPublicKey};
use cryfttee::config::Limits;
use serde_json::json;

async fn sidecar() -> (FakeSigner, Served) {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    (signer, served)
}

#[tokio::test]
async fn status_speaks_both_dialects_and_normalises_keys() {
    let (signer, served) = sidecar().await;
    let answer = get(&served.api, "/v1/staking/status").await;
    assert_eq!(answer.status, 200);
    let status: v04::Both<StakingStatus, v04::Status> = serde_json::from_str(&answer.body).expect("its types");
    assert!(status.contract.ready && status.contract.web3signer_connected);
    assert_eq!(status.contract.web3signer_url, signer.url);
    assert_eq!(status.contract.bls_pubkeys, [BLS.parse().expect("a key")]);
    assert_eq!(status.contract.tls_pubkeys, [TLS.parse().expect("a key")]);
    assert_eq!(status.contract.capabilities, contract::defaults::CAPABILITIES);
    assert!(status.v04.web3_signer.reachable && status.v04.modules[0].default_for.bls);
    assert_eq!(answer.json()["cryftteeVersion"], cryfttee::VERSION);
}

#[tokio::test]
async fn attestation_echoes_hash_and_nonce_and_names_this_process() {
    let (_signer, served) = sidecar().await;
    let answer = get(&served.api, "/v1/runtime/attestation?nonce=00ffAB").await;
    let evidence: v04::Both<Attestation, v04::Attestation> = serde_json::from_str(&answer.body).expect("its types");
    assert_eq!(evidence.contract.core_binary_hash.to_string(), format!("sha256:{}", "ab".repeat(32)));
    assert_eq!(answer.json()["hash_source"], "verified");
    assert_eq!(evidence.contract.nonce.as_deref(), Some("00ffAB"));
    assert_eq!(evidence.contract.pid, std::process::id());
    assert_eq!(evidence.contract.loaded_modules, ["web3signer"]);
    assert_eq!(evidence.v04.modules[0].id, "web3signer");
    assert_eq!(answer.json()["receipt"], json!(null));

    let answer = get(&served.api, "/v1/runtime/attestation").await;
    assert_eq!(answer.json()["nonce"], json!(null));
    let answer = get(&served.api, "/v1/runtime/attestation?nonce=xyz").await;
    assert_eq!(answer.refusal(), (400, "malformed".to_owned()));
}

#[tokio::test]
async fn a_key_is_made_for_each_spelling_of_the_request() {
    let (signer, served) = sidecar().await;
    for body in
        [json!({"action":"generate"}), json!({"key_type":"BLS","purpose":"validator"}), json!({"mode":"generate"})]
    {
        let answer = ask(&served.api, "/v1/staking/bls/register", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let made: v04::Both<Registered<BlsPublicKey>, v04::Registered> =
            serde_json::from_str(&answer.body).expect("its types");
        assert_eq!(made.contract.pubkey.to_string(), BLS);
        assert_eq!(made.contract.secret_path, "keys/bls-1");
        assert_eq!(made.v04.key_handle, BLS);
        assert_eq!(answer.json()["blsPubKeyB64"].as_str().map(str::len), Some(64));
    }
    let answer =
        ask(&served.api, "/v1/staking/tls/register", json!({"key_type":"SECP256K1","purpose":"node_tls"})).await;
    let made: v04::Both<Registered<TlsPublicKey>, v04::Registered> =
        serde_json::from_str(&answer.body).expect("its types");
    assert_eq!((answer.status, made.contract.pubkey.to_string().as_str()), (201, TLS));
    assert_eq!(made.contract.certificate.as_deref(), Some(""), "this signer lacks the extension");
    let made = signer.got().into_iter().filter(|got| got.path == "/eth/v1/keystores");
    let asked: Vec<_> = made.map(|got| got.body).collect();
    let bls = "{\"type\":\"bls\"}";
    assert_eq!(asked, [bls, bls, bls, "{\"type\":\"secp256k1\"}"]);
}

#[tokio::test]
async fn verify_finds_a_key_in_any_spelling_and_makes_none() {
    let (signer, served) = sidecar().await;
    for (kind, key) in
        [("bls", BLS.to_owned()), ("bls", BLS.to_uppercase()), ("tls", TLS.to_owned()), ("tls", TLS_64.to_owned())]
    {
        let path = format!("/v1/staking/{kind}/register");
        let answer = ask(&served.api, &path, json!({"mode":"verify","publicKey":key})).await;
        assert_eq!(answer.status, 200, "{key}: {}", answer.body);
    }
    let other = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
    let answer = ask(&served.api, "/v1/staking/tls/register", json!({"mode":"verify","publicKey":other})).await;
    assert_eq!(answer.refusal(), (404, "key_not_found".to_owned()));
    assert!(signer.got().iter().all(|got| got.method == "GET"));
}

#[tokio::test]
async fn bls_sign_passes_bytes_on_as_hex_and_typed_data_whole() {
    let raw = |got: &Got| (got.path == "/ext/cryft/v1").then(|| Reply::json(r#"{"functions":["raw_signing"]}"#));
    let signer = FakeSigner::working_but(raw).await;
    let served = Served::api(&signer.url, Limits::default());
    let typed = &typed(u64::MAX).to_string().replace("{\"epoch\"", "{ \"unknown\":[1e400], \"epoch\"");
    for (request, passed_on) in [
        (
            json!({"pubkey":BLS,"data":"aGVsbG8=","type":"ATTESTATION"}).to_string(),
            r#"{"type":"ATTESTATION","data":"0x68656c6c6f"}"#,
        ),
        (
            json!({"pubkey":BLS.to_uppercase(),"data":"0x68656C6c6f","type":"SYNC_COMMITTEE"}).to_string(),
            r#"{"type":"SYNC_COMMITTEE","data":"0x68656c6c6f"}"#,
        ),
        (json!({"keyHandle":BLS,"message":"aGVsbG8="}).to_string(), r#"{"type":"RAW","data":"0x68656c6c6f"}"#),
        (format!(r#"{{"pubkey":"{BLS}","type":"RANDAO_REVEAL","data":{typed},"unknown":[1]}}"#), typed),
    ] {
        let answer = ask(&served.api, "/v1/staking/bls/sign", &request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let signed: v04::Both<Signed, v04::Signed> = serde_json::from_str(&answer.body).expect("its types");
        assert_eq!(signed.contract.signature.0, [0xab; 96]);
        assert_eq!(signed.v04.signature_b64, signed.contract.signature.to_base64());
        let got = signer.signs().pop().expect("it was asked");
        assert_eq!((got.path, got.body.as_str()), (format!("/api/v1/eth2/sign/{BLS}"), passed_on));
        assert!(got.head.contains("accept: application/json"));
    }
}

#[tokio::test]
async fn tls_sign_is_one_call_to_the_signer_whatever_the_spelling_of_the_key() {
    let (signer, served) = sidecar().await;
    for request in [
        json!({"pubkey":TLS,"data":"aGVsbG8=","type":"TLS_CSR"}),
        json!({"pubkey":TLS_64,"data":"0x68656c6c6f"}),
        json!({"keyHandle":TLS,"message":"aGVsbG8="}),
    ] {
        let answer = ask(&served.api, "/v1/staking/tls/sign", &request).await;
        assert_eq!(answer.json()["signature"], format!("0x{}", "cd".repeat(65)), "{request}");
    }
    let got = signer.got();
    assert_eq!(got.len(), 3);
    for got in got {
        assert_eq!(
            (got.path, got.body.as_str()),
            (format!("/api/v1/eth1/sign/{TLS_64}"), r#"{"data":"0x68656c6c6f"}"#)
        );
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_understood_never_reaches_the_signer() {
    let (signer, served) = sidecar().await;
    let sign = |kind: &str| format!("/v1/staking/{kind}/sign");
    for (path, body) in [
        (sign("bls"), "".to_owned()),
        (sign("bls"), "[]".to_owned()),
        (sign("bls"), "{".to_owned()),
        (sign("bls"), format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        (sign("bls"), json!({"data":"aGk=","type":"A"}).to_string()),
        (sign("bls"), json!({"pubkey":"0x97","data":"aGk=","type":"A"}).to_string()),
        (sign("bls"), json!({"pubkey":BLS,"type":"A"}).to_string()),
        (sign("bls"), json!({"pubkey":BLS,"data":"aGk="}).to_string()),
        (sign("bls"), json!({"pubkey":BLS,"data":"?","type":"A"}).to_string()),
        (sign("bls"), json!({"pubkey":BLS,"data":7,"type":"A"}).to_string()),
        (sign("bls"), json!({"pubkey":BLS,"data":"aGk=","type":"a\",\"x\":\""}).to_string()),
        (sign("bls"), json!({"pubkey":BLS,"digest":"aGk="}).to_string()),
        (sign("tls"), json!({"pubkey":TLS,"data":{"type":"A"}}).to_string()),
        (sign("tls"), json!({"pubkey":TLS,"digest":"aGk="}).to_string()),
        (sign("tls"), json!({"pubkey":BLS,"data":"aGk="}).to_string()),
        ("/v1/staking/bls/register".to_owned(), "{}".to_owned()),
        ("/v1/staking/tls/register".to_owned(), json!({"key_type":"BLS"}).to_string()),
    ] {
        let answer = ask(&served.api, &path, &body).await;
        assert_eq!(answer.refusal(), (400, "malformed".to_owned()), "{path} {body:.60}");
    }
    assert_eq!(signer.got(), []);
}
