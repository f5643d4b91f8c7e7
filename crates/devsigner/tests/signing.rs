//! Signatures, verified with other libraries than those that made them.

mod support;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;
use support::{Signer, bytes, text, verify};

const MESSAGE: &[u8] = b"hello, signer";

fn message() -> String {
    format!("0x{}", hex::encode(MESSAGE))
}

fn started() -> (tempfile::TempDir, Signer) {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(&folder.path().join("keys"));
    (folder, signer)
}

/// The one secp256k1 key, as the signer names it.
fn listed(signer: &Signer) -> String {
    text(&signer.get("/api/v1/eth1/publicKeys").json()[0])
}

#[test]
fn a_bls_signature_is_over_exactly_the_data() {
    let (_folder, signer) = started();
    let public = signer.generate("bls");
    let body = json!({ "type": "ATTESTATION", "data": message() }).to_string();
    let reply = signer.post_for_json(&format!("/api/v1/eth2/sign/{public}"), &body);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let signature: [u8; 96] = bytes(&text(&reply.json()["signature"]));
    let public: [u8; 48] = bytes(&public);
    assert!(verify::bls(&public, MESSAGE, &signature, verify::BLS_SIGNATURE_DST));
    assert!(!verify::bls(&public, b"other", &signature, verify::BLS_SIGNATURE_DST));
    assert!(!verify::bls(&public, MESSAGE, &signature, verify::BLS_POSSESSION_DST));
}

#[test]
fn bls_signs_the_empty_message_and_a_long_one() {
    let (_folder, signer) = started();
    let public = signer.generate("bls");
    for message in [vec![], vec![0xa5; 400 * 1024]] {
        let body = json!({ "type": "BLOCK", "data": format!("0x{}", hex::encode(&message)) }).to_string();
        let reply = signer.post(&format!("/api/v1/eth2/sign/{public}"), &body);
        let signature: [u8; 96] = bytes(reply.text());
        assert!(verify::bls(&bytes(&public), &message, &signature, verify::BLS_SIGNATURE_DST));
    }
}

#[test]
fn a_proof_of_possession_verifies_and_is_no_signature() {
    let (_folder, signer) = started();
    let public = signer.generate("bls");
    let reply = signer.get(&format!("/ext/cryft/v1/bls/{public}/proof-of-possession"));
    assert_eq!(reply.status, 200);
    let proof: [u8; 96] = bytes(&text(&reply.json()["proof_of_possession"]));
    let public: [u8; 48] = bytes(&public);
    assert!(verify::bls(&public, &public, &proof, verify::BLS_POSSESSION_DST));
    assert!(!verify::bls(&public, &public, &proof, verify::BLS_SIGNATURE_DST));
}

#[test]
fn an_eth1_signature_recovers_to_the_key_over_keccak() {
    let (_folder, signer) = started();
    let public = signer.generate("secp256k1");
    let listed = listed(&signer);
    // Several, so that both values of v come up.
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..32_u8 {
        let body = json!({ "data": format!("0x{number:02x}") }).to_string();
        let reply = signer.post_for_json(&format!("/api/v1/eth1/sign/{listed}"), &body);
        assert_eq!(reply.status, 200);
        let signature: [u8; 65] = bytes(reply.text());
        let digest = Keccak256::digest([number]).into();
        assert_eq!(verify::recover(&digest, &signature), Some(bytes(&public)));
        assert!(verify::ecdsa(&bytes::<33>(&public), &digest, signature.first_chunk().expect("r and s")));
        seen.insert(signature[64]);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [27, 28]);
}

#[test]
fn sign_sha256_and_sign_digest_make_the_same_low_s_signature() {
    let (_folder, signer) = started();
    let public = signer.generate("secp256k1");
    for number in 0..16_u8 {
        let digest: [u8; 32] = Sha256::digest([number]).into();
        let ask = |call: &str, body: serde_json::Value| -> [u8; 64] {
            let reply = signer.post(&format!("/ext/cryft/v1/secp256k1/{public}/{call}"), &body.to_string());
            assert_eq!(reply.status, 200, "{}", reply.body);
            bytes(&text(&reply.json()["signature"]))
        };
        let hashed = ask("sign-sha256", json!({ "data": format!("0x{number:02x}") }));
        let given = ask("sign-digest", json!({ "digest": format!("0x{}", hex::encode(digest)) }));
        // The judge accepts low s only.
        assert!(verify::ecdsa(&bytes::<33>(&public), &digest, &hashed));
        assert_eq!(hashed, given);
    }
}

#[test]
fn the_judges_refuse_what_is_no_signature() {
    let (_folder, signer) = started();
    let public: [u8; 48] = bytes(&signer.generate("bls"));
    let identity = {
        let mut point = [0; 96];
        point[0] = 0xc0;
        point
    };
    assert!(!verify::bls(&public, MESSAGE, &identity, verify::BLS_SIGNATURE_DST));
    assert!(!verify::bls(&public, MESSAGE, &[0xff; 96], verify::BLS_SIGNATURE_DST));
    let public: [u8; 33] = bytes(&signer.generate("secp256k1"));
    assert!(!verify::ecdsa(&public, &[1; 32], &[1; 64]));
}

#[test]
fn a_key_is_found_in_every_spelling() {
    let (_folder, signer) = started();
    let public = signer.generate("bls");
    let body = json!({ "type": "BLOCK", "data": message() }).to_string();
    for name in [public.clone(), public[2..].to_owned(), public[2..].to_uppercase(), public.to_uppercase()] {
        assert_eq!(signer.post(&format!("/api/v1/eth2/sign/{name}"), &body).status, 200, "{name}");
    }
    let compressed = signer.generate("secp256k1");
    let listed = listed(&signer);
    let body = json!({ "data": message() }).to_string();
    let status = |path: &str| signer.post(path, &body).status;
    for name in [&listed, &listed[2..], &listed.to_uppercase(), &listed[2..].to_uppercase()] {
        assert_eq!(status(&format!("/api/v1/eth1/sign/{name}")), 200, "{name}");
        assert_eq!(status(&format!("/ext/cryft/v1/secp256k1/{name}/sign-sha256")), 200, "{name}");
    }
    // Stock knows a secp256k1 key by its two coordinates alone; the extensions know the other spellings too.
    for name in [&compressed, &compressed[2..], &format!("0x04{}", &listed[2..]), &format!("04{}", &listed[2..])] {
        assert_eq!(status(&format!("/api/v1/eth1/sign/{name}")), 404, "{name}");
        assert_eq!(status(&format!("/ext/cryft/v1/secp256k1/{name}/sign-sha256")), 200, "{name}");
    }
}

#[test]
fn many_clients_at_once_all_get_good_signatures() {
    let (_folder, signer) = started();
    let public = signer.generate("bls");
    let path = format!("/api/v1/eth2/sign/{public}");
    std::thread::scope(|scope| {
        for client in 0..200_u32 {
            let (signer, path, public) = (&signer, &path, &public);
            scope.spawn(move || {
                let body = json!({ "type": "BLOCK", "data": format!("0x{client:08x}") }).to_string();
                let signature: [u8; 96] = bytes(signer.post(path, &body).text());
                // Verifying takes the judge much longer than signing, so one in twenty.
                if client.is_multiple_of(20) {
                    let message = client.to_be_bytes();
                    assert!(verify::bls(&bytes(public), &message, &signature, verify::BLS_SIGNATURE_DST));
                }
            });
        }
    });
}
