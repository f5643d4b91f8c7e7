//! What the body of a request may say. Bytes are `0x` hex here, as in Web3Signer: base64 belongs to the
//! sidecar's edge.

use contract::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::answer::Refusal;
use crate::keys::Curve;

/// `0x` and an even number of hex digits, in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.strip_prefix("0x")
            .and_then(|digits| hex::decode(digits).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom("expected 0x and an even number of hex digits"))
    }
}

/// A request to sign with BLS, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Eth2Sign {
    /// Sign exactly these bytes.
    Raw(Vec<u8>),
}

/// The members that say how to read the rest.
#[derive(Deserialize)]
struct Eth2Body {
    #[serde(rename = "type")]
    _kind: Kind,
    data: Option<HexBytes>,
    // Web3Signer takes both spellings.
    #[serde(rename = "signingRoot", alias = "signing_root")]
    signing_root: Option<HexBytes>,
}

/// What is to be signed: `ATTESTATION`, `BLOCK`, … Any such word will do: the bytes are signed as they are,
/// and no list here could stay equal to that of whoever sends them.
struct Kind;

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const LONGEST: usize = 64;
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(word) {
            Ok(Self)
        } else {
            Err(D::Error::custom("expected a type like ATTESTATION"))
        }
    }
}

impl Eth2Sign {
    /// Reads the body of `POST /api/v1/eth2/sign/{pubkey}`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also for typed data; [`Refusal::RootMismatch`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body: Eth2Body = parse(body)?;
        let Some(HexBytes(data)) = body.data else {
            return Err(Refusal::malformed(
                "no raw `data`: this version signs raw bytes, and typed requests are not served",
            ));
        };
        match body.signing_root {
            Some(HexBytes(root)) if root != data => Err(Refusal::RootMismatch),
            _ => Ok(Self::Raw(data)),
        }
    }
}

/// `{"data":"0x…"}`: sign the hash of these bytes.
#[derive(Debug, Deserialize)]
pub struct Data {
    /// The bytes.
    pub data: HexBytes,
}

/// `{"digest":"0x…"}`: sign this digest.
#[derive(Debug, Deserialize)]
pub struct Digest {
    digest: HexBytes,
}

impl Digest {
    /// The 32 bytes.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for another length.
    pub fn into_bytes(self) -> Result<[u8; 32], Refusal> {
        self.digest.0.try_into().map_err(|_| Refusal::malformed("the digest must have 32 bytes"))
    }
}

/// `{"type":"bls"|"secp256k1"}`: make a key.
#[derive(Debug, Deserialize)]
pub struct Generate {
    /// Which kind.
    #[serde(rename = "type")]
    pub curve: Curve,
}

/// Reads a body. Members that nobody asked for are ignored, as Web3Signer ignores them.
///
/// # Errors
/// [`Refusal::Malformed`], saying where.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::malformed(format!("parse the body: {error}")))
}

/// Bytes as an answer spells them.
pub fn hex_text(bytes: impl Into<Vec<u8>>) -> String {
    Bytes(bytes.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_data_is_what_is_signed() {
        let body = br#"{"type":"ATTESTATION","data":"0xABcd","signingRoot":"0xabCD"}"#;
        assert_eq!(Eth2Sign::parse(body), Ok(Eth2Sign::Raw(vec![0xab, 0xcd])));
    }

    #[test]
    fn another_root_is_a_mismatch_in_either_spelling() {
        for name in ["signingRoot", "signing_root"] {
            let body = format!(r#"{{"type":"BLOCK","data":"0xab","{name}":"0xcd"}}"#);
            assert_eq!(Eth2Sign::parse(body.as_bytes()), Err(Refusal::RootMismatch), "{name}");
        }
    }

    #[test]
    fn a_typed_request_is_told_that_it_is_not_served() {
        let body = br#"{"type":"ATTESTATION","fork_info":{},"attestation":{"slot":"1"}}"#;
        let Err(Refusal::Malformed(text)) = Eth2Sign::parse(body) else { panic!("a refusal") };
        assert!(text.contains("typed requests are not served"), "{text}");
    }

    #[test]
    fn bytes_are_hex_with_0x_and_nothing_else() {
        for text in ["", "0x1", "abcd", "q80=", "0xzz", "0x 12"] {
            assert!(parse::<Data>(format!(r#"{{"data":"{text}"}}"#).as_bytes()).is_err(), "{text}");
        }
        assert!(parse::<Data>(br#"{"data":"0x"}"#).is_ok_and(|body| body.data.0.is_empty()));
    }

    #[test]
    fn a_digest_has_32_bytes() {
        for (length, good) in [(31, false), (32, true), (33, false)] {
            let body = format!(r#"{{"digest":"0x{}"}}"#, "ab".repeat(length));
            let digest = parse::<Digest>(body.as_bytes()).and_then(Digest::into_bytes);
            assert_eq!(digest.is_ok(), good, "{length}");
        }
    }

    #[test]
    fn a_type_is_a_word_in_capitals() {
        for kind in ["", "attestation", "A B", "É", &"A".repeat(65)] {
            let body = format!(r#"{{"type":"{kind}","data":"0xab"}}"#);
            assert!(matches!(Eth2Sign::parse(body.as_bytes()), Err(Refusal::Malformed(_))), "{kind}");
        }
    }
}
