//! `GET /v1/staking/status`.

use serde::{Deserialize, Serialize};

use crate::keys::{BlsPublicKey, TlsPublicKey};

/// Whether the sidecar can sign, and with which keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StakingStatus {
    /// The sidecar can sign.
    pub ready: bool,
    /// The Web3Signer that it calls.
    pub web3signer_url: String,
    /// Web3Signer answered its last upcheck.
    pub web3signer_connected: bool,
    /// BLS keys in the signer, in its order.
    pub bls_pubkeys: Vec<BlsPublicKey>,
    /// TLS keys in the signer, in its order.
    pub tls_pubkeys: Vec<TlsPublicKey>,
    /// The version of the signing module.
    pub module_version: String,
    /// What can be done: see [`crate::defaults::CAPABILITIES`].
    pub capabilities: Vec<String>,
}
