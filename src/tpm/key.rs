//! The one key: a primary one of the endorsement hierarchy, made anew at every use from a template that never changes, so that
//! it is the same each time and nothing is stored. It signs only what the TPM itself made.
//!
//! `tpm2_createprimary -C e -G ecc256:ecdsa-sha256:null -a
//! 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign'` gives the same.

use contract::Digest;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::command::ENDORSEMENT;
use super::wire::{Malformed, Reader, number};

/// TPMT_PUBLIC up to its point.
const FIXED: [u8; 20] = [
    0x00, 0x23, // TPM_ALG_ECC
    0x00, 0x0b, // named by SHA-256
    0x00, 0x05, 0x04, 0x72, // fixedTPM fixedParent sensitiveDataOrigin userWithAuth noDA restricted sign
    0x00, 0x00, // no policy
    0x00, 0x10, // no symmetric algorithm
    0x00, 0x18, 0x00, 0x0b, // ECDSA with SHA-256
    0x00, 0x03, // NIST P-256
    0x00, 0x10, // no KDF
];

/// The template, with the empty point.
pub(super) fn template() -> Vec<u8> {
    [&FIXED[..], &[0; 4]].concat()
}

/// Not the public part of a key of this template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the public part (TPM2B_PUBLIC) of a restricted signing key on P-256, as cryftgo-tee makes it")]
pub struct NotAKey;

/// The public part of a key that signs quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Uncompressed, as X9.62 has it.
    point: [u8; 65],
    qualified_name: Vec<u8>,
}

impl Key {
    /// Reads a TPM2B_PUBLIC. Any other attribute than the template's is refused: a key that is not restricted would sign a
    /// quote that no TPM made.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn read(bytes: &[u8]) -> Result<Self, NotAKey> {
        read(bytes).map_err(|_| NotAKey)
    }

    /// Whether this key made the signature, a TPMT_SIGNATURE, over these bytes.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = fixed(signature) else { return false };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point).verify(message, &signature).is_ok()
    }

    /// What a quote calls its signer: a hash over the hierarchy and all of the public part, attributes too.
    pub(super) fn qualified_name(&self) -> &[u8] {
        &self.qualified_name
    }
}

fn read(bytes: &[u8]) -> Result<Key, Malformed> {
    let mut reader = Reader(bytes);
    let public = reader.sized()?;
    reader.end()?;
    let mut reader = Reader(public);
    reader.expect(&FIXED)?;
    let (x, y) = (number(reader.sized()?)?, number(reader.sized()?)?);
    reader.end()?;
    let mut point = [4; 65];
    point[1..33].copy_from_slice(&x);
    point[33..].copy_from_slice(&y);
    let name = name(&Sha256::digest(public).into());
    let parent = Sha256::new().chain_update(ENDORSEMENT.to_be_bytes()).chain_update(name);
    Ok(Key { point, qualified_name: self::name(&parent.finalize().into()) })
}

/// A name: by which hash, and the hash.
fn name(hash: &[u8; 32]) -> Vec<u8> {
    [&super::command::SHA256.to_be_bytes()[..], Digest::new(*hash).as_bytes()].concat()
}

/// TPMT_SIGNATURE → r and s, 32 bytes each.
fn fixed(signature: &[u8]) -> Result<[u8; 64], Malformed> {
    let mut reader = Reader(signature);
    // ECDSA with SHA-256.
    reader.expect(&[0x00, 0x18, 0x00, 0x0b])?;
    let (r, s) = (number(reader.sized()?)?, number(reader.sized()?)?);
    reader.end()?;
    let mut fixed = [0; 64];
    fixed[..32].copy_from_slice(&r);
    fixed[32..].copy_from_slice(&s);
    Ok(fixed)
}
