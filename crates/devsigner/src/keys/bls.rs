//! BLS12-381 with keys in G1 and signatures in G2.

use blst::min_pk::SecretKey;
use contract::BlsPublicKey;
use zeroize::Zeroizing;

use super::{KeyError, SecretBytes, random};

/// Domain separation tag of signatures: the proof-of-possession ciphersuite of the IETF draft.
pub const SIGNATURE_DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Domain separation tag of proofs of possession, in the same ciphersuite.
pub const POSSESSION_DST: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// A BLS secret key.
pub struct BlsKey {
    secret: SecretKey,
    public: BlsPublicKey,
}

impl BlsKey {
    /// A new key from the operating system's random bytes.
    ///
    /// # Errors
    /// [`KeyError::Random`] when there are none.
    pub fn generate() -> Result<Self, KeyError> {
        // The key derivation of the draft: 32 random bytes in, an unbiased non-zero scalar out.
        let secret = SecretKey::key_gen(random()?.as_ref(), &[]).map_err(|_| KeyError::OutOfRange)?;
        Self::new(secret)
    }

    /// The key with these bytes.
    ///
    /// # Errors
    /// [`KeyError::OutOfRange`] when they are no key.
    pub fn from_secret(bytes: &SecretBytes) -> Result<Self, KeyError> {
        Self::new(SecretKey::from_bytes(bytes.as_ref()).map_err(|_| KeyError::OutOfRange)?)
    }

    fn new(secret: SecretKey) -> Result<Self, KeyError> {
        let public = BlsPublicKey::from_bytes(secret.sk_to_pk().compress()).map_err(|_| KeyError::OutOfRange)?;
        Ok(Self { secret, public })
    }

    /// The public key.
    pub fn public(&self) -> BlsPublicKey {
        self.public
    }

    /// The secret, for the keystore.
    pub fn to_secret(&self) -> SecretBytes {
        Zeroizing::new(self.secret.to_bytes())
    }

    /// A signature over exactly `message`, compressed.
    pub fn sign(&self, message: &[u8]) -> [u8; 96] {
        self.secret.sign(message, SIGNATURE_DST, &[]).compress()
    }

    /// A signature over the 48 bytes of the public key, under a tag that no message is ever signed with.
    pub fn prove_possession(&self) -> [u8; 96] {
        self.secret.sign(self.public.as_bytes(), POSSESSION_DST, &[]).compress()
    }
}
