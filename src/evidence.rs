//! Evidence for somebody elsewhere: what runs on this host, in one document that the node's TLS key signed; and what
//! whoever gets it can conclude.
//!
//! The verifier says it, so it is worth as much as the host's root is: see docs/evidence.md.

mod gather;
mod judge;
pub mod tpm;

use contract::{BlsPublicKey, Bytes, Digest, NodeId, TlsPublicKey};
use serde::{Deserialize, Serialize};

pub use gather::{GatherError, Subject, gather};
pub use judge::{Check, Expected, Outcome, judge};

use crate::signed::{self, Kind, NotSigned};

/// The form of the document.
pub const VERSION: u32 = 1;

/// What the host says, before it is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Statement {
    pub version: u32,
    pub nonce: String,
    /// RFC 3339, by the host's clock.
    pub time: String,
    pub boot_id: String,
    pub kernel: String,
    pub node_id: NodeId,
    pub tls_pubkey: TlsPublicKey,
    pub bls_pubkey: Option<BlsPublicKey>,
    pub sidecar: Sidecar,
    pub verifier: Verifier,
    pub reference: Reference,
    pub audit_head: Option<AuditHead>,
    /// None where no TPM is used.
    #[serde(default)]
    pub tpm: Option<tpm::Measured>,
}

/// The process that answers on the public socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Sidecar {
    pub pid: u32,
    pub version: String,
    /// Measured now, of the image that runs.
    pub digest: Digest,
    /// What it says of itself.
    pub reported_digest: Digest,
    /// Whether nobody can change the image.
    pub sealed: bool,
    pub mappings: Vec<Mapped>,
    pub confinement: Confinement,
}

/// One executable mapping.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Mapped {
    pub what: String,
    /// Of the file; none for memory and the kernel's page.
    pub digest: Option<Digest>,
    pub writable: bool,
    pub private_kib: u64,
}

/// The process that launched it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Verifier {
    pub pid: u32,
    /// Of the command that made this document.
    pub version: String,
    pub digest: Digest,
    pub confinement: Confinement,
}

/// What `/proc` says of a process's rights.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in /proc/<pid>/status")]
pub struct Confinement {
    pub uid: String,
    pub gid: String,
    pub groups: String,
    pub no_new_privs: String,
    pub seccomp: String,
    pub tracer_pid: String,
    pub cap_eff: String,
    pub cap_bnd: String,
    pub cap_amb: String,
    /// In which it is not with pid 1.
    pub own_namespaces: Vec<String>,
}

/// Whether the host's reference values accept the digest now.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Reference {
    pub accepted: bool,
    pub by: String,
}

/// Where the audit trail stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/audit.md says what each one is")]
pub struct AuditHead {
    pub chain: String,
    pub seq: u64,
    pub hash: String,
}

/// The document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// Kept as it is: what is signed is its canonical form, also of what a later version may add.
    pub statement: serde_json::Value,
    /// By the TLS key in it.
    pub signature: Bytes,
}

/// The text is no evidence of a kind that is known here.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is what its text says")]
pub enum NotEvidence {
    #[error("this is not evidence of cryftgo-tee")]
    Form(#[from] serde_json::Error),
    #[error("this is evidence of version {0}; this program reads version {VERSION}")]
    Version(u64),
}

impl Document {
    /// Reads a document, and what it says, whether or not that holds.
    ///
    /// # Errors
    /// [`NotEvidence`].
    pub fn read(text: &[u8]) -> Result<(Self, Statement), NotEvidence> {
        let document: Self = serde_json::from_slice(text)?;
        if let Some(version) = document.statement["version"].as_u64().filter(|found| *found != u64::from(VERSION)) {
            return Err(NotEvidence::Version(version));
        }
        let statement = Statement::deserialize(&document.statement)?;
        Ok((document, statement))
    }

    /// Whether the key that it names signed it.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn verify(&self, key: &TlsPublicKey) -> Result<(), NotSigned> {
        signed::verify(key, Kind::Evidence, &canonical(&self.statement), &self.signature.0)
    }
}

/// JSON without a space, its names in the order of their bytes.
pub fn canonical(statement: &serde_json::Value) -> Vec<u8> {
    statement.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
