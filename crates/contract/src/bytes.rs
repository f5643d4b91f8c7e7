//! Bytes in JSON: `0x` hex or base64 in, `0x` hex out.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digits::{push_hex, read_hex};

/// Bytes as the API carries them.
///
/// Read: a text that starts with `0x` and goes on with an even number of hex digits is hex; any other text
/// is base64 with padding, which is what a Go `[]byte` becomes. (Base64 that happens to look like `0x` and
/// hex is read as hex; a client that must be sure writes `0x`.) Written: always `0x` and lower-case hex.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

/// The text is neither `0x` hex nor base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither 0x-prefixed hex nor base64")]
pub struct NotBytes;

impl Bytes {
    /// The base64 form, for the fields of the 0.4 dialect.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

impl FromStr for Bytes {
    type Err = NotBytes;

    fn from_str(text: &str) -> Result<Self, NotBytes> {
        if let Some(digits) = text.strip_prefix("0x") {
            let mut bytes = vec![0; digits.len() / 2];
            if read_hex(digits.as_bytes(), &mut bytes) {
                return Ok(Self(bytes));
            }
        }
        STANDARD.decode(text).map(Self).map_err(|_| NotBytes)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        push_hex(&mut text, &self.0);
        f.write_str(&text)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64_give_the_same_bytes() {
        let hex: Bytes = "0x68656c6c6f".parse().expect("hex");
        let base64: Bytes = "aGVsbG8=".parse().expect("base64");
        assert_eq!(hex, base64);
        assert_eq!(hex.to_string(), "0x68656c6c6f");
        assert_eq!(hex.to_base64(), "aGVsbG8=");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["0xabc", "0xz!", "a", "hello world", "é"] {
            assert_eq!(text.parse::<Bytes>(), Err(NotBytes), "{text}");
        }
    }
}
