//! Secret keys that can sign. Both kinds wipe themselves from memory when dropped.

pub mod bls;
pub mod secp256k1;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The two kinds of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// BLS12-381, keys in G1 and signatures in G2, as Ethereum's consensus layer has them.
    Bls,
    /// secp256k1, ECDSA.
    Secp256k1,
}

/// The 32 bytes of a secret key of either kind, big endian; wiped when dropped.
pub type SecretBytes = Zeroizing<[u8; 32]>;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no random bytes.
    #[error("draw random bytes for a key")]
    Random(#[source] getrandom::Error),
    /// Zero, or not below the order of the group.
    #[error("not a secret key: the number is zero or not below the order of the group")]
    OutOfRange,
}

/// 32 bytes from the operating system.
fn random() -> Result<SecretBytes, KeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(KeyError::Random)?;
    Ok(bytes)
}
