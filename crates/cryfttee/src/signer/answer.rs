//! What the signer's answers mean.

use std::borrow::Cow;

use contract::digits::read_hex;
use contract::{BlsPublicKey, TlsPublicKey};
use serde::Deserialize;

use super::error::SignerError;
use crate::aside::aside;

/// The longest list, in bytes, that is read at once: a millisecond's work.
const SHORT_LIST: usize = 32 * 1024;

/// A signature of `N` bytes: `{"signature":"0x…"}`, or the bare text that the same calls answer elsewhere.
pub(super) fn signature<const N: usize>(body: &[u8], expected: &'static str) -> Result<[u8; N], SignerError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        signature: Cow<'a, str>,
    }

    let nonsense = SignerError::Nonsense(expected);
    let text = std::str::from_utf8(body).map_err(|_| SignerError::Nonsense(expected))?.trim();
    let text = if text.starts_with('{') {
        serde_json::from_str::<Answer<'_>>(text).map_err(|_| SignerError::Nonsense(expected))?.signature
    } else {
        Cow::Borrowed(text.trim_matches('"'))
    };
    let mut signature = [0; N];
    let digits = text.strip_prefix("0x").map(str::as_bytes);
    if digits.is_some_and(|digits| read_hex(digits, &mut signature)) { Ok(signature) } else { Err(nonsense) }
}

/// A list of public keys in whichever spelling, as `parse` reads them; no list is none.
async fn keys<K: Send + 'static>(
    body: Option<Vec<u8>>,
    parse: fn(&str) -> Option<K>,
) -> Result<Option<Vec<K>>, SignerError> {
    let Some(body) = body else { return Ok(None) };
    let nonsense = || SignerError::Nonsense("a JSON list of public keys");
    let long = body.len() > SHORT_LIST;
    let read = move || {
        let texts: Vec<Cow<'_, str>> = serde_json::from_slice(&body).ok()?;
        texts.iter().map(|text| parse(text)).collect()
    };
    aside(long, read).await.ok().flatten().map(Some).ok_or_else(nonsense)
}

pub(super) async fn bls_keys(body: Option<Vec<u8>>) -> Result<Option<Vec<BlsPublicKey>>, SignerError> {
    keys(body, |text| BlsPublicKey::normalise(text).ok()).await
}

pub(super) async fn tls_keys(body: Option<Vec<u8>>) -> Result<Option<Vec<TlsPublicKey>>, SignerError> {
    keys(body, |text| TlsPublicKey::normalise(text).ok()).await
}

/// The key that the signer made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made<K> {
    pub(crate) pubkey: K,
    /// Where the secret is, in the signer's words; empty where it does not say.
    pub(crate) secret_path: String,
}

pub(super) fn made<K>(body: &[u8], parse: impl Fn(&str) -> Option<K>) -> Result<Made<K>, SignerError> {
    #[derive(Deserialize)]
    struct Answer {
        pubkey: String,
        #[serde(default)]
        secret_path: String,
    }

    let nonsense = || SignerError::Nonsense("{pubkey, secret_path} of the new key");
    let answer: Answer = serde_json::from_slice(body).map_err(|_| nonsense())?;
    Ok(Made { pubkey: parse(&answer.pubkey).ok_or_else(nonsense)?, secret_path: answer.secret_path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_from_json_and_from_bare_text() {
        for body in [r#"{"signature":"0xABcd","more":1}"#, "0xabcd", "0xabcd\n", "\"0xabcd\""] {
            assert_eq!(signature::<2>(body.as_bytes(), "2 bytes").expect(body), [0xab, 0xcd]);
        }
    }

    #[tokio::test]
    async fn anything_else_is_nonsense() {
        for body in ["", "<html>", "{}", r#"{"signature":null}"#, "0xab", "0xabcdef", "abcd", "0xzzzz", "é"] {
            assert!(signature::<2>(body.as_bytes(), "2 bytes").is_err(), "{body}");
        }
        assert!(signature::<2>(b"\xff\xfe", "2 bytes").is_err());
        for body in ["<html>", "{}", "[1]", r#"["0x02"]"#, "[", "[[]]"] {
            assert!(tls_keys(Some(body.into())).await.is_err(), "{body}");
        }
    }
}
