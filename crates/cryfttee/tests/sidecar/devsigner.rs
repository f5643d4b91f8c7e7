//! With a signer that really signs: the project's development signer, which behaves as a stock Web3Signer. `eth2` and `eth1`
//! are a process each, and go beyond a stock one only in what a test names.

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use contract::wire::{Registered, Signed, StakingStatus};
use contract::{BlsPublicKey, NodeId, TlsPublicKey};
use cryfttee::config::KeyGeneration;
use cryfttee::listen::Role;
use cryfttee_devsigner::options::{Extension, Options, Serves};
use cryfttee_devsigner::{Server, Store};
use k256::ecdsa::signature::hazmat::PrehashVerifier as _;
use k256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::client::{Client, ask, get};
use crate::support::{Served, skipped, typed};

struct Pair {
    served: Served,
    eth2: SocketAddr,
    _keys: TempDir,
}

impl Pair {
    /// With a key of each kind, in key files of Web3Signer.
    async fn with_keys(extensions: &[Extension]) -> Self {
        let keys = tempfile::tempdir().expect("a directory");
        for (name, kind, secret) in [("bls", "BLS", "07"), ("node", "SECP256K1", "09")] {
            let text = format!("type: file-raw\nkeyType: {kind}\nprivateKey: \"0x{}{secret}\"\n", "00".repeat(31));
            std::fs::write(keys.path().join(format!("{name}.yaml")), text).expect("write");
        }
        Self::over(keys, extensions, KeyGeneration::Off).await
    }

    async fn without_keys(extensions: &[Extension], who: KeyGeneration) -> Self {
        Self::over(tempfile::tempdir().expect("a directory"), extensions, who).await
    }

    async fn over(keys: TempDir, extensions: &[Extension], who: KeyGeneration) -> Self {
        let (eth2, eth1) =
            (start(keys.path(), Serves::Eth2, extensions).await, start(keys.path(), Serves::Eth1, extensions).await);
        let served = Served::with(&format!("http://{eth2}"), &[Role::Api], |settings| {
            settings.signer_eth1 = Some(format!("http://{eth1}").parse().expect("a URL"));
            settings.key_generation = who;
        });
        Self { served, eth2, _keys: keys }
    }

    async fn status(&self) -> StakingStatus {
        serde_json::from_str(&get(&self.served.api, "/v1/staking/status").await.body).expect("a status")
    }

    async fn keys(&self) -> (BlsPublicKey, TlsPublicKey) {
        let status = self.status().await;
        (status.bls_pubkeys[0], status.tls_pubkeys[0])
    }

    async fn sign(&self, kind: &str, request: Value) -> Signed {
        let answer = ask(&self.served.api, &format!("/v1/staking/{kind}/sign"), request).await;
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("a signature: {}", answer.body))
    }

    async fn make<K: serde::de::DeserializeOwned>(&self, kind: &str) -> Registered<K> {
        let path = format!("/v1/staking/{kind}/register");
        let answer = ask(&self.served.api, &path, json!({"action":"generate"})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("its type")
    }
}

async fn start(keys: &Path, serves: Serves, extensions: &[Extension]) -> SocketAddr {
    let options =
        Options { extensions: extensions.iter().copied().collect(), key_manager: true, ..Options::stock(serves) };
    let store = Store::open_for(keys, None, &options).expect("a good directory");
    let server = Server::bind_with(SocketAddr::from(([127, 0, 0, 1], 0)), store, options).await.expect("bind");
    let address = server.address();
    tokio::spawn(server.serve(pending()));
    address
}

