//! What the signer's answers mean.

use std::borrow::Cow;

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
    text.strip_prefix("0x").and_then(|digits| decode(digits.as_bytes())).ok_or(nonsense)
}

/// Exactly `N` bytes of hex. By a table, because every signature goes through here.
fn decode<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    const NONE: u8 = 0xff;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let (mut at, digits) = (0, b"0123456789abcdefABCDEF");
        while at < digits.len() {
            values[digits[at] as usize] = if at < 16 { at as u8 } else { at as u8 - 6 };
            at += 1;
        }
        values
    };

    if digits.len() != 2 * N {
        return None;
    }
    let (mut bytes, mut wrong) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        // A digit has no bit of its upper half set.
        wrong |= (high | low) & 0xf0;
        *byte = high << 4 | low;
    }
    (wrong == 0).then_some(bytes)
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

    #[test]
    fn every_pair_of_characters_is_a_byte_or_refused_as_a_reader_of_hex_does_it() {
        for high in 0..=255_u8 {
            for low in 0..=255_u8 {
                let mut expected = [0];
                let read = hex::decode_to_slice([high, low], &mut expected).is_ok();
                assert_eq!(decode::<1>(&[high, low]), read.then_some(expected), "{high:02x} {low:02x}");
            }
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
