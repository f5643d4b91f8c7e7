//! The names of cryfttee 0.4, which every answer carries beside the contract's.
//!
//! Each type here holds only what the contract's own type of the same endpoint does not say already; [`Both`]
//! puts the two into one object.

use serde::{Deserialize, Serialize};

/// One answer in both dialects: the fields of `C` and of `V`, side by side in one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Both<C, V> {
    /// The contract's fields.
    #[serde(flatten)]
    pub contract: C,
    /// The fields of 0.4.
    #[serde(flatten)]
    pub v04: V,
}

/// Which module answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnsweredBy {
    /// The module's name.
    pub module_id: String,
    /// The module's version.
    pub module_version: String,
}

/// Beside [`Signed`](super::Signed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The signature in base64.
    #[serde(rename = "signatureB64")]
    pub signature_b64: String,
    /// Which module signed.
    #[serde(flatten)]
    pub by: AnsweredBy,
}

/// Beside [`Registered`](super::Registered).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The public key, as it is named in a sign request.
    pub key_handle: String,
    /// BLS only: the public key in base64.
    #[serde(default, rename = "blsPubKeyB64", skip_serializing_if = "Option::is_none")]
    pub bls_pub_key_b64: Option<String>,
    /// TLS only: the certificate, PEM; empty where there is none.
    #[serde(default, rename = "certChainPEM", skip_serializing_if = "Option::is_none")]
    pub cert_chain_pem: Option<String>,
    /// Which module answered.
    #[serde(flatten)]
    pub by: AnsweredBy,
}

/// Beside [`StakingStatus`](super::StakingStatus).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The sidecar's version.
    pub cryfttee_version: String,
    /// The modules.
    pub modules: Vec<StatusModule>,
    /// Whether Web3Signer answers.
    pub web3_signer: Reach,
}

/// A module, as `GET /v1/staking/status` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusModule {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The oldest sidecar it runs in.
    pub min_cryfttee_version: String,
    /// What it can do: `bls_register`, `bls_sign`, `tls_register`, `tls_sign`.
    pub capabilities: Vec<String>,
    /// Which kinds of key it serves where the request names no module.
    pub default_for: DefaultFor,
    /// It is trusted.
    pub trusted: bool,
    /// It is loaded.
    pub loaded: bool,
    /// It fits this sidecar.
    pub compatible: bool,
    /// Why it is not, where it is not.
    pub reason: Option<String>,
}

/// The kinds of key that a module serves by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultFor {
    /// BLS keys.
    pub bls: bool,
    /// TLS keys.
    pub tls: bool,
}

/// Whether something outside answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// It answered when it was asked last.
    pub reachable: bool,
    /// Why it did not.
    pub last_error: Option<String>,
}

/// Beside [`Attestation`](super::Attestation).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The modules.
    pub modules: Vec<AttestedModule>,
    /// A receipt of a trust service; there is none here, so always null.
    pub receipt: Option<String>,
}

/// A module, as `GET /v1/runtime/attestation` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedModule {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Digest of its code. A module that is built in has that of the whole binary.
    pub hash: String,
    /// It is loaded.
    pub loaded: bool,
    /// It is trusted.
    pub trusted: bool,
    /// It fits this sidecar.
    pub compatible: bool,
    /// It may be used.
    pub enabled: bool,
    /// What it can do.
    pub capabilities: Vec<String>,
}
