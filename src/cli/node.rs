//! This node's public keys, as a command that writes nothing and holds no lock may read them.

use std::io;
use std::path::{Path, PathBuf};

use contract::{BlsPublicKey, Bytes, NodeId, TlsPublicKey};

use super::call::CallError;
use crate::config::Settings;
use crate::identity::{PublicIdentity, Records, Saved, StoreError};
use crate::{clock, durable};

/// What is known of this node. Every field may be absent: its first start may be going on right now.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) node_id: Option<NodeId>,
    pub(super) bls_pubkey: Option<BlsPublicKey>,
    pub(super) tls_pubkey: Option<TlsPublicKey>,
    /// PEM.
    pub(super) certificate: Option<String>,
    pub(super) proof_of_possession: Option<Bytes>,
}

/// Where keys were looked for.
#[derive(Debug)]
pub(super) enum Found {
    /// Here they are, and the folder or file that they are from.
    Node(Box<Node>, PathBuf),
    /// Nowhere; why, in words.
    Nowhere(String),
}

/// Looks into the verifier's store, and where this user may not or there is nothing, into the file that it publishes.
pub(super) fn read(settings: &Settings) -> Result<Found, CallError> {
    let store = &settings.identity_dir;
    let why_not = match stored(store)? {
        Ok(node) => return Ok(Found::Node(Box::new(node), store.clone())),
        Err(why_not) => why_not,
    };
    let Some(file) = &settings.identity_file else { return Ok(Found::Nowhere(why_not)) };
    Ok(match published(file)? {
        Ok(node) => Found::Node(Box::new(node), file.clone()),
        Err(why_not_either) => Found::Nowhere(format!("{why_not}, and {why_not_either}")),
    })
}

/// What is in the store; or why there is nothing.
fn stored(root: &Path) -> Result<Result<Node, String>, CallError> {
    let records = Records::at(root);
    let Saved { bls, tls } = match records.load() {
        Err(StoreError::Read { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Err(format!("this user may not read {}", root.display())));
        }
        saved => saved?,
    };
    if bls.is_none() && tls.is_none() {
        return Ok(Err(format!("there are no keys in {}", root.display())));
    }
    let certificate = Some(records.certificate()?).filter(|pem| !pem.is_empty());
    let node_id = tls.as_ref().map(NodeId::of);
    Ok(Ok(Node { node_id, bls_pubkey: bls, tls_pubkey: tls, certificate, proof_of_possession: None }))
}

/// What a running verifier says; or why that is nothing.
fn published(file: &Path) -> Result<Result<Node, String>, CallError> {
    /// A certificate is the largest thing in it.
    const MAX: u64 = 64 * 1024;
    let damaged = |reason: String| CallError::Damaged { path: file.to_owned(), reason };
    let bytes = match durable::read(file, MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Err(format!("there is no {}", file.display()))),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Err(format!("{} may not be read", file.display())));
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(damaged(error.to_string())),
        Err(source) => return Err(CallError::Read { what: file.display().to_string(), source }),
    };
    let public: PublicIdentity = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if public.node_id != NodeId::of(&public.tls_pubkey) {
        return Err(damaged("its Node ID is not that of the TLS key".to_owned()));
    }
    if !clock::is_of_this_boot(file, &public.boot_id) {
        return Ok(Err(format!("{} is of an earlier boot", file.display())));
    }
    Ok(Ok(Node {
        node_id: Some(public.node_id),
        bls_pubkey: Some(public.bls_pubkey),
        tls_pubkey: Some(public.tls_pubkey),
        certificate: Some(public.certificate).filter(|pem| !pem.is_empty()),
        proof_of_possession: public.proof_of_possession,
    }))
}