#[tokio::test]
async fn without_extensions_it_is_ready_signs_what_is_typed_and_refuses_bytes() {
    let pair = Pair::with_keys(&[]).await;
    let status = pair.status().await;
    assert!(status.ready, "{status:?}");
    assert_eq!(status.capabilities, ["bls_signing", "tls_signing"]);
    let (bls, tls) = pair.keys().await;
    let through = pair.sign("bls", json!({"pubkey":bls,"data":typed(100)})).await;
    let mut direct = Client::over(TcpStream::connect(pair.eth2).await.expect("connect"));
    let answer = direct.post(&format!("/api/v1/eth2/sign/{bls}"), typed(100)).await;
    assert!(answer.body.contains(&through.signature.to_string()), "{}", answer.body);
    assert_eq!(pair.sign("tls", json!({"pubkey":tls,"data":"aGVsbG8="})).await.signature.0.len(), 65);

    let sign = "/v1/staking/bls/sign";
    for request in
        [json!({"pubkey":bls,"data":"aGVsbG8=","type":"ATTESTATION"}), json!({"keyHandle":bls,"message":"aGk="})]
    {
        let answer = ask(&pair.served.api, sign, request).await;
        assert_eq!(answer.refusal(), (400, "signer_refused".to_owned()));
    }
    let digest = contract::Bytes(vec![0x5a; 32]).to_base64();
    let answer = ask(&pair.served.api, "/v1/staking/tls/sign", json!({"keyHandle":tls,"digest":digest})).await;
    assert_eq!(answer.refusal(), (400, "not_supported_by_signer".to_owned()));
}

#[tokio::test]
async fn keys_that_are_made_are_listed_and_carry_their_proofs() {
    let pair = Pair::without_keys(&[Extension::Generate, Extension::Proofs], KeyGeneration::Signer).await;
    let bls: Registered<BlsPublicKey> = pair.make("bls").await;
    let tls: Registered<TlsPublicKey> = pair.make("tls").await;
    let proof = bls.proof_of_possession.expect("this signer proves");
    assert_eq!(proof.0.len(), 96);
    let verify = json!({"mode":"verify","publicKey":bls.pubkey});
    let known = ask(&pair.served.api, "/v1/staking/bls/register", verify).await;
    let known: Registered<BlsPublicKey> = serde_json::from_str(&known.body).expect("its type");
    assert_eq!(known.proof_of_possession, Some(proof), "a key that is there carries it as well");
    assert!(!bls.secret_path.is_empty() && !tls.secret_path.is_empty());
    let status = pair.status().await;
    assert!(status.ready);
    assert_eq!(status.capabilities, ["bls_signing", "tls_signing", "key_generation", "possession_proofs"]);
    assert_eq!((status.bls_pubkeys, status.tls_pubkeys), (vec![bls.pubkey], vec![tls.pubkey]));
}

