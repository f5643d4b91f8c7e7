//! `identity.json`: who this node is, for every other service on the host to read. Public values only. It is there from READY
//! on until the service stops, so a reader that finds it need not ask anybody.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use contract::{BlsPublicKey, Bytes, Digest, NodeId, TlsPublicKey};
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::{clock, durable};

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIdentity {
    /// Names the node; follows from the TLS key.
    pub node_id: NodeId,
    /// Signs for consensus.
    pub bls_pubkey: BlsPublicKey,
    /// A signature with the BLS key over itself, verified; absent where the signer offers none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_of_possession: Option<Bytes>,
    /// secp256k1.
    pub tls_pubkey: TlsPublicKey,
    /// PEM; empty where the signer made none, or none is known because the key was adopted.
    pub certificate: String,
    /// The sidecar that was measured, and serves.
    pub digest: Digest,
    /// Its version, in its own words.
    pub cryfttee_version: String,
    /// The boot that this is of, so that a file which outlived its boot is not believed.
    pub boot_id: String,
    /// RFC 3339.
    pub written_at: String,
}

/// The file cannot be written or removed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path} (identity.file)", path = .path.display())]
pub struct PublishError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The place of the file; removes it when dropped.
#[derive(Debug)]
pub struct Publication(Option<PathBuf>);

impl Publication {
    /// Takes away what a killed verifier left there. Without a path nothing is ever published.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn open(path: Option<&Path>) -> Result<Self, PublishError> {
        if let Some(path) = path {
            durable::remove(path).or_else(absent).map_err(|source| failed("remove the old", path, source))?;
        }
        Ok(Self(path.map(Path::to_owned)))
    }

    /// Writes the file, or puts a new one in its place.
    ///
    /// # Errors
    /// [`PublishError`]; the old file is whole then.
    pub fn publish(&self, identity: &Identity, digest: Digest, cryfttee_version: &str) -> Result<(), PublishError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let failed = |source| failed("write", path, source);
        let public = PublicIdentity {
            node_id: identity.node_id,
            bls_pubkey: identity.bls,
            proof_of_possession: identity.proof_of_possession.clone(),
            tls_pubkey: identity.tls,
            certificate: identity.certificate.clone(),
            digest,
            // Text of the sidecar's choice, in a file that anybody may print.
            cryfttee_version: crate::text::sanitise(cryfttee_version),
            boot_id: clock::boot_id().map_err(failed)?,
            written_at: clock::utc(clock::now()),
        };
        let text = serde_json::to_string_pretty(&public).expect("an identity is plain data");
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
        }
        durable::publish(path, format!("{text}\n").as_bytes()).map_err(failed)
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(cause) = durable::remove(path).or_else(absent)
        {
            tracing::error!(%cause, "remove {}", path.display());
        }
    }
}

/// A folder that is not there has no old file in it.
fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> PublishError {
    PublishError { operation, path: path.to_owned(), source }
}
