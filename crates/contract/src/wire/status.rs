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
    /// What can be done: see [`crate::defaults::CAPABILITIES`] and [`crate::defaults::EXTENSIONS`].
    pub capabilities: Vec<String>,
    /// The signer's processes, each as it answered. None from a sidecar that does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<SignerProcess>,
}

/// One process of the signer, as it answered when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerProcess {
    /// Which keys it is asked for.
    pub role: SignerRole,
    /// Its address.
    pub url: String,
    /// Whether it answers, or how it does not.
    pub state: SignerState,
    /// Why it does not answer, or why its answer is no use, in one line; empty where all is well.
    #[serde(default)]
    pub why: String,
    /// Whether it serves a list of BLS keys; unknown while it does not answer.
    #[serde(default)]
    pub serves_bls: Option<bool>,
    /// Whether it serves a list of secp256k1 keys; unknown while it does not answer.
    #[serde(default)]
    pub serves_tls: Option<bool>,
    /// How many keys it lists, of either kind.
    #[serde(default)]
    pub keys: u64,
    /// `status` of its `/healthcheck`. An `eth1` process says `up` whatever became of its key files.
    #[serde(default)]
    pub health: SignerHealth,
    /// How many key files it could not load, by its `/healthcheck`.
    #[serde(default)]
    pub failed_keys: u64,
    /// Whether its key manager is served; unknown where nobody needs to know.
    #[serde(default)]
    pub key_manager: Option<bool>,
}

/// Which keys a process is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignerRole {
    /// BLS keys.
    Eth2,
    /// secp256k1 keys.
    Eth1,
    /// Both: one URL was configured.
    Both,
}

/// Whether a process answers, or how it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignerState {
    /// It does, as its API says.
    Answers,
    /// Nothing listens there.
    Refused,
    /// The host's name has no address.
    Unresolved,
    /// No connection, or no answer, in time.
    TimedOut,
    /// It answers with an error status where it should not: 406, 403, 500, …
    Rejects,
    /// What comes back is no answer of a signer, or the connection broke.
    Nonsense,
}

/// `status` of a `/healthcheck`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignerHealth {
    /// `UP`.
    Up,
    /// `DOWN`: no key is made or adopted.
    Down,
    /// It was asked and gave no answer to this call, or an error that says nothing of its keys. No key is made or adopted
    /// then, as for `down`: which keys are missing, nobody knows.
    Unheard,
    /// It was not asked, or has no such call.
    #[default]
    Unknown,
}