#[tokio::test]
async fn the_certificate_of_a_new_tls_key_is_one_that_openssl_verifies() {
    let pair = Pair::without_keys(&[Extension::Generate, Extension::Digest], KeyGeneration::Signer).await;
    let tls: Registered<TlsPublicKey> = pair.make("tls").await;
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
async fn with_raw_signing_a_signature_over_bytes_is_the_signers_own() {
    let pair = Pair::with_keys(&[Extension::Raw]).await;
    let (bls, _) = pair.keys().await;
    assert_eq!(pair.status().await.capabilities, ["bls_signing", "tls_signing", "raw_signing"]);
    let mut direct = Client::over(TcpStream::connect(pair.eth2).await.expect("connect"));
    // RAW is the type under which the 0.4 form goes on.
    for (request, kind) in [
        (json!({"pubkey":bls,"data":"aGVsbG8=","type":"ATTESTATION"}), "ATTESTATION"),
        (json!({"keyHandle":bls,"message":"aGVsbG8="}), "RAW"),
    ] {
        let through = pair.sign("bls", request).await;
        let body = json!({"type":kind,"data":"0x68656c6c6f"});
        let answer = direct.post(&format!("/api/v1/eth2/sign/{bls}"), body).await;
        assert!(answer.body.contains(&through.signature.to_string()), "{}", answer.body);
    }
}

#[tokio::test]
async fn with_digest_signing_the_digest_form_signs_the_digest_as_it_is() {
    let pair = Pair::with_keys(&[Extension::Digest]).await;
    let (_, tls) = pair.keys().await;
    assert_eq!(pair.status().await.capabilities, ["bls_signing", "tls_signing", "digest_signing"]);
    let digest = contract::Bytes(vec![0x5a; 32]);
    let request = json!({"keyHandle":tls,"digest":digest.to_base64(),"algorithm":"ECDSA_P256_SHA256"});
    let signed = pair.sign("tls", request).await;
    let key = VerifyingKey::from_sec1_bytes(tls.as_bytes()).expect("a key");
    let signature = Signature::from_slice(&signed.signature.0).expect("64 bytes");
    key.verify_prehash(&digest.0, &signature).expect("it verifies");
}

#[tokio::test]
async fn what_the_signer_alone_can_judge_comes_back_in_its_words() {
    let pair = Pair::with_keys(&[]).await;
    let (bls, _) = pair.keys().await;
    let sign = "/v1/staking/bls/sign";
    let mut other_root = typed(100);
    other_root["signingRoot"] = json!(format!("0x{}", "11".repeat(32)));
    let answer = ask(&pair.served.api, sign, json!({"pubkey":bls,"data":other_root})).await;
    assert_eq!(answer.refusal(), (502, "signer_error".to_owned()));
    let details = answer.json()["details"].as_str().expect("a text").to_owned();
    assert!(details.starts_with("500: ") && details.contains("signingRoot"), "{details}");

    let other = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
    let answer = ask(&pair.served.api, sign, json!({"pubkey":other,"data":typed(100)})).await;
    assert_eq!(answer.refusal(), (404, "key_not_found".to_owned()));
}

#[tokio::test]
async fn a_key_that_is_made_here_and_imported_signs_and_proves_itself() {
    for extensions in [&[][..], &[Extension::Proofs]] {
        let pair = Pair::without_keys(extensions, KeyGeneration::Import).await;
        let status = pair.status().await;
        assert!(status.capabilities.iter().any(|name| name == "key_generation"), "{:?}", status.capabilities);
        let bls: Registered<BlsPublicKey> = pair.make("bls").await;
        assert_eq!(pair.status().await.bls_pubkeys, [bls.pubkey]);
        let signed = pair.sign("bls", json!({"pubkey":bls.pubkey,"data":typed(100)})).await;
        assert_eq!(signed.signature.0.len(), 96);
        let verify = json!({"mode":"verify","publicKey":bls.pubkey});
        let known = ask(&pair.served.api, "/v1/staking/bls/register", verify).await;
        let known: Registered<BlsPublicKey> = serde_json::from_str(&known.body).expect("its type");
        // The signer's own proof, made from what it imported, is the one that was made before; a stock one has none.
        assert!(bls.proof_of_possession.is_some());
        let expected = if extensions.is_empty() { None } else { bls.proof_of_possession };
        assert_eq!(known.proof_of_possession, expected);
    }
}

#[tokio::test]
async fn no_key_is_made_beside_a_key_file_that_failed_and_a_reload_mends_an_empty_signer() {
    let keys = tempfile::tempdir().expect("a directory");
    let file = keys.path().join("bls.yaml");
    std::fs::write(&file, "type: file-raw\nkeyType: BLS\nprivateKey: \"0x07\"\n").expect("write");
    let eth2 = start(keys.path(), Serves::Eth2, &[]).await;
    let served = Served::with(&format!("http://{eth2}"), &[Role::Control], |settings| {
        settings.key_generation = KeyGeneration::Import;
        settings.limits.upcheck_cache = std::time::Duration::ZERO;
    });
    let look = async || get(&served.control, "/v1/staking/status").await.json()["signers"][0].clone();
    let seen = look().await;
    assert_eq!(
        (&seen["health"], &seen["failed_keys"], &seen["keys"]),
        (&json!("down"), &json!(1), &json!(0)),
        "{seen}"
    );
    let made = ask(&served.control, "/v1/staking/bls/register", json!({"action":"generate"})).await;
    assert_eq!(made.refusal(), (503, "signer_unavailable".to_owned()));
    assert!(made.body.contains("1 key file"), "{}", made.body);

    let text = format!("type: file-raw\nkeyType: BLS\nprivateKey: \"0x{}07\"\n", "00".repeat(31));
    std::fs::write(&file, text).expect("write");
    let answer = ask(&served.control, "/v1/runtime/signer/reload", "").await;
    assert_eq!((answer.status, &answer.json()["reloaded"]), (200, &json!(["both"])), "{}", answer.body);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while look().await["keys"] != json!(1) {
        assert!(std::time::Instant::now() < deadline, "it is not loaded: {}", look().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let seen = look().await;
    assert_eq!((&seen["health"], &seen["failed_keys"]), (&json!("up"), &json!(0)), "{seen}");
}
