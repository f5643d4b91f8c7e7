//! How Web3Signer names secp256k1 keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use contract::TlsPublicKey;
use contract::keys::NotAKey;

/// How many spellings are remembered. A node has one TLS key; whoever asks for more keys than this pays for it.
const REMEMBERED: usize = 64;

/// A secp256k1 key by the name that the signer has for it: `0x` and 64 uncompressed bytes in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsKeyName(Arc<str>);

impl TlsKeyName {
    /// The name of a key.
    pub(crate) fn of(key: &TlsPublicKey) -> Self {
        let mut name = String::with_capacity(130);
        super::push_hex(&mut name, &key.to_uncompressed()[1..]);
        Self(name.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of the keys that were asked for last. Finding the name takes two square roots modulo a prime, which is
/// more than all the rest that is done here for a signature.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<HashMap<Box<str>, TlsKeyName>>);

impl Names {
    /// The name of the key that `text` spells in whichever way. Only texts that are keys are remembered, so they
    /// are short.
    pub(super) fn find(&self, text: &str) -> Result<TlsKeyName, NotAKey> {
        if let Some(name) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(name.clone());
        }
        let name = TlsKeyName::of(&TlsPublicKey::normalise(text)?);
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= REMEMBERED {
            names.clear();
        }
        names.insert(text.into(), name.clone());
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPRESSED: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const NAME: &str = "0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";

    #[test]
    fn every_spelling_finds_the_same_name_the_second_time_too() {
        let names = Names::default();
        for _ in 0..2 {
            for text in [COMPRESSED, NAME, &COMPRESSED.to_uppercase(), &format!("04{}", &NAME[2..])] {
                assert_eq!(names.find(text).expect(text).as_str(), NAME);
            }
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_not_remembered() {
        let names = Names::default();
        assert!(names.find(&"a".repeat(1 << 20)).is_err());
        assert!(names.0.read().expect("not poisoned").is_empty());
    }
}
