//! ECDSA over secp256k1. Nonces are deterministic (RFC 6979) and s is always the low one.

use contract::TlsPublicKey;
use k256::ecdsa::{RecoveryId, Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;
use zeroize::Zeroizing;

use super::{KeyError, SecretBytes, random};

/// A secp256k1 secret key.
pub struct Secp256k1Key {
    secret: SigningKey,
    public: TlsPublicKey,
}

impl Secp256k1Key {
    /// A new key from the operating system's random bytes.
    ///
    /// # Errors
    /// [`KeyError::Random`] when there are none.
    pub fn generate() -> Result<Self, KeyError> {
        loop {
            // Draw again rather than reduce, so that every key is equally likely. It practically never happens.
            match Self::from_secret(&random()?) {
                Err(KeyError::OutOfRange) => {}
                outcome => return outcome,
            }
        }
    }

    /// The key with these bytes.
    ///
    /// # Errors
    /// [`KeyError::OutOfRange`] when they are no key.
    pub fn from_secret(bytes: &SecretBytes) -> Result<Self, KeyError> {
        let secret = SigningKey::from_slice(bytes.as_ref()).map_err(|_| KeyError::OutOfRange)?;
        let point = secret.verifying_key().to_sec1_point(true);
        let public = TlsPublicKey::from_bytes(point.as_bytes()).map_err(|_| KeyError::OutOfRange)?;
        Ok(Self { secret, public })
    }

    /// The public key.
    pub fn public(&self) -> TlsPublicKey {
        self.public
    }

    /// The secret, for the keystore.
    pub fn to_secret(&self) -> SecretBytes {
        Zeroizing::new(self.secret.to_bytes().into())
    }

    /// r‖s‖v over Keccak-256 of `message`, as Web3Signer's eth1 answers: v is 27 or 28.
    pub fn sign_keccak(&self, message: &[u8]) -> [u8; 65] {
        /// What Ethereum adds to the recovery number.
        const V_OFFSET: u8 = 27;
        let (signature, recovery) = self.sign_prehashed(&Keccak256::digest(message).into());
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = V_OFFSET + recovery.to_byte();
        bytes
    }

    /// r‖s over SHA-256 of `message`.
    pub fn sign_sha256(&self, message: &[u8]) -> [u8; 64] {
        self.sign_digest(&Sha256::digest(message).into())
    }

    /// r‖s over these 32 bytes, which must be a digest: a signature over chosen bytes can be a forgery.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.sign_prehashed(digest).0.to_bytes().into()
    }

    fn sign_prehashed(&self, digest: &[u8; 32]) -> (Signature, RecoveryId) {
        self.secret.sign_prehash_recoverable(digest)
    }
}
