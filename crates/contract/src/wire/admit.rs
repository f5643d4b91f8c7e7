//! `POST /v1/runtime/admit`, on the control socket only.

use serde::{Deserialize, Serialize};

use crate::keys::{BlsPublicKey, TlsPublicKey};

/// Which keys the node was found to have: from now on the sidecar accepts on `api`, and a signer that lacks one of them
/// is away (503), not ignorant of it (404). Both may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdmitRequest {
    /// The node's BLS key.
    pub bls_pubkey: Option<BlsPublicKey>,
    /// The node's TLS key.
    pub tls_pubkey: Option<TlsPublicKey>,
}
