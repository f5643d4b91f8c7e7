//! Signing through the public socket, and verifying with other libraries than the signer's.
//!
//! The signer signs BLS with blst and secp256k1 with k256 over sha3's Keccak; here bls12_381_plus,
//! libsecp256k1 and tiny-keccak verify, so one library's mistake does not vouch for itself.

use std::path::Path;

use bls12_381_plus::elliptic_curve_013::hash2curve::ExpandMsgXmd;
use bls12_381_plus::{G1Affine, G2Affine, G2Projective, pairing};
use contract::wire::path;
use contract::{BlsPublicKey, Bytes, TlsPublicKey};
use secp256k1::ecdsa::{self, RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
use tiny_keccak::{Hasher as _, Keccak};

use crate::stage::{self, CallError};

/// The eth2 ciphersuite.
const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// What Ethereum adds to the recovery id.
const V_BASE: u8 = 27;

/// Why a signature is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("as a client: {0}")]
    Call(#[from] CallError),
    #[error("claim not kept: the {kind} signature has {len} bytes, expected {expected}")]
    Length { kind: &'static str, len: usize, expected: usize },
    #[error("claim not kept: the {0} bytes are not a point of the right group")]
    NotAPoint(&'static str),
    #[error("claim not kept: the {0} signature does not verify")]
    Bad(&'static str),
    #[error("claim not kept: the {0} signature verifies for what was not signed")]
    TooGood(&'static str),
    #[error("claim not kept: the TLS signature: {0}")]
    Secp(#[from] secp256k1::Error),
    #[error("claim not kept: the key recovered from the TLS signature is {0}")]
    OtherKey(String),
}

#[derive(Deserialize)]
struct Signed {
    signature: Bytes,
}

/// `bls/sign` of a typed request, which says its own type.
pub(super) fn sign_bls(socket: &Path, key: &BlsPublicKey, body: &Value) -> Result<Bytes, SignatureError> {
    let request = json!({"pubkey": key, "data": body, "type": body["type"]});
    let signed: Signed = stage::post(socket, path::BLS_SIGN, &request)?.json()?;
    Ok(signed.signature)
}

/// `tls/sign`.
pub(super) fn sign_tls(socket: &Path, key: &TlsPublicKey, data: &[u8]) -> Result<Bytes, SignatureError> {
    let request = json!({"pubkey": key, "data": Bytes(data.to_vec())});
    let signed: Signed = stage::post(socket, path::TLS_SIGN, &request)?.json()?;
    Ok(signed.signature)
}

/// The signature is good for the message, and not for another one.
pub(super) fn check_bls(key: &BlsPublicKey, message: &[u8], signature: &Bytes) -> Result<(), SignatureError> {
    if !bls_verifies(key, message, signature)? {
        return Err(SignatureError::Bad("BLS"));
    }
    if bls_verifies(key, &other_than(message), signature)? {
        return Err(SignatureError::TooGood("BLS"));
    }
    Ok(())
}

/// The signature is good for the data and not for other data, and names the key it was made with.
pub(super) fn check_tls(key: &TlsPublicKey, data: &[u8], signature: &Bytes) -> Result<(), SignatureError> {
    let expected = PublicKey::from_slice(key.as_bytes())?;
    let [compact @ .., v] = signature.0.as_slice() else {
        return Err(SignatureError::Length { kind: "TLS", len: 0, expected: 65 });
    };
    if compact.len() != 64 {
        return Err(SignatureError::Length { kind: "TLS", len: compact.len() + 1, expected: 65 });
    }
    let recovery = RecoveryId::try_from(i32::from(v.checked_sub(V_BASE).unwrap_or(*v)))?;
    let recoverable = RecoverableSignature::from_compact(compact, recovery)?;
    let plain = recoverable.to_standard();
    ecdsa::verify(&plain, keccak(data), &expected).map_err(|_| SignatureError::Bad("TLS"))?;
    if ecdsa::verify(&plain, keccak(&other_than(data)), &expected).is_ok() {
        return Err(SignatureError::TooGood("TLS"));
    }
    let recovered = recoverable.recover_ecdsa(keccak(data))?;
    if recovered == expected { Ok(()) } else { Err(SignatureError::OtherKey(recovered.to_string())) }
}

/// e(key, H(message)) = e(generator, signature), both points in their prime-order subgroups.
fn bls_verifies(key: &BlsPublicKey, message: &[u8], signature: &Bytes) -> Result<bool, SignatureError> {
    let len = signature.0.len();
    let signature: [u8; 96] =
        signature.0.as_slice().try_into().map_err(|_| SignatureError::Length { kind: "BLS", len, expected: 96 })?;
    // from_compressed also checks the subgroup.
    let key: Option<G1Affine> = G1Affine::from_compressed(key.as_bytes()).into();
    let signature: Option<G2Affine> = G2Affine::from_compressed(&signature).into();
    let key = key.ok_or(SignatureError::NotAPoint("BLS key's"))?;
    let signature = signature.ok_or(SignatureError::NotAPoint("BLS signature's"))?;
    let hashed = G2Projective::hash::<ExpandMsgXmd<sha2_for_bls::Sha256>>(message, CIPHERSUITE);
    Ok(pairing(&key, &G2Affine::from(hashed)) == pairing(&G1Affine::generator(), &signature))
}

fn keccak(data: &[u8]) -> Message {
    let mut hasher = Keccak::v256();
    hasher.update(data);
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    Message::from_digest(digest)
}

/// The same with one bit turned.
fn other_than(bytes: &[u8]) -> Vec<u8> {
    let mut other = bytes.to_vec();
    match other.first_mut() {
        Some(first) => *first ^= 1,
        None => other.push(0),
    }
    other
}

#[cfg(test)]
mod tests {
    use secp256k1::SecretKey;

    use super::*;

    /// A vector of the eth2 test suite: 32 zero bytes, signed.
    const KEY: &str =
        "0xb301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81";
    const SIGNATURE: &str = "0xb23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63926da3388979e5321012fb1\
                             a0526bcd100b5ef5fe72628ce4cd5e904aeaa3279527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885\
                             d5dc6df96d9";

    #[test]
    fn a_bls_signature_of_the_eth2_suite_verifies_for_its_message_and_key_alone() {
        let key = KEY.parse().expect("a key");
        let signature: Bytes = SIGNATURE.parse().expect("hex");
        assert!(check_bls(&key, &[0; 32], &signature).is_ok());
        assert!(matches!(check_bls(&key, &[1; 32], &signature), Err(SignatureError::Bad(_))));
        let generator =
            "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
        let other = generator.parse().expect("a key");
        assert!(matches!(check_bls(&other, &[0; 32], &signature), Err(SignatureError::Bad(_))));
        let short = Bytes(signature.0[..95].to_vec());
        assert!(matches!(check_bls(&key, &[0; 32], &short), Err(SignatureError::Length { .. })));
    }

    #[test]
    fn a_tls_signature_verifies_for_its_data_and_names_its_key() {
        let secret = SecretKey::from_secret_bytes([7; 32]).expect("in range");
        let key = TlsPublicKey::from_bytes(&PublicKey::from_secret_key(&secret).serialize()).expect("a point");
        let (recovery, compact) =
            RecoverableSignature::sign_ecdsa_recoverable(keccak(b"data"), &secret).serialize_compact();
        let signed = |v: u8| Bytes([compact.as_slice(), &[v]].concat());
        let v = recovery.to_u8();
        assert!(check_tls(&key, b"data", &signed(v)).is_ok());
        assert!(check_tls(&key, b"data", &signed(v + V_BASE)).is_ok());
        assert!(matches!(check_tls(&key, b"date", &signed(v)), Err(SignatureError::Bad(_))));
        assert!(check_tls(&key, b"data", &signed(v ^ 1)).is_err(), "the other v names another key");
        assert!(matches!(check_tls(&key, b"data", &Bytes(compact.to_vec())), Err(SignatureError::Length { .. })));
    }

    #[test]
    fn keccak_is_ethereums_and_not_sha3() {
        let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(hex::encode(keccak(b"").as_ref()), empty);
    }
}
