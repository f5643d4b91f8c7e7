//! The keys that the node is known by.

use std::sync::{PoisonError, RwLock};

use contract::wire::AdmitRequest;
use contract::{BlsPublicKey, TlsPublicKey};

use crate::config::ExpectedKeys;
use crate::signer::TlsKeyName;

/// Those that the verifier named: before the start, if it knew them, and with the admission, which has the last word.
#[derive(Debug)]
pub(crate) struct NodeKeys(RwLock<ExpectedKeys>);

impl NodeKeys {
    pub(crate) fn new(expected: ExpectedKeys) -> Self {
        Self(RwLock::new(expected))
    }

    pub(crate) fn get(&self) -> ExpectedKeys {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key that is not named stays what it was.
    pub(crate) fn admit(&self, named: &AdmitRequest) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.bls = named.bls_pubkey.or(keys.bls);
        keys.tls = named.tls_pubkey.or(keys.tls);
    }

    pub(crate) fn has_bls(&self, key: &BlsPublicKey) -> bool {
        self.get().bls.as_ref() == Some(key)
    }

    pub(crate) fn has_tls(&self, key: &TlsPublicKey) -> bool {
        self.get().tls.as_ref() == Some(key)
    }

    /// As [`Self::has_tls`], by the signer's name. Takes a square root: only for what went wrong already.
    pub(crate) fn has_tls_named(&self, name: &TlsKeyName) -> bool {
        self.get().tls.is_some_and(|key| TlsKeyName::of(&key) == *name)
    }
}
