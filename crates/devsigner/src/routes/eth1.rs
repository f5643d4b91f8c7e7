//! Web3Signer's eth1 calls: secp256k1, Keccak-256.

use std::sync::Arc;

use contract::TlsPublicKey;

use crate::answer::{self, Answer, Refusal};
use crate::keys::secp256k1::Secp256k1Key;
use crate::requests::{self, Data};
use crate::store::Store;

pub(super) fn public_keys(store: &Store) -> Answer {
    // Web3Signer names a key by its two coordinates, without the byte that says "uncompressed".
    let spell = |key: &TlsPublicKey| requests::hex_text(&key.to_uncompressed()[1..]);
    answer::json(&store.all_secp256k1().iter().map(spell).collect::<Vec<_>>())
}

/// Always text, whatever the client accepts: so Web3Signer answers.
pub(super) fn sign(store: &Store, identifier: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let Data { data } = requests::parse(body)?;
    let key = by_coordinates(identifier).and_then(|public| store.secp256k1(&public)).ok_or(Refusal::NoSuchKey)?;
    Ok(answer::text(requests::hex_text(key.sign_keccak(&data.0))))
}

/// The key by its two coordinates: stock knows no other spelling of it.
fn by_coordinates(identifier: &str) -> Option<TlsPublicKey> {
    const DIGITS: usize = 2 * 64;
    let digits = identifier.strip_prefix("0x").or_else(|| identifier.strip_prefix("0X")).unwrap_or(identifier);
    (digits.len() == DIGITS).then(|| TlsPublicKey::normalise(digits).ok()).flatten()
}

/// The key of a path of the extensions, in any spelling. What is no key at all is a key that is not here.
pub(super) fn find(store: &Store, identifier: &str) -> Result<Arc<Secp256k1Key>, Refusal> {
    let public = TlsPublicKey::normalise(identifier).map_err(|_| Refusal::NoSuchKey)?;
    store.secp256k1(&public).ok_or(Refusal::NoSuchKey)
}
