//! Public keys. Both print as `0x` and lower-case hex of the compressed point.

use std::fmt;
use std::str::FromStr;

use k256::elliptic_curve::sec1::ToSec1Point as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digits::read_hex;

/// Why a text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// Wrong length or a character that is not hex.
    #[error("not a public key: expected 0x and {0} lower-case hex digits")]
    Form(usize),
    /// The bytes do not name a point of the curve.
    #[error("not a public key: the bytes are not a point on the curve")]
    NotOnCurve,
}

/// A BLS12-381 public key: 48 bytes, a compressed point of G1.
///
/// Parsing checks the length, the flag bits, and that x is below the field modulus. Membership in the
/// prime-order subgroup is for whoever verifies a signature with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlsPublicKey([u8; 48]);

/// A secp256k1 public key: 33 bytes, compressed, on the curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsPublicKey([u8; 33]);

/// The modulus of the BLS12-381 base field, big endian.
const BLS_MODULUS: [u8; 48] = [
    0x1a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x9a, 0x4b, 0x1b, 0xa7, 0xb6, 0x43, 0x4b, 0xac, 0xd7, 0x64, 0x77, 0x4b,
    0x84, 0xf3, 0x85, 0x12, 0xbf, 0x67, 0x30, 0xd2, 0xa0, 0xf6, 0xb0, 0xf6, 0x24, 0x1e, 0xab, 0xff, 0xfe, 0xb1, 0x53,
    0xff, 0xff, 0xb9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xaa, 0xab,
];

impl BlsPublicKey {
    /// A key from its 48 compressed bytes.
    ///
    /// # Errors
    /// [`NotAKey::NotOnCurve`] when the point is uncompressed, at infinity, or out of the field.
    pub fn from_bytes(bytes: [u8; 48]) -> Result<Self, NotAKey> {
        const COMPRESSED: u8 = 0x80;
        const INFINITY: u8 = 0x40;
        const FLAGS: u8 = 0xe0;
        let mut x = bytes;
        x[0] &= !FLAGS;
        if bytes[0] & COMPRESSED == 0 || bytes[0] & INFINITY != 0 || x >= BLS_MODULUS {
            return Err(NotAKey::NotOnCurve);
        }
        Ok(Self(bytes))
    }

    /// The 48 compressed bytes.
    pub const fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }

    /// Reads a key as a signer or a client may spell it: with or without `0x`, in either case.
    ///
    /// # Errors
    /// [`NotAKey`] as for [`FromStr`].
    pub fn normalise(text: &str) -> Result<Self, NotAKey> {
        let mut bytes = [0; 48];
        if !read_hex(without_prefix(text).as_bytes(), &mut bytes) {
            return Err(NotAKey::Form(96));
        }
        Self::from_bytes(bytes)
    }
}

impl TlsPublicKey {
    /// A key from SEC1 bytes: 33 compressed, 65 uncompressed, or 64 uncompressed without the leading `04`.
    ///
    /// # Errors
    /// [`NotAKey::Form`] for another length, [`NotAKey::NotOnCurve`] for bytes that are no point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAKey> {
        let mut uncompressed = [4; 65];
        let sec1 = match bytes.len() {
            33 | 65 => bytes,
            64 => {
                uncompressed[1..].copy_from_slice(bytes);
                &uncompressed
            }
            _ => return Err(NotAKey::Form(66)),
        };
        let key = k256::PublicKey::from_sec1_bytes(sec1).map_err(|_| NotAKey::NotOnCurve)?;
        let point = key.to_sec1_point(true);
        point.as_bytes().try_into().map(Self).map_err(|_| NotAKey::NotOnCurve)
    }

    /// The 33 compressed bytes.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// The 65 uncompressed bytes, as Web3Signer names secp256k1 keys.
    pub fn to_uncompressed(&self) -> [u8; 65] {
        let key = k256::PublicKey::from_sec1_bytes(&self.0).expect("only points on the curve are held");
        key.to_sec1_point(false).as_bytes().try_into().expect("an uncompressed point has 65 bytes")
    }

    /// Reads a key as a signer or a client may spell it: compressed or not, with or without `0x`, in
    /// either case.
    ///
    /// # Errors
    /// [`NotAKey`] as for [`TlsPublicKey::from_bytes`].
    pub fn normalise(text: &str) -> Result<Self, NotAKey> {
        let digits = without_prefix(text).as_bytes();
        let mut longest = [0; 65];
        let bytes = longest.get_mut(..digits.len() / 2).ok_or(NotAKey::Form(66))?;
        if read_hex(digits, bytes) { Self::from_bytes(bytes) } else { Err(NotAKey::Form(66)) }
    }
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

macro_rules! text_form {
    ($key:ident, $digits:literal) => {
        impl FromStr for $key {
            type Err = NotAKey;

            /// Reads the one form that is written: `0x` and lower-case hex of the compressed point.
            fn from_str(text: &str) -> Result<Self, NotAKey> {
                let key = Self::normalise(text)?;
                if key.to_string() == text { Ok(key) } else { Err(NotAKey::Form($digits)) }
            }
        }

        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $key {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $key {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

text_form!(BlsPublicKey, 96);
text_form!(TlsPublicKey, 66);

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATOR: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const GENERATOR_Y: &str = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
    /// The generator of G1, compressed.
    const BLS: &str =
        "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";

    #[test]
    fn every_spelling_of_a_tls_key_is_normalised_to_the_compressed_one() {
        let x = &GENERATOR[4..];
        for text in [
            GENERATOR.to_owned(),
            GENERATOR.to_uppercase(),
            GENERATOR[2..].to_owned(),
            format!("0x04{x}{GENERATOR_Y}"),
            format!("{x}{GENERATOR_Y}"),
        ] {
            assert_eq!(TlsPublicKey::normalise(&text).map(|k| k.to_string()), Ok(GENERATOR.to_owned()), "{text}");
        }
        let key: TlsPublicKey = GENERATOR.parse().expect("good");
        assert_eq!(hex::encode(key.to_uncompressed()), format!("04{x}{GENERATOR_Y}"));
    }

    #[test]
    fn bytes_that_are_no_point_are_refused() {
        assert_eq!(TlsPublicKey::normalise(&format!("02{}", "ff".repeat(32))), Err(NotAKey::NotOnCurve));
        assert_eq!(
            TlsPublicKey::normalise(&format!("04{}{}", &GENERATOR[4..], "00".repeat(32))),
            Err(NotAKey::NotOnCurve)
        );
        assert_eq!(TlsPublicKey::normalise("0x02"), Err(NotAKey::Form(66)));
        assert_eq!(BlsPublicKey::normalise(&"ff".repeat(48)), Err(NotAKey::NotOnCurve));
        assert_eq!(BlsPublicKey::normalise(&"00".repeat(48)), Err(NotAKey::NotOnCurve));
        assert_eq!(BlsPublicKey::normalise(&format!("c0{}", "00".repeat(47))), Err(NotAKey::NotOnCurve));
        assert_eq!(BlsPublicKey::normalise("0x97"), Err(NotAKey::Form(96)));
    }

    #[test]
    fn the_strict_form_is_the_written_form_alone() {
        assert_eq!(BLS.parse::<BlsPublicKey>().map(|k| k.to_string()), Ok(BLS.to_owned()));
        assert!(BLS[2..].parse::<BlsPublicKey>().is_err());
        assert!(GENERATOR[2..].parse::<TlsPublicKey>().is_err());
        assert!(GENERATOR.to_uppercase().parse::<TlsPublicKey>().is_err());
    }
}
