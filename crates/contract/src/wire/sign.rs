//! `POST /v1/staking/{bls,tls}/sign`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// A request to sign, in the contract's dialect (`pubkey`, `data`, `type`) or in that of 0.4 (`keyHandle` with
/// `message` or `digest`).
///
/// `D` is how the reader wants the payload: [`Bytes`] where it is known to be bytes, a raw JSON value where an
/// object is to be told from a string. Texts are empty where the request did not have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "D: Serialize", deserialize = "D: Deserialize<'de>"))]
pub struct SignRequest<'a, D = Bytes> {
    /// The key to sign with, in any spelling of a public key.
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    pub pubkey: Cow<'a, str>,
    /// The same, as 0.4 calls it.
    #[serde(default, borrow, rename = "keyHandle", skip_serializing_if = "str::is_empty")]
    pub key_handle: Cow<'a, str>,
    /// Bytes (base64 or `0x` hex), or, for BLS, the typed eth2 body as an object.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
    /// Bytes, as 0.4 calls them.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub message: Option<D>,
    /// 32 bytes to be signed as they are (TLS only).
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub digest: Option<D>,
    /// `ATTESTATION`, `BLOCK`, `SYNC_COMMITTEE`, …: what is signed.
    #[serde(default, borrow, rename = "type", skip_serializing_if = "str::is_empty")]
    pub kind: Cow<'a, str>,
    /// The root that the client expects to be signed, for a signer that checks it.
    #[serde(default, borrow, rename = "signingRoot", alias = "signing_root", skip_serializing_if = "str::is_empty")]
    pub signing_root: Cow<'a, str>,
}

impl<'a, D> SignRequest<'a, D> {
    /// `{pubkey, data, type}`; `kind` is the type, and may be empty where `data` says it or a TLS key signs.
    pub fn new(pubkey: impl Into<Cow<'a, str>>, data: D, kind: &'a str) -> Self {
        Self {
            pubkey: pubkey.into(),
            key_handle: Cow::Borrowed(""),
            data: Some(data),
            message: None,
            digest: None,
            kind: kind.into(),
            signing_root: Cow::Borrowed(""),
        }
    }
}

// `#[serde(default)]` would ask for `D: Default`, which a borrowed raw value is not.
fn none<D>() -> Option<D> {
    None
}

/// A signature: 96 bytes from a BLS key; from a TLS key 65 bytes r‖s‖v over Keccak-256 of `data`, or 64 bytes
/// r‖s over `digest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The signature.
    pub signature: Bytes,
}
