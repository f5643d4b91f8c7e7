//! A SHA-256 digest and its one text form.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digits::read_hex;

const PREFIX: &str = "sha256:";

/// A SHA-256 digest. Its text is `sha256:` and 64 lower-case hex digits, and no other text parses
/// (CONTRACT: verified hash).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// The text is not a digest in the required form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected \"sha256:\" and 64 lower-case hex digits")]
pub struct NotADigest;

impl Digest {
    /// A digest from its 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads what people write in a list of pins: with or without `sha256:`, in either case.
    ///
    /// # Errors
    /// [`NotADigest`] when it is anything but 64 hex digits after that.
    pub fn parse_lenient(text: &str) -> Result<Self, NotADigest> {
        let digits = match text.get(..PREFIX.len()) {
            Some(head) if head.eq_ignore_ascii_case(PREFIX) => &text[PREFIX.len()..],
            _ => text,
        };
        let mut bytes = [0; 32];
        if !read_hex(digits.as_bytes(), &mut bytes) {
            return Err(NotADigest);
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digest = Self::parse_lenient(text)?;
        if digest.to_string() == text { Ok(digest) } else { Err(NotADigest) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_digest_prints_as_it_was_read() {
        assert_eq!(TEXT.parse::<Digest>().map(|d| d.to_string()), Ok(TEXT.to_owned()));
    }

    #[test]
    fn the_strict_form_refuses_every_other_spelling() {
        let (_, digits) = TEXT.split_once(':').expect("a prefix");
        for text in
            [digits.to_owned(), TEXT.to_uppercase(), format!("{TEXT} "), format!("{TEXT}0"), TEXT[..70].to_owned()]
        {
            assert_eq!(text.parse::<Digest>(), Err(NotADigest), "{text}");
        }
    }

    #[test]
    fn a_pin_may_be_bare_or_upper_case_and_means_the_same_digest() {
        let digest: Digest = TEXT.parse().expect("good");
        let (_, digits) = TEXT.split_once(':').expect("a prefix");
        for text in [TEXT, digits, &TEXT.to_uppercase(), &digits.to_uppercase()] {
            assert_eq!(Digest::parse_lenient(text), Ok(digest), "{text}");
        }
        for text in ["", "sha256:", "sha512:00", "é", &digits[1..], "zz"] {
            assert_eq!(Digest::parse_lenient(text), Err(NotADigest), "{text}");
        }
    }
}
