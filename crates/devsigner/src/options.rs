//! What a process serves: which kind of key, which of stock's options, and what it does beyond stock.

use std::collections::BTreeSet;

use crate::typed::Network;

/// Which kind of key a process serves. Stock serves one: both is an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// BLS keys.
    Eth2,
    /// secp256k1 keys.
    Eth1,
    /// Both, in one process.
    Both,
}

impl Serves {
    /// Whether BLS keys are served.
    pub const fn bls(self) -> bool {
        match self {
            Self::Eth2 | Self::Both => true,
            Self::Eth1 => false,
        }
    }

    /// Whether secp256k1 keys are served.
    pub const fn secp256k1(self) -> bool {
        match self {
            Self::Eth1 | Self::Both => true,
            Self::Eth2 => false,
        }
    }
}

/// What goes beyond stock. Whatever is not switched on by name is answered exactly as stock answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Extension {
    /// Sign raw bytes with a BLS key: eth2 sign with `data`
    Raw,
    /// Proofs of possession of BLS keys
    Proofs,
    /// Sign SHA-256 of data, or a digest, with a secp256k1 key, for certificates
    Digest,
    /// Make keys; switches the key manager on
    Generate,
    /// Serve both kinds of key in one process
    BothKinds,
    /// Say the reason of each refusal, with the status that it has anyway
    ClearErrors,
}

impl Extension {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Raw, Self::Proofs, Self::Digest, Self::Generate, Self::BothKinds, Self::ClearErrors];
}

/// The options of a process.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which kind of key.
    pub serves: Serves,
    /// What is switched on beyond stock.
    pub extensions: BTreeSet<Extension>,
    /// Whether the key manager is asked for; [`Extension::Generate`] has it on as well.
    pub key_manager: bool,
    /// Whether votes are checked and remembered.
    pub slashing_protection: bool,
    /// The names under which the process may be addressed.
    pub allowed_hosts: Vec<String>,
    /// The network of the keys.
    pub network: Network,
}

/// The names that stock answers to unless it is told others.
pub const DEFAULT_HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

impl Options {
    /// As a stock process is without further options.
    pub fn stock(serves: Serves) -> Self {
        Self {
            serves,
            extensions: BTreeSet::new(),
            key_manager: false,
            slashing_protection: true,
            allowed_hosts: DEFAULT_HOSTS.map(str::to_owned).to_vec(),
            network: Network::default(),
        }
    }

    /// Both kinds of key and every extension: what a test wants that is not about the signer.
    pub fn everything() -> Self {
        Self { extensions: Extension::ALL.into(), key_manager: true, ..Self::stock(Serves::Both) }
    }

    /// Whether an extension is switched on.
    pub fn has(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// Whether the key manager of BLS keys is served.
    pub fn manages_keys(&self) -> bool {
        self.serves.bls() && (self.key_manager || self.has(Extension::Generate))
    }

    /// Whether votes are checked and remembered here.
    pub fn protects(&self) -> bool {
        self.serves.bls() && self.slashing_protection
    }
}
