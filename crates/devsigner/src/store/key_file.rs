//! Web3Signer's key files: YAML, of which only flat lines `key: value` are read here, without a YAML library. Whatever is
//! more than that is a key file that fails.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::keys::{Curve, SecretBytes};

/// Why a text is no key file that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyFile {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    Encoding,
    /// It has no entry.
    #[error("it is empty")]
    Empty,
    /// A line is not a key, a colon and a value.
    #[error("line {0} is not `key: value`")]
    Line(usize),
    /// A key is there twice.
    #[error("line {0}: the key is there twice")]
    Twice(usize),
    /// A key that it needs is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A type that is not served here.
    #[error("the type {0:?} is not served here: file-raw and file-keystore are")]
    Type(String),
    /// No such kind of key, or one that the type does not have.
    #[error("the keyType {0:?} is not one of this type")]
    KeyType(String),
    /// Not the digits of a key.
    #[error("privateKey is not 32 bytes of hex")]
    PrivateKey,
}

/// What a key file has for a key.
#[derive(Debug)]
pub(super) enum Entry {
    /// The key itself.
    Raw {
        /// Its kind.
        curve: Curve,
        /// The key.
        secret: SecretBytes,
    },
    /// A BLS keystore and its password, beside the key file if they are not absolute.
    Keystore {
        /// The keystore.
        keystore: PathBuf,
        /// Its password.
        password: PathBuf,
    },
}

/// Reads the entries of a key file; a line `---` is between two.
pub(super) fn parse(content: &[u8], folder: &Path) -> Result<Vec<Entry>, BadKeyFile> {
    let text = std::str::from_utf8(content).map_err(|_| BadKeyFile::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = vec![Document::default()];
    for (index, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push(Document::default());
        } else if let Some(document) = documents.last_mut() {
            document.add(index + 1, line)?;
        }
    }
    let entries: Vec<_> = documents.iter().filter(|document| !document.0.is_empty()).collect();
    if entries.is_empty() {
        return Err(BadKeyFile::Empty);
    }
    entries.into_iter().map(|document| document.entry(folder)).collect()
}

/// The pairs of one entry.
#[derive(Default)]
struct Document(Vec<(String, Zeroizing<String>)>);

impl Document {
    fn add(&mut self, number: usize, line: &str) -> Result<(), BadKeyFile> {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(());
        }
        // What is indented belongs to something that is no flat pair.
        let indented = line.starts_with([' ', '\t']);
        let (key, value) = trimmed.split_once(':').filter(|_| !indented).ok_or(BadKeyFile::Line(number))?;
        let key = unquoted(key).ok_or(BadKeyFile::Line(number))?;
        // Without a blank after the colon it is a text with a colon in it, and no pair.
        if !(value.is_empty() || value.starts_with([' ', '\t'])) {
            return Err(BadKeyFile::Line(number));
        }
        let value = unquoted(value).ok_or(BadKeyFile::Line(number))?;
        if self.get(key).is_some() {
            return Err(BadKeyFile::Twice(number));
        }
        self.0.push((key.to_owned(), Zeroizing::new(value.to_owned())));
        Ok(())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn needed(&self, key: &'static str) -> Result<&str, BadKeyFile> {
        self.get(key).filter(|value| !value.is_empty()).ok_or(BadKeyFile::Missing(key))
    }

    fn entry(&self, folder: &Path) -> Result<Entry, BadKeyFile> {
        match self.needed("type")? {
            "file-raw" => {
                let curve = self.curve()?;
                let text = self.needed("privateKey")?;
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let mut secret = SecretBytes::default();
                hex::decode_to_slice(digits, secret.as_mut()).map_err(|_| BadKeyFile::PrivateKey)?;
                Ok(Entry::Raw { curve, secret })
            }
            "file-keystore" => match self.curve()? {
                Curve::Bls => Ok(Entry::Keystore {
                    keystore: folder.join(self.needed("keystoreFile")?),
                    password: folder.join(self.needed("keystorePasswordFile")?),
                }),
                Curve::Secp256k1 => Err(BadKeyFile::KeyType("SECP256K1".to_owned())),
            },
            other => Err(BadKeyFile::Type(other.to_owned())),
        }
    }

    /// A key file that does not say is one of a BLS key, as with Web3Signer.
    fn curve(&self) -> Result<Curve, BadKeyFile> {
        match self.get("keyType") {
            None => Ok(Curve::Bls),
            Some(text) if text.eq_ignore_ascii_case("BLS") => Ok(Curve::Bls),
            Some(text) if text.eq_ignore_ascii_case("SECP256K1") => Ok(Curve::Secp256k1),
            Some(other) => Err(BadKeyFile::KeyType(other.to_owned())),
        }
    }
}

