//! What the configuration says of the node's keys.

use contract::defaults;

/// Who makes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyGeneration {
    /// Web3Signer itself, which no stock one does.
    Signer,
    /// The sidecar makes BLS keys, and Web3Signer imports them.
    Import,
    /// Nobody.
    Off,
}

impl KeyGeneration {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        let [signer, import, off] = defaults::KEY_GENERATIONS;
        match self {
            Self::Signer => signer,
            Self::Import => import,
            Self::Off => off,
        }
    }
}
