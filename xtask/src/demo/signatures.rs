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
use serde_json::json;
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

/// `bls/sign` of type ATTESTATION.
pub(super) fn sign_bls(socket: &Path, key: &BlsPublicKey, message: &[u8]) -> Result<Bytes, SignatureError> {
    let request = json!({"pubkey": key, "data": Bytes(message.to_vec()), "type": "ATTESTATION"});
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
