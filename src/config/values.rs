//! Reading one value out of the merged layers, with its final type.

use std::path::PathBuf;
use std::time::Duration;

use contract::{Digest, defaults};
use figment::Figment;

use super::ConfigError;
use super::keys::{KEYS, Key};
use super::settings::Transport;
use crate::appraise::TrustedKey;

/// The merged layers, asked by key. Every error names the key and where its value stands.
pub(super) struct Values<'a>(pub(super) &'a Figment);

impl Values<'_> {
    fn key(&self, path: &str) -> &'static Key {
        KEYS.iter().find(|key| key.path == path).expect("validate asks only for keys of the table: tested")
    }

    pub(super) fn wrong(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        let origin = self.0.find_metadata(path).map_or_else(|| "default".to_owned(), |found| found.name.to_string());
        ConfigError::Value { key: self.key(path).path, origin, reason: reason.into() }
    }

    pub(super) fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ConfigError> {
        let key = self.key(path);
        self.0.extract_inner(key.path).map_err(|error| self.wrong(path, error.kind.to_string()))
    }

    pub(super) fn text(&self, path: &str) -> Result<String, ConfigError> {
        self.get(path)
    }

    /// A text, or none where it is empty: so a stronger layer can take back what a weaker one set.
    pub(super) fn optional(&self, path: &str) -> Result<Option<String>, ConfigError> {
        Ok(Some(self.text(path)?).filter(|text| !text.is_empty()))
    }

    pub(super) fn word<T: Copy>(&self, path: &str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text(path)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(path, format!("expected one of {}, found {text:?}", known.join(", ")))
        })
    }

    pub(super) fn transport(&self, path: &str) -> Result<Transport, ConfigError> {
        match self.text(path)?.as_str() {
            "uds" => Ok(Transport::Uds),
            "http" => Ok(Transport::Http),
            "https" => Ok(Transport::Https),
            other => {
                let known = defaults::TRANSPORTS.join(", ");
                Err(self.wrong(path, format!("unknown transport {other:?}; the transports are {known}")))
            }
        }
    }

    pub(super) fn absolute(&self, path: &str) -> Result<PathBuf, ConfigError> {
        let found: PathBuf = self.get(path)?;
        if found.is_absolute() {
            Ok(found)
        } else {
            Err(self.wrong(path, format!("expected an absolute path, found {found:?}")))
        }
    }

    /// The absolute path of a file, or none where it is empty.
    pub(super) fn file(&self, path: &str) -> Result<Option<PathBuf>, ConfigError> {
        if self.text(path)?.is_empty() { Ok(None) } else { self.absolute(path).map(Some) }
    }

    /// Names of users or groups. An item that would read as two, or as none, must not lift a restriction by a slip.
    pub(super) fn names(&self, path: &str) -> Result<Vec<String>, ConfigError> {
        let names: Vec<String> = self.get(path)?;
        let odd = |name: &&String| {
            name.is_empty() || name.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control())
        };
        match names.iter().find(odd) {
            Some(name) => Err(self.wrong(path, format!("{name:?} is not the name or the id of a user or group"))),
            None => Ok(names),
        }
    }

    pub(super) fn parsed<T: std::str::FromStr>(&self, path: &str, expected: &str) -> Result<T, ConfigError> {
        let text = self.text(path)?;
        text.parse().map_err(|_| self.wrong(path, format!("expected {expected}, found {text:?}")))
    }

    /// A public key in any spelling, or none if the text is empty.
    pub(super) fn public_key<K, E>(
        &self,
        path: &str,
        expected: &str,
        read: impl Fn(&str) -> Result<K, E>,
    ) -> Result<Option<K>, ConfigError>
    where
        E: std::fmt::Display,
    {
        let Some(text) = self.optional(path)? else { return Ok(None) };
        match read(text.trim()) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.wrong(path, format!("expected {expected}, found {text:?}: {error}"))),
        }
    }

    pub(super) fn time(&self, path: &str) -> Result<Duration, ConfigError> {
        let text = self.text(path)?;
        let time = parse_time(&text).filter(|time| !time.is_zero());
        time.ok_or_else(|| self.wrong(path, format!("expected a time like 500ms, 10s, 5m or 1h, found {text:?}")))
    }

    pub(super) fn url(&self, path: &str) -> Result<String, ConfigError> {
        let text = self.text(path)?;
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest) if !rest.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control()) => Ok(text),
            _ => Err(self.wrong(path, format!("expected a URL that starts with http:// or https://, found {text:?}"))),
        }
    }

    pub(super) fn trusted_keys(&self, path: &str) -> Result<Vec<TrustedKey>, ConfigError> {
        let texts: Vec<String> = self.get(path)?;
        let read = |text: &String| {
            text.parse().map_err(|_| self.wrong(path, format!("{text:?} is not a minisign public key")))
        };
        texts.iter().map(read).collect()
    }

    pub(super) fn pins(&self, path: &str) -> Result<Vec<Digest>, ConfigError> {
        let texts: Vec<String> = self.get(path)?;
        texts
            .iter()
            .map(|text| Digest::parse_lenient(text).map_err(|error| self.wrong(path, format!("{text:?} is {error}"))))
            .collect()
    }
}

/// A time as people write it: `500ms`, `10s`, `5m`, `1h`. None for anything else, and for more than a
/// thousand days, which is a slip of the pen and overflows clocks.
pub fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let total = number.checked_mul(milliseconds)?;
    (total <= 1_000 * 24 * 3_600_000).then(|| Duration::from_millis(total))
}
