//! EIP-2335 keystores, version 4: a secret key in a file, encrypted under a password.
//!
//! There is no well-kept crate for it, so the envelope is written here, over the RustCrypto primitives that the
//! EIP names, and tested with its official vectors. Both kinds of key go into the same envelope. The EIP knows
//! BLS keys only, so a secp256k1 keystore has one more member, `"cryft_curve": "secp256k1"`, and its `pubkey` is
//! the 33 compressed bytes; a keystore without that member is an ordinary BLS one and other tools can read it.

mod cipher;
mod envelope;
mod hex_text;
pub mod kdf;
pub mod password;

pub use envelope::Keystore;
pub use password::Password;

/// Why a keystore could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// Not JSON, a member missing, a function that the EIP does not name.
    #[error("parse the keystore")]
    Parse(#[source] serde_json::Error),
    /// Another version than 4.
    #[error("keystore version {0} is not supported: only 4 is")]
    Version(u32),
    /// The file asks for more work or memory than any honest one does, or for none.
    #[error("the keystore's key derivation parameters are out of bounds: {0}")]
    Parameters(&'static str),
    /// The checksum over the derived key and the ciphertext differs.
    #[error("wrong password, or the keystore is damaged: its checksum differs")]
    Checksum,
    /// The decrypted secret has not 32 bytes.
    #[error("the keystore holds a secret of {0} bytes: a key has 32")]
    SecretLength(usize),
    /// The operating system gave no random bytes.
    #[error("draw random bytes for the salt")]
    Random(#[source] getrandom::Error),
    /// The keystore could not be written as JSON.
    #[error("write the keystore as JSON")]
    Write(#[source] serde_json::Error),
}
