//! What a signer can do beyond a stock Web3Signer, by the names under which `GET /ext/cryft/v1` lists it.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::Deserialize;

/// A function of the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// Makes keys.
    Generate,
    /// Signs bytes as they are with a BLS key.
    RawSigning,
    /// Proves the possession of a BLS key.
    ProofOfPossession,
    /// Signs SHA-256 of bytes with a secp256k1 key.
    SignSha256,
    /// Signs a digest with a secp256k1 key.
    SignDigest,
}

impl Extension {
    const ALL: [Self; 5] =
        [Self::Generate, Self::RawSigning, Self::ProofOfPossession, Self::SignSha256, Self::SignDigest];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::RawSigning => "raw_signing",
            Self::ProofOfPossession => "proof_of_possession",
            Self::SignSha256 => "sign_sha256",
            Self::SignDigest => "sign_digest",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The functions that a process lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Functions(u8);

impl Functions {
    /// Reads the answer. What cannot be read lists nothing: what is announced has to be true.
    pub(super) fn parse(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            functions: Vec<String>,
        }

        let listed = serde_json::from_slice::<Answer>(body).map(|answer| answer.functions).unwrap_or_default();
        let known = Extension::ALL.into_iter().filter(|function| listed.iter().any(|name| name == function.name()));
        Self(known.fold(0, |bits, function| bits | function.bit()))
    }

    pub(crate) const fn contains(self, function: Extension) -> bool {
        self.0 & function.bit() != 0
    }
}

/// What a process listed when it was last asked, for requests that must not wait for it to be asked again.
#[derive(Debug, Default)]
pub(super) struct Known(AtomicU8);

impl Known {
    /// Set once the rest was looked up.
    const LOOKED_UP: u8 = 1 << 7;

    pub(super) fn get(&self) -> Option<Functions> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits & Self::LOOKED_UP != 0).then_some(Functions(bits & !Self::LOOKED_UP))
    }

    /// `None`: it has to be looked up again.
    pub(super) fn set(&self, functions: Option<Functions>) {
        self.0.store(functions.map_or(0, |functions| functions.0 | Self::LOOKED_UP), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_by_its_name_is_there() {
        let functions = Functions::parse(br#"{"name":"x","functions":["sign_digest","raw_bls","generate"]}"#);
        let there = Extension::ALL.map(|function| functions.contains(function));
        assert_eq!(there, [true, false, false, false, true]);
        for body in ["", "null", "[]", "{}", r#"{"functions":"raw_signing"}"#, r#"{"functions":[7]}"#, "<html>"] {
            assert_eq!(Functions::parse(body.as_bytes()), Functions::default(), "{body}");
        }
    }

    #[test]
    fn a_process_that_lists_nothing_is_not_one_that_was_not_asked() {
        let known = Known::default();
        assert_eq!(known.get(), None);
        for functions in [Functions::default(), Functions::parse(br#"{"functions":["raw_signing"]}"#)] {
            known.set(Some(functions));
            assert_eq!(known.get(), Some(functions));
        }
        known.set(None);
        assert_eq!(known.get(), None);
    }
}