/// A text without its quotes, or without the comment after it. None for what YAML reads as more than a text.
fn unquoted(text: &str) -> Option<&str> {
    let text = text.trim();
    if let Some(quote) = text.chars().next().filter(|first| ['"', '\''].contains(first)) {
        let (inside, after) = text[1..].split_once(quote)?;
        let after = after.trim_start();
        // A backslash means something between double quotes only, and a quote twice is one between single quotes.
        let plain = !(quote == '"' && inside.contains('\\')) && (after.is_empty() || after.starts_with('#'));
        return plain.then_some(inside);
    }
    let end = if text.starts_with('#') { 0 } else { text.find(" #").unwrap_or(text.len()) };
    let text = text[..end].trim_end();
    let special = text.starts_with(['[', ']', '{', '}', '&', '*', '!', '|', '>', '%', '@', '`', '-', '?', ',']);
    (!special && !text.contains(": ") && !text.ends_with(':')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x0000000000000000000000000000000000000000000000000000000000000007";

    fn raw(text: &str) -> Result<Curve, BadKeyFile> {
        match parse(text.as_bytes(), Path::new("/keys"))?.as_slice() {
            [Entry::Raw { curve, secret }] => {
                assert_eq!(secret[31], 7);
                Ok(*curve)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_raw_key_is_read_however_its_lines_are_written() {
        let bare = &KEY[2..];
        for text in [
            format!("type: file-raw\nkeyType: SECP256K1\nprivateKey: {KEY}\n"),
            format!("\u{feff}type: \"file-raw\"\r\nkeyType: 'SECP256K1'\r\nprivateKey: '{bare}'\r\n"),
            format!("# a key\n---\nprivateKey:   \"{KEY}\"   # mine\n\n\"type\": file-raw # so\nkeyType: secp256k1"),
            format!("type: file-raw\nkeyType: SECP256K1\nprivateKey: {KEY}\nmore: ignored\n---\n"),
        ] {
            assert_eq!(raw(&text), Ok(Curve::Secp256k1), "{text}");
        }
        assert_eq!(raw(&format!("type: file-raw\nprivateKey: {KEY}")), Ok(Curve::Bls));
    }

    #[test]
    fn a_keystore_is_beside_the_key_file_unless_it_is_absolute() {
        let text = "type: file-keystore\nkeyType: BLS\nkeystoreFile: a.json\nkeystorePasswordFile: /b/a.password\n";
        match parse(text.as_bytes(), Path::new("/keys")).expect("entries").as_slice() {
            [Entry::Keystore { keystore, password }] => {
                assert_eq!(
                    (keystore.as_path(), password.as_path()),
                    (Path::new("/keys/a.json"), Path::new("/b/a.password"))
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_file_may_have_many_keys() {
        let text = format!("type: file-raw\nkeyType: BLS\nprivateKey: {KEY}\n---\n").repeat(3);
        assert_eq!(parse(text.as_bytes(), Path::new("/")).expect("entries").len(), 3);
    }

    #[test]
    fn what_is_more_than_flat_lines_or_less_than_a_key_is_refused() {
        let good = format!("type: file-raw\nkeyType: BLS\nprivateKey: {KEY}\n");
        for (text, why) in [
            (String::new(), BadKeyFile::Empty),
            ("# nothing\n---\n".to_owned(), BadKeyFile::Empty),
            (good.replace("type: file-raw\n", ""), BadKeyFile::Missing("type")),
            (good.replace(&format!("privateKey: {KEY}\n"), ""), BadKeyFile::Missing("privateKey")),
            (good.replace(KEY, ""), BadKeyFile::Missing("privateKey")),
            (good.replace(KEY, "0x07"), BadKeyFile::PrivateKey),
            (good.replace("0x00", "0xzz"), BadKeyFile::PrivateKey),
            (good.replace("file-raw", "hashicorp"), BadKeyFile::Type("hashicorp".to_owned())),
            (good.replace("BLS", "RSA"), BadKeyFile::KeyType("RSA".to_owned())),
            (good.replace("file-raw", "[file-raw]"), BadKeyFile::Line(1)),
            (good.replace("type: file", "type:file"), BadKeyFile::Line(1)),
            (good.replace("keyType", "  keyType"), BadKeyFile::Line(2)),
            (good.replace("keyType: BLS", "- keyType: BLS"), BadKeyFile::Line(2)),
            (good.replace("keyType: BLS", "keyType"), BadKeyFile::Line(2)),
            (good.replace("keyType: BLS", "keyType: \"BLS"), BadKeyFile::Line(2)),
            (good.replace("keyType: BLS", "keyType: \"B\\x4cS\""), BadKeyFile::Line(2)),
            (good.replace("keyType: BLS", "keyType: |"), BadKeyFile::Line(2)),
            (good.replace("keyType: BLS", "type: file-raw"), BadKeyFile::Twice(2)),
            (
                good.replace("file-raw", "file-keystore").replace("BLS", "SECP256K1"),
                BadKeyFile::KeyType("SECP256K1".to_owned()),
            ),
            (good.replace("file-raw", "file-keystore"), BadKeyFile::Missing("keystoreFile")),
        ] {
            assert_eq!(parse(text.as_bytes(), Path::new("/")).map(|_| ()), Err(why), "{text}");
        }
        assert_eq!(parse(b"type: \xff", Path::new("/")).map(|_| ()), Err(BadKeyFile::Encoding));
    }
}
