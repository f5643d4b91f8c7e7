//! What the body of a request may say. Bytes are `0x` hex here, as in Web3Signer: base64 belongs to the
//! sidecar's edge.

use std::fmt;

use contract::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::answer::Refusal;
use crate::keys::Curve;
use crate::typed::{Network, Typed};

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
    /// Sign the root of typed data.
    Typed(Typed),
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

/// What is to be signed: `ATTESTATION`, `BLOCK`, … With raw bytes any such word will do: they are signed as they
/// are, and no list here could stay equal to that of whoever sends them.
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
    /// Reads the body of `POST /api/v1/eth2/sign/{pubkey}`: raw where there is `data`, else typed.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also for a type that is not served; [`Refusal::RootMismatch`].
    pub fn parse(body: &[u8], network: &Network) -> Result<Self, Refusal> {
        let Eth2Body { data, signing_root, .. } = parse(body)?;
        let request = match data {
            Some(HexBytes(data)) => Self::Raw(data),
            None => Self::Typed(Typed::parse(body, network)?),
        };
        match signing_root {
            Some(HexBytes(expected)) if expected != request.message() => Err(Refusal::RootMismatch),
            _ => Ok(request),
        }
    }

    /// What is signed.
    pub fn message(&self) -> &[u8] {
        match self {
            Self::Raw(data) => data,
            Self::Typed(typed) => &typed.root,
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

/// What a POST of keystores asks for.
#[derive(Debug)]
pub enum PostKeystores {
    /// `{"type":"bls"|"secp256k1"}`: make a key.
    Generate(Curve),
    /// `{"keystores","passwords","slashing_protection"?}`: take keys in.
    Import(ImportKeys),
}

/// Keystores, the password of each in the same place, and what their keys have signed.
#[derive(Debug)]
pub struct ImportKeys {
    /// The JSON of each.
    pub keystores: Vec<String>,
    /// As many passwords.
    pub passwords: Vec<Secret>,
    /// The JSON of an EIP-3076 interchange.
    pub slashing_protection: Option<String>,
}

/// A text that is wiped when dropped and does not print.
pub struct Secret(pub Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Deserialize)]
struct PostBody {
    #[serde(rename = "type")]
    curve: Option<Curve>,
    keystores: Option<Vec<String>>,
    passwords: Option<Vec<Secret>>,
    slashing_protection: Option<String>,
}

impl PostKeystores {
    /// Reads the body of `POST /eth/v1/keystores`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also where the passwords are not as many as the keystores.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match parse(body)? {
            PostBody { curve: Some(curve), keystores: None, passwords: None, .. } => Ok(Self::Generate(curve)),
            PostBody { curve: None, keystores: Some(keystores), passwords: Some(passwords), slashing_protection } => {
                if keystores.len() == passwords.len() {
                    Ok(Self::Import(ImportKeys { keystores, passwords, slashing_protection }))
                } else {
                    Err(Refusal::malformed("there must be as many passwords as keystores"))
                }
            }
            _ => Err(Refusal::malformed("expected either `type`, to make a key, or `keystores` and `passwords`")),
        }
    }
}

/// `{"pubkeys":["0x…"]}`: delete these keys.
#[derive(Debug, Deserialize)]
pub struct DeleteKeys {
    /// In any spelling.
    pub pubkeys: Vec<String>,
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

    fn read(body: &[u8]) -> Result<Eth2Sign, Refusal> {
        Eth2Sign::parse(body, &Network::default())
    }

    #[test]
    fn raw_data_is_what_is_signed() {
        let body = br#"{"type":"ATTESTATION","data":"0xABcd","signingRoot":"0xabCD"}"#;
        assert_eq!(read(body), Ok(Eth2Sign::Raw(vec![0xab, 0xcd])));
    }

    #[test]
    fn another_root_is_a_mismatch_in_either_spelling() {
        for name in ["signingRoot", "signing_root"] {
            let body = format!(r#"{{"type":"BLOCK","data":"0xab","{name}":"0xcd"}}"#);
            assert_eq!(read(body.as_bytes()), Err(Refusal::RootMismatch), "{name}");
        }
    }

    #[test]
    fn a_type_that_is_not_served_is_told_which_ones_are() {
        let body = br#"{"type":"DEPOSIT","deposit":{}}"#;
        let Err(Refusal::Malformed(text)) = read(body) else { panic!("a refusal") };
        assert!(text.contains("unknown variant `DEPOSIT`") && text.contains("`BLOCK_V2`"), "{text}");
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
            assert!(matches!(read(body.as_bytes()), Err(Refusal::Malformed(_))), "{kind}");
        }
    }
}
