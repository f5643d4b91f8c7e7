//! The node's identity: which keys are this node's, and the Node ID that follows from them.

mod decide;
mod fault;
pub mod possession;
mod public;
mod settings;
mod store;

use contract::{BlsPublicKey, Bytes, NodeId, TlsPublicKey, exit};

pub use decide::{Actions, Chosen, Decision, KeyAction, Wanted, WantedKeys, decide};
pub use fault::{Contradiction, KeyFault, Misconfigured, SignerFault};
pub use public::{PublicIdentity, Publication, PublishError};
pub use settings::KeyGeneration;
pub use store::{Records, Saved, Store, StoreError};

use crate::audit::Adopted;
use crate::fault::{Fault, Severity};
use crate::sidecar::{Client, SidecarError};
use possession::NotPossessed;

/// The identity could not be established. Nothing that was saved is changed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum IdentityError {
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
            Self::Possession { .. } => exit::INTEGRITY,
            Self::Generate { source, .. } | Self::Prove(source) => source.exit_code(),
            Self::Store(error) => error.exit_code(),
            Self::Publish(_) => exit::IO,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Generate { source, .. } | Self::Prove(source) => source.severity(),
            Self::Store(error) => error.severity(),
            Self::Possession { .. } | Self::Publish(_) => Severity::Slip,
        }
    }
}

impl IdentityError {
    /// Whether no key was made because the signer was not ready for it at that moment: nothing was changed.
    pub fn is_signer_unready(&self) -> bool {
        match self {
            Self::Generate { source, .. } => source.code() == Some("signer_unavailable"),
            Self::Store(_) | Self::Prove(_) | Self::Possession { .. } | Self::Publish(_) => false,
        }
    }
}

/// How a key came to be this node's at this start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Made now: the first boot.
    Generated,
    /// It was in the signer, and nothing was saved.
    Adopted(Adopted),
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

/// Does what was decided about both keys, saves what is new at once, and derives the Node ID.
///
/// # Errors
/// [`IdentityError`].
pub async fn resolve(client: &Client, actions: Actions, store: &Store) -> Result<Identity, IdentityError> {
    let mut proof = None;
    let (bls, bls_origin) = match actions.bls.taken() {
        None => {
            let made = client.generate_bls().await.map_err(|source| IdentityError::Generate { kind: "BLS", source })?;
            store.save_bls(&made)?;
            proof = made.proof_of_possession;
            (made.pubkey, Origin::Generated)
        }
        Some((key, origin)) => {
            store.keep_bls(&key)?;
            (key, origin)
        }
    };
    let (tls, tls_origin) = match actions.tls.taken() {
        None => {
            let made = client.generate_tls().await.map_err(|source| IdentityError::Generate { kind: "TLS", source })?;
            store.save_tls(&made)?;
            (made.pubkey, Origin::Generated)
        }
        Some((key, origin)) => {
            store.keep_tls(&key)?;
            (key, origin)
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
