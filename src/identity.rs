//! The node's identity: which keys are this node's, and the Node ID that follows from them.

mod decide;
mod store;

use contract::wire::StakingStatus;
use contract::{BlsPublicKey, NodeId, TlsPublicKey, defaults, exit};

pub use decide::{KeyAction, KeyFault, decide};
pub use store::{Saved, Store, StoreError};

use crate::sidecar::{Client, SidecarError};

/// The identity could not be established. Nothing that was saved is changed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum IdentityError {
    #[error("{kind} key")]
    Key { kind: &'static str, source: KeyFault },
    #[error("have the signer make a {kind} key")]
    Generate { kind: &'static str, source: SidecarError },
    #[error("keep the public keys")]
    Store(#[from] StoreError),
}

impl IdentityError {
    /// Exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            // A signer without any key may be one that has not unlocked its store yet.
            Self::Key { source: KeyFault::Lost { .. }, .. } => exit::UNAVAILABLE,
            // The node would go on under another name, or sign with a key that somebody put there.
            Self::Key { source: KeyFault::Mismatch { .. }, .. } => exit::INTEGRITY,
            Self::Generate { source, .. } => source.exit_code(),
            Self::Store(error) => error.exit_code(),
        }
    }
}

/// How a key came to be this node's at this start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made now: the first boot.
    Generated,
    /// It was in the signer, and nothing was saved; `others` more were there.
    Adopted {
        /// How many keys the signer has besides this one.
        others: usize,
    },
    /// It was saved at an earlier start and the signer has it.
    Known,
}

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Signs for consensus.
    pub bls: BlsPublicKey,
    /// Where it came from.
    pub bls_origin: Origin,
    /// Names the node.
    pub tls: TlsPublicKey,
    /// Where it came from.
    pub tls_origin: Origin,
    /// Follows from the TLS key.
    pub node_id: NodeId,
}

/// Checks that the signer can do what a node needs.
///
/// # Errors
/// [`SidecarError::NotReady`] or [`SidecarError::Incapable`], which name what is missing.
pub fn check_signer(status: &StakingStatus) -> Result<(), SidecarError> {
    let not_ready = |what: String| Err(SidecarError::NotReady(what));
    if !status.web3signer_connected {
        return not_ready(format!("Web3Signer does not answer at {}", status.web3signer_url));
    }
    if !status.ready {
        return not_ready("it says so itself".to_owned());
    }
    let missing: Vec<&str> = defaults::CAPABILITIES
        .into_iter()
        .filter(|wanted| !status.capabilities.iter().any(|has| has == wanted))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(SidecarError::Incapable(missing.join(", "))) }
}

/// Resolves both keys by the key-state table, saves what is new at once, and derives the Node ID.
///
/// # Errors
/// [`IdentityError`].
pub async fn resolve(client: &Client, status: &StakingStatus, store: &Store) -> Result<Identity, IdentityError> {
    let saved = store.load()?;
    let fault = |kind| move |source| IdentityError::Key { kind, source };

    // Both are decided before either is acted on: a lost TLS key must not leave a new BLS key behind.
    let bls = decide(&status.bls_pubkeys, saved.bls.as_ref()).map_err(fault("BLS"))?;
    let tls = decide(&status.tls_pubkeys, saved.tls.as_ref()).map_err(fault("TLS"))?;

    let (bls, bls_origin) = match bls {
        KeyAction::Use(key) => {
            store.keep_bls(&key)?;
            (key, Origin::Known)
        }
        KeyAction::Adopt { key, others } => {
            store.keep_bls(&key)?;
            (key, Origin::Adopted { others })
        }
        KeyAction::Generate => {
            let made = client.generate_bls().await.map_err(|source| IdentityError::Generate { kind: "BLS", source })?;
            store.save_bls(&made)?;
            (made.pubkey, Origin::Generated)
        }
    };
    let (tls, tls_origin) = match tls {
        KeyAction::Use(key) => {
            store.keep_tls(&key)?;
            (key, Origin::Known)
        }
        KeyAction::Adopt { key, others } => {
            store.keep_tls(&key)?;
            (key, Origin::Adopted { others })
        }
        KeyAction::Generate => {
            let made = client.generate_tls().await.map_err(|source| IdentityError::Generate { kind: "TLS", source })?;
            store.save_tls(&made)?;
            (made.pubkey, Origin::Generated)
        }
    };
    let node_id = NodeId::of(&tls);
    store.save_node_id(&node_id)?;
    Ok(Identity { bls, bls_origin, tls, tls_origin, node_id })
}
