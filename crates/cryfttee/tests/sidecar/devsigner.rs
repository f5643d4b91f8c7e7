//! With a signer that really signs: the project's development signer.

use std::future::pending;
use std::path::Path;
use std::process::Command;

use contract::wire::{Registered, Signed, StakingStatus};
use contract::{BlsPublicKey, NodeId, TlsPublicKey};
use cryfttee::config::KeyGeneration;
use cryfttee::listen::Role;
use cryfttee_devsigner::{Server, Store};
use k256::ecdsa::signature::hazmat::PrehashVerifier as _;
use k256::ecdsa::{Signature, VerifyingKey};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::client::{Client, ask, get};
use crate::support::{Served, skipped};

struct Pair {
    served: Served,
    signer: std::net::SocketAddr,
    _keys: TempDir,
}

async fn start() -> Pair {
    start_with(KeyGeneration::Signer).await
}

async fn start_with(who: KeyGeneration) -> Pair {
    let keys = tempfile::tempdir().expect("a folder");
    let store = Store::open(keys.path(), None).expect("an empty store");
    let server = Server::bind("127.0.0.1:0".parse().expect("an address"), store).await.expect("bind");
    let signer = server.address();
    tokio::spawn(server.serve(pending()));
    let served = Served::with(&format!("http://{signer}"), &[Role::Api], |settings| settings.key_generation = who);
    Pair { served, signer, _keys: keys }
}

