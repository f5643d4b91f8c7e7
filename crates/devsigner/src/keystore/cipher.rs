//! The keystore's cipher and checksum: AES-128 in counter mode under the first half of the derived key, SHA-256
//! over the second half and the ciphertext.

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use sha2::{Digest as _, Sha256};

use super::kdf::DerivedKey;

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

/// Encrypts or decrypts in place: counter mode is its own inverse.
pub(super) fn apply(key: &DerivedKey, iv: &[u8; 16], text: &mut [u8]) {
    let mut half = zeroize::Zeroizing::new([0; 16]);
    half.copy_from_slice(&key[..16]);
    Aes128Ctr::new((&*half).into(), iv.into()).apply_keystream(text);
}

/// The checksum over a ciphertext.
pub(super) fn checksum(key: &DerivedKey, ciphertext: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(&key[16..]).chain_update(ciphertext).finalize().into()
}
