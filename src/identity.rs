//! The node's identity: which keys are this node's, and the Node ID that follows from them.

mod decide;
pub mod possession;
mod public;
mod store;

use contract::wire::StakingStatus;
use contract::{BlsPublicKey, Bytes, NodeId, TlsPublicKey, defaults, exit};

pub use decide::{KeyAction, KeyFault, decide};
pub use public::{PublicIdentity, Publication, PublishError};
pub use store::{Records, Saved, Store, StoreError};

use crate::fault::{Fault, Severity};
use crate::sidecar::{Client, SidecarError};
use possession::NotPossessed;

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
    #[error("ask for the proof that the signer possesses the BLS key")]
    Prove(#[source] SidecarError),
    #[error("the signer does not prove that it possesses the BLS key {key}: forged, or the signer is broken")]
    Possession { key: BlsPublicKey, source: NotPossessed },
    #[error("publish the identity")]
    Publish(#[from] PublishError),
}

impl Fault for IdentityError {
    fn exit_code(&self) -> u8 {
        match self {
            // A signer without any key may be one that has not unlocked its store yet.
            Self::Key { source: KeyFault::Lost { .. }, .. } => exit::UNAVAILABLE,
            // The node would go on under another name, or sign with a key that somebody put there.
            Self::Key { source: KeyFault::Mismatch { .. }, .. } | Self::Possession { .. } => exit::INTEGRITY,
            Self::Generate { source, .. } | Self::Prove(source) => source.exit_code(),
            Self::Store(error) => error.exit_code(),
            Self::Publish(_) => exit::IO,
        }
    }

    /// A key that is lost or that is another one may have been moved by an operator.
    fn severity(&self) -> Severity {
        match self {
            Self::Generate { source, .. } | Self::Prove(source) => source.severity(),
            Self::Store(error) => error.severity(),
            Self::Key { source: KeyFault::Lost { .. } | KeyFault::Mismatch { .. }, .. }
            | Self::Possession { .. }
            | Self::Publish(_) => Severity::Slip,
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
    /// Of the TLS key, PEM; empty where none is known.
    pub certificate: String,
    /// Of the BLS key, verified; none where the signer offers none.
    pub proof_of_possession: Option<Bytes>,
}

/// Checks that the signer can do what this node needs. Making keys is needed only where there is none of a kind, neither
/// there nor saved: a stock Web3Signer makes none, and signs all the same.
///
/// # Errors
/// [`SidecarError::NotReady`] or [`SidecarError::Incapable`], which name what is missing.
pub fn check_signer(status: &StakingStatus, saved: &Saved) -> Result<(), SidecarError> {
    let not_ready = |what: String| Err(SidecarError::NotReady(what));
    if !status.web3signer_connected {
        return not_ready(format!("Web3Signer does not answer at {}", status.web3signer_url));
    }
    if !status.ready {
        return not_ready("it says so itself".to_owned());
    }
    let no_bls = status.bls_pubkeys.is_empty() && saved.bls.is_none();
    let no_tls = status.tls_pubkeys.is_empty() && saved.tls.is_none();
    let needed = |wanted: &&str| *wanted != defaults::CAN_MAKE_KEYS || no_bls || no_tls;
    let missing: Vec<&str> = defaults::CAPABILITIES
        .into_iter()
        .filter(needed)
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

    let mut proof = None;
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
            proof = made.proof_of_possession;
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
    let certificate = store.certificate()?;
    let proof_of_possession = prove(client, &bls, proof).await?;
    Ok(Identity { bls, bls_origin, tls, tls_origin, node_id, certificate, proof_of_possession })
}

/// Has the signer prove that it possesses the BLS key, and verifies it: a key that is only listed could be anybody's. A
/// signer that offers no proofs is taken at its word; one that fails to give its proof is not. `given` came with a key that
/// was just made, and may be had only then.
async fn prove(client: &Client, key: &BlsPublicKey, given: Option<Bytes>) -> Result<Option<Bytes>, IdentityError> {
    let proof = match given {
        Some(proof) => Some(proof),
        None => match client.verify_bls(key).await {
            Ok(proof) => proof,
            Err(error) if possession::is_not_asked_here(error.status(), error.code()) => None,
            Err(error) => return Err(IdentityError::Prove(error)),
        },
    };
    if let Some(proof) = &proof {
        possession::verify(key, &proof.0).map_err(|source| IdentityError::Possession { key: *key, source })?;
    }
    Ok(proof)
}
