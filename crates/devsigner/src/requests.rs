//! What the body of a request may say. Bytes are `0x` hex here, as in Web3Signer: base64 belongs to the
//! sidecar's edge.

use std::fmt;

use contract::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::answer::Refusal;
use crate::keys::Curve;
use crate::options::{Extension, Options};
use crate::typed::{self, Typed};

/// An even number of hex digits in either case, with `0x` before them or not; with `0x` there may be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let bytes = hex::decode(digits).ok().filter(|_| !text.is_empty());
        bytes.map(Self).ok_or_else(|| D::Error::custom("expected 0x and an even number of hex digits"))
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

/// A request that may be one to sign raw bytes.
#[derive(Deserialize)]
struct RawBody {
    #[serde(rename = "type")]
    _kind: Word,
    data: Option<HexBytes>,
    #[serde(rename = "signingRoot", alias = "signing_root")]
    signing_root: Option<HexBytes>,
}

/// What is to be signed: `ATTESTATION`, `BLOCK`, … With raw bytes any such word will do: they are signed as they
/// are, and no list here could stay equal to that of whoever sends them.
struct Word;

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const LONGEST: usize = 64;
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(word) {
            Ok(Self)
        } else {
            Err(D::Error::custom("expected a type like ATTESTATION"))
        }
    }
}

impl Eth2Sign {
    /// Reads the body of `POST /api/v1/eth2/sign/{pubkey}`: raw if there is `data` and the extension is on, else typed.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], also for a type that is not served; [`Refusal::RootMismatch`], [`Refusal::Unsignable`].
    pub fn parse(body: &[u8], options: &Options) -> Result<Self, Refusal> {
        typed::check_object(body)?;
        if options.has(Extension::Raw)
            && let RawBody { data: Some(HexBytes(data)), signing_root, .. } = parse(body)?
        {
            return match signing_root {
                Some(HexBytes(expected)) if expected != data => Err(Refusal::RootMismatch),
                _ => Ok(Self::Raw(data)),
            };
        }
        Typed::parse(body, &options.network).map(Self::Typed)
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
    use crate::options::Serves;

    fn read(body: &[u8]) -> Result<Eth2Sign, Refusal> {
        Eth2Sign::parse(body, &Options::everything())
    }

    fn read_by_stock(body: &[u8]) -> Result<Eth2Sign, Refusal> {
        Eth2Sign::parse(body, &Options::stock(Serves::Eth2))
    }

    #[test]
    fn raw_data_is_what_is_signed_where_the_extension_is_on() {
        let body = br#"{"type":"ATTESTATION","data":"0xABcd","signingRoot":"0xabCD"}"#;
        assert_eq!(read(body), Ok(Eth2Sign::Raw(vec![0xab, 0xcd])));
        assert!(matches!(read_by_stock(body), Err(Refusal::Unsignable(_))));
        assert!(matches!(read_by_stock(br#"{"type":"RAW","data":"0xabcd"}"#), Err(Refusal::Malformed(_))));
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
        assert!(text.contains("\"DEPOSIT\"") && text.contains("BLOCK_V2"), "{text}");
    }

    #[test]
    fn bytes_are_hex_with_0x_or_without() {
        for text in ["", "0x1", "abc", "0Xab", "q80=", "0xzz", "0x 12"] {
            assert!(parse::<Data>(format!(r#"{{"data":"{text}"}}"#).as_bytes()).is_err(), "{text}");
        }
        for (text, bytes) in [("0x", &[][..]), ("0xAb", &[0xab]), ("abCD", &[0xab, 0xcd])] {
            let read = parse::<Data>(format!(r#"{{"data":"{text}"}}"#).as_bytes()).expect("bytes");
            assert_eq!(read.data.0, bytes, "{text}");
        }
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
    fn a_type_of_raw_data_is_a_word() {
        for kind in ["", "A B", "É", &"A".repeat(65)] {
            let body = format!(r#"{{"type":"{kind}","data":"0xab"}}"#);
            assert!(matches!(read(body.as_bytes()), Err(Refusal::Malformed(_))), "{kind}");
        }
    }

    #[test]
    fn null_is_found_missing_later_and_what_is_no_object_is_malformed() {
        for read in [read, read_by_stock] {
            assert!(matches!(read(b" null\n"), Err(Refusal::Unsignable(_))));
            for body in ["", "[]", "\"ATTESTATION\"", "7", "{", "{}", "[\"ATTESTATION\"]"] {
                assert!(matches!(read(body.as_bytes()), Err(Refusal::Malformed(_))), "{body}");
            }
        }
    }
}
