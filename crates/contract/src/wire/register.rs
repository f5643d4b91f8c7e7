//! `POST /v1/staking/{bls,tls}/register`.

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// A request to make a key, or to say whether one is there. Three spellings are in use, so every field may
/// be absent: `{"action":"generate"}`, `{"key_type":"BLS","purpose":…}`, `{"mode":"generate"|"verify","publicKey":…}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// `generate`, in the contract's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// `BLS` or `SECP256K1`: must fit the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// What the key is for; free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// `generate` or `verify`, in the 0.4 dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The key to verify.
    #[serde(default, rename = "publicKey", alias = "pubkey", skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

impl RegisterRequest {
    /// `{"action":"generate"}`.
    pub fn generate() -> Self {
        Self { action: Some("generate".to_owned()), ..Self::default() }
    }

    /// `{"mode":"verify","publicKey":…}`.
    pub fn verify(public_key: String) -> Self {
        Self { mode: Some("verify".to_owned()), public_key: Some(public_key), ..Self::default() }
    }
}

/// The key that was made or found. `K` is the kind of key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered<K> {
    /// The public key.
    pub pubkey: K,
    /// Where the signer keeps the secret, in its own words; empty where it does not say.
    pub secret_path: String,
    /// BLS only, where the signer offers it: a signature over the public key with the POP ciphersuite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_of_possession: Option<Bytes>,
    /// TLS only: a self-signed certificate, PEM; empty where the signer cannot make one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}
