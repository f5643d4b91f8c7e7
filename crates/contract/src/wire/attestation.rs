//! `GET /v1/runtime/attestation`.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Where the sidecar has `core_binary_hash` from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashSource {
    /// The verifier gave it in the environment.
    Verified,
    /// The sidecar hashed itself, which proves nothing.
    SelfReported,
}

/// The sidecar's evidence about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The digest of the running binary.
    pub core_binary_hash: Digest,
    /// Where that digest comes from.
    pub hash_source: HashSource,
    /// The sidecar's version.
    pub cryfttee_version: String,
    /// Digest of the list of modules that are built in.
    pub manifest_hash: Digest,
    /// Their names.
    pub loaded_modules: Vec<String>,
    /// The pid of the process that answers.
    pub pid: u32,
    /// The nonce of the request, as it was given; null where none was.
    pub nonce: Option<String>,
    /// Seconds since 1970.
    pub timestamp: u64,
}
