//! Why a node cannot go on with its signer as it is.

use contract::exit;

use crate::fault::{Fault, Severity};

/// The key that is the node's is not in the signer. Never an occasion to make another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The signer has no key at all.
    #[error(
        "{wanted} is saved or configured, but the signer has none (available: none): the key was lost from the signer, which \
         means key loss or tampering; restore it there"
    )]
    Lost {
        /// The node's key.
        wanted: String,
    },
    /// The signer has other keys.
    #[error(
        "{wanted} is saved or configured, but the signer does not have it (available: {available}): key mismatch, which means \
         key loss or tampering; restore the key in the signer, or remove the saved one only if the node is meant to change \
         its identity"
    )]
    Mismatch {
        /// The node's key.
        wanted: String,
        /// What the signer has.
        available: String,
    },
}

/// The configuration names another key than the one that is saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{setting} is {chosen}, but {saved} is saved (identity.state_dir): correct the setting, or remove the saved key only if \
     the node is meant to change its identity"
)]
pub struct Contradiction {
    /// The setting.
    pub setting: &'static str,
    /// What it says.
    pub chosen: String,
    /// What an earlier start saved.
    pub saved: String,
}

/// What waiting for the signer does not mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misconfigured {
    /// Each URL names the other's process.
    #[error(
        "web3signer.url ({eth2}) serves only TLS keys and web3signer.eth1_url ({eth1}) only BLS keys: swap web3signer.url and \
         web3signer.eth1_url"
    )]
    Swapped {
        /// `web3signer.url`.
        eth2: String,
        /// `web3signer.eth1_url`.
        eth1: String,
    },
    /// The URL for BLS keys names an `eth1` process.
    #[error(
        "web3signer.url ({url}) serves only TLS keys, so it is an eth1 process: set web3signer.url to the eth2 process"
    )]
    Eth1AsEth2 {
        /// `web3signer.url`.
        url: String,
    },
    /// The URL for TLS keys names an `eth2` process.
    #[error(
        "web3signer.eth1_url ({url}) serves only BLS keys, so it is an eth2 process: set web3signer.eth1_url to the eth1 process"
    )]
    Eth2AsEth1 {
        /// `web3signer.eth1_url`.
        url: String,
    },
    /// One URL, of an `eth2` process.
    #[error(
        "web3signer.url ({url}) serves only BLS keys, as every eth2 process: set web3signer.eth1_url to the eth1 process, which \
         has the secp256k1 keys"
    )]
    OnlyEth2 {
        /// `web3signer.url`.
        url: String,
    },
    /// One URL, of an `eth1` process.
    #[error(
        "web3signer.url ({url}) serves only TLS keys, as every eth1 process: set web3signer.url to the eth2 process and \
         web3signer.eth1_url to this one"
    )]
    OnlyEth1 {
        /// `web3signer.url`.
        url: String,
    },
    /// `import`, no BLS key anywhere, and nobody to import one.
    #[error(
        "web3signer.key_generation = \"import\", but eth2 at {url} lists no key and has no key manager to import one: start it \
         with --key-manager-api-enabled=true, or set another web3signer.key_generation and put a key file there"
    )]
    NoKeyManager {
        /// `web3signer.url`.
        url: String,
    },
}

/// Why a start does not go on with this signer. `report` is the sentence of [`crate::signer_report::trouble`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the reason")]
pub enum SignerFault {
    #[error("{report}")]
    Away { report: String },
    #[error("{report}; no key is made or adopted meanwhile")]
    Unhealthy { report: String },
    #[error("{report}; no {kind} key is saved, and {why}")]
    NoKey { report: String, kind: &'static str, why: &'static str },
    #[error("{report}: {kind} key")]
    Key { report: String, kind: &'static str, source: KeyFault },
    #[error("the sidecar cannot sign: missing capability {missing}")]
    Incapable { missing: String },
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

impl Fault for SignerFault {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Away { .. } | Self::Unhealthy { .. } | Self::NoKey { .. } | Self::Incapable { .. } => {
                exit::UNAVAILABLE
            }
            // A signer without any key may be one that has not unlocked its store yet.
            Self::Key { source: KeyFault::Lost { .. }, .. } => exit::UNAVAILABLE,
            // The node would go on under another name, or sign with a key that somebody put there.
            Self::Key { source: KeyFault::Mismatch { .. }, .. } => exit::INTEGRITY,
            Self::Misconfigured(_) | Self::Contradiction(_) => exit::CONFIG,
        }
    }

    /// A key that is lost or that is another one may have been moved by an operator.
    fn severity(&self) -> Severity {
        match self {
            Self::Away { .. }
            | Self::Unhealthy { .. }
            | Self::NoKey { .. }
            | Self::Key { source: KeyFault::Lost { .. } | KeyFault::Mismatch { .. }, .. }
            | Self::Incapable { .. }
            | Self::Misconfigured(_)
            | Self::Contradiction(_) => Severity::Slip,
        }
    }
}

impl SignerFault {
    /// The step of a start, for the audit trail.
    pub const fn step(&self) -> &'static str {
        match self {
            Self::Away { .. } | Self::Incapable { .. } | Self::Misconfigured(_) => "signer",
            Self::Unhealthy { .. } | Self::NoKey { .. } | Self::Key { .. } | Self::Contradiction(_) => "identity",
        }
    }
}
