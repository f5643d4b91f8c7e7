//! `journalctl -o json`: one object a line. A value is a text; an array of numbers where it is no printable text; `null`
//! where it is too large; an array of such values where the field is repeated.

use std::fmt;
use std::io::BufRead;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Entry, LONGEST_LINE, LONGEST_VALUE, ReadError, Reader, is_wanted, read_line};

impl<R: BufRead> Reader<R> {
    pub(super) fn next_json(&mut self) -> Result<bool, ReadError> {
        loop {
            self.line.clear();
            let whole = read_line(&mut self.input, &mut self.line, LONGEST_LINE)?;
            let line = self.line.trim_ascii();
            let line = line.strip_prefix(b"\x1e").unwrap_or(line);
            if line.is_empty() {
                if self.line.is_empty() {
                    return Ok(false);
                }
                continue;
            }
            self.number += 1;
            if !whole {
                self.passed_over += 1;
                continue;
            }
            let mut json = serde_json::Deserializer::from_slice(line);
            let read = json.deserialize_map(Fields(&mut self.entry)).and_then(|()| json.end());
            return match read {
                Ok(()) => Ok(true),
                Err(error) if error.is_eof() => Err(ReadError::CutShort { number: self.number }),
                Err(error) => Err(self.not_a_journal(&error.to_string())),
            };
        }
    }
}

struct Fields<'a>(&'a mut Entry);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of the journal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut name = Vec::new();
        while let Some(wanted) = map.next_key_seed(Name(&mut name))? {
            if wanted {
                map.next_value_seed(Values { entry: self.0, name: &name })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A name, and whether it is looked at.
struct Name<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        self.0.clear();
        self.0.extend_from_slice(name.as_bytes());
        Ok(is_wanted(name.as_bytes()))
    }
}

/// What stands behind a name: one value, or several.
struct Values<'a> {
    entry: &'a mut Entry,
    name: &'a [u8],
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, null, or an array")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let value = (value.len() <= LONGEST_VALUE).then_some(value.as_bytes());
        self.entry.push(self.name, value);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.entry.push(self.name, None);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { entry, name } = self;
        let mut bytes: Option<Vec<u8>> = None;
        let mut several = false;
        while let Some(item) = items.next_element::<Item>()? {
            match item {
                Item::Byte(byte) if !several => bytes.get_or_insert_default().push(byte),
                Item::Value(value) if bytes.is_none() => {
                    several = true;
                    entry.push(name, value.as_deref());
                }
                _ => return Err(A::Error::custom("an array of bytes and of other values")),
            }
        }
        match bytes {
            Some(bytes) => entry.push(name, (bytes.len() <= LONGEST_VALUE).then_some(&bytes)),
            // No bytes at all.
            None if !several => entry.push(name, Some(b"")),
            None => {}
        }
        Ok(())
    }
}

/// One item of an array.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Item {
    Byte(u8),
    Value(#[serde(deserialize_with = "value")] Option<Vec<u8>>),
}

fn value<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Value {
        Text(String),
        Bytes(Vec<u8>),
        TooLarge(()),
    }
    Ok(match serde::Deserialize::deserialize(from)? {
        Value::Text(text) => Some(text.into_bytes()),
        Value::Bytes(bytes) => Some(bytes),
        Value::TooLarge(()) => None,
    })
}