async fn make<K: serde::de::DeserializeOwned>(api: &Path, kind: &str) -> Registered<K> {
    let answer = ask(api, &format!("/v1/staking/{kind}/register"), json!({"action":"generate"})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("its type")
}

#[tokio::test]
async fn keys_that_are_made_are_listed_and_carry_their_proofs() {
    let pair = start().await;
    let api = &pair.served.api;
    let bls: Registered<BlsPublicKey> = make(api, "bls").await;
    let tls: Registered<TlsPublicKey> = make(api, "tls").await;
    let proof = bls.proof_of_possession.expect("this signer proves");
    assert_eq!(proof.0.len(), 96);
    let verify = json!({"mode":"verify","publicKey":bls.pubkey});
    let known = ask(api, "/v1/staking/bls/register", verify).await;
    let known: Registered<BlsPublicKey> = serde_json::from_str(&known.body).expect("its type");
    assert_eq!(known.proof_of_possession, Some(proof), "a key that is there carries it as well");
    assert!(!bls.secret_path.is_empty() && !tls.secret_path.is_empty());
    let status: StakingStatus = serde_json::from_str(&get(api, "/v1/staking/status").await.body).expect("a status");
    assert!(status.ready);
    assert_eq!((status.bls_pubkeys, status.tls_pubkeys), (vec![bls.pubkey], vec![tls.pubkey]));
}

#[tokio::test]
async fn the_certificate_of_a_new_tls_key_is_one_that_openssl_verifies() {
    let pair = start().await;
    let tls: Registered<TlsPublicKey> = make(&pair.served.api, "tls").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("certificate.pem");
    std::fs::write(&file, tls.certificate.expect("a certificate")).expect("write");
    let file = file.to_str().expect("UTF-8");
    let Ok(verified) = Command::new("openssl").args(["verify", "-check_ss_sig", "-CAfile", file, file]).output() else {
        return skipped("the_certificate_of_a_new_tls_key_is_one_that_openssl_verifies", "there is no openssl command");
    };
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let subject = Command::new("openssl").args(["x509", "-noout", "-subject", "-in", file]).output().expect("there");
    let subject = String::from_utf8(subject.stdout).expect("UTF-8");
    assert!(subject.contains(&NodeId::of(&tls.pubkey).to_string()), "{subject}");
}

#[tokio::test]
async fn a_signature_through_the_sidecar_is_the_signers_own() {
    let pair = start().await;
    let bls: Registered<BlsPublicKey> = make(&pair.served.api, "bls").await;
    let mut direct = Client::over(TcpStream::connect(pair.signer).await.expect("connect"));
    // RAW is the type under which the 0.4 form goes on.
    for (request, kind) in [
        (json!({"pubkey":bls.pubkey,"data":"aGVsbG8=","type":"ATTESTATION"}), "ATTESTATION"),
        (json!({"keyHandle":bls.pubkey,"message":"aGVsbG8="}), "RAW"),
    ] {
        let through = ask(&pair.served.api, "/v1/staking/bls/sign", request).await;
        let through: Signed = serde_json::from_str(&through.body).expect("a signature");
        let body = json!({"type":kind,"data":"0x68656c6c6f"});
        let answer = direct.post(&format!("/api/v1/eth2/sign/{}", bls.pubkey), body).await;
        assert!(answer.body.contains(&through.signature.to_string()), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_digest_form_signs_the_digest_as_it_is() {
    let pair = start().await;
    let tls: Registered<TlsPublicKey> = make(&pair.served.api, "tls").await;
    let digest = contract::Bytes(vec![0x5a; 32]);
    let request = json!({"keyHandle":tls.pubkey,"digest":digest.to_base64(),"algorithm":"ECDSA_P256_SHA256"});
    let answer = ask(&pair.served.api, "/v1/staking/tls/sign", request).await;
    let signed: Signed = serde_json::from_str(&answer.body).expect("a signature");
    let key = VerifyingKey::from_sec1_bytes(tls.pubkey.as_bytes()).expect("a key");
    let signature = Signature::from_slice(&signed.signature.0).expect("64 bytes");
    key.verify_prehash(&digest.0, &signature).expect("it verifies");
}

#[tokio::test]
async fn typed_data_that_the_signer_does_not_serve_is_its_refusal_in_its_words() {
    let pair = start().await;
    let bls: Registered<BlsPublicKey> = make(&pair.served.api, "bls").await;
    let request = json!({"pubkey":bls.pubkey,"data":{"type":"BLOCK_V2","fork_info":{}}});
    let answer = ask(&pair.served.api, "/v1/staking/bls/sign", request).await;
    assert_eq!(answer.refusal(), (400, "signer_refused".to_owned()));
    assert!(answer.json()["details"].as_str().is_some_and(|text| text.starts_with("400: ")));
    let other = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
    let answer =
        ask(&pair.served.api, "/v1/staking/bls/sign", json!({"pubkey":other,"data":"0x00","type":"BLOCK"})).await;
    assert_eq!(answer.refusal(), (404, "key_not_found".to_owned()));
}

#[tokio::test]
async fn a_key_that_is_made_here_and_imported_signs_and_proves_itself() {
    let pair = start_with(KeyGeneration::Import).await;
    let api = &pair.served.api;
    let status: StakingStatus = serde_json::from_str(&get(api, "/v1/staking/status").await.body).expect("a status");
    assert!(status.capabilities.iter().any(|name| name == "key_generation"), "{:?}", status.capabilities);
    let bls: Registered<BlsPublicKey> = make(api, "bls").await;
    let status: StakingStatus = serde_json::from_str(&get(api, "/v1/staking/status").await.body).expect("a status");
    assert_eq!(status.bls_pubkeys, [bls.pubkey]);
    let request = json!({"pubkey":bls.pubkey,"data":"aGVsbG8=","type":"ATTESTATION"});
    let signed: Signed = serde_json::from_str(&ask(api, "/v1/staking/bls/sign", request).await.body).expect("signed");
    assert_eq!(signed.signature.0.len(), 96);
    // The signer's own proof, made from what it imported, is the one that was made before.
    let verify = json!({"mode":"verify","publicKey":bls.pubkey});
    let known = ask(api, "/v1/staking/bls/register", verify).await;
    let known: Registered<BlsPublicKey> = serde_json::from_str(&known.body).expect("its type");
    assert!(known.proof_of_possession.is_some());
    assert_eq!(known.proof_of_possession, bls.proof_of_possession);
}
