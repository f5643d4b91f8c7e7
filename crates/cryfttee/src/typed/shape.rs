//! What a JSON value has to look like, and reading a text against that without keeping any of it.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Fault;

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// An unsigned integer of 64 bits: decimal digits in a string, or a number.
    Uint,
    /// So many bytes in hex.
    Bytes(usize),
    /// Bytes in hex, as many as the network says.
    AnyBytes,
    /// A string.
    Text,
    /// A list of such.
    List(&'static Shape),
    /// An object with these members. It may have others.
    Object(&'static [Member]),
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    name: &'static str,
    shape: Shape,
    required: bool,
}

impl Member {
    pub(super) const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: true }
    }

    /// One that may be left out, or be `null`.
    pub(super) const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false }
    }
}

/// Checks an object.
pub(super) fn check(members: &'static [Member], text: &str) -> Result<(), Fault> {
    let found = Found::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Value { shape: Shape::Object(members), required: true, found: &found };
    value.deserialize(&mut json).map_err(|error| {
        let Found { path, is } = found;
        let path: Vec<_> = path.into_inner().into_iter().rev().collect();
        let is = is.into_inner().unwrap_or_else(|| format!("cannot be read: {error}"));
        Fault { path: if path.is_empty() { "the request".to_owned() } else { path.join(".") }, is }
    })
}

/// What is wrong, and where, from the inside out. Written once the first thing is found wrong.
#[derive(Default)]
struct Found {
    path: RefCell<Vec<String>>,
    is: RefCell<Option<String>>,
}

impl Found {
    fn wrong<E: serde::de::Error>(&self, is: impl Into<String>) -> E {
        *self.is.borrow_mut() = Some(is.into());
        E::custom("wrong")
    }

    fn inside<E>(&self, step: impl Into<String>, error: E) -> E {
        self.path.borrow_mut().push(step.into());
        error
    }
}

/// A value that is to be read.
#[derive(Clone, Copy)]
struct Value<'f> {
    shape: Shape,
    required: bool,
    found: &'f Found,
}

impl Value<'_> {
    fn wrong<E: serde::de::Error>(self) -> E {
        match self.shape {
            Shape::Uint => self.found.wrong("is not an unsigned integer of 64 bits"),
            Shape::Bytes(length) => self.found.wrong(format!("is not {length} bytes in hex")),
            Shape::AnyBytes => self.found.wrong("is not bytes in hex"),
            Shape::Text => self.found.wrong("is not a string"),
            Shape::List(_) => self.found.wrong("is not a list"),
            Shape::Object(_) => self.found.wrong("is not an object"),
        }
    }

    fn need<E: serde::de::Error>(self, fine: bool) -> Result<(), E> {
        if fine { Ok(()) } else { Err(self.wrong()) }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.required { Err(self.found.wrong("is missing")) } else { Ok(()) }
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.wrong())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.need(matches!(self.shape, Shape::Uint))
    }

    // Negative, or no integer, or too large.
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.wrong())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.wrong())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.need(match self.shape {
            // Rust would also read a sign.
            Shape::Uint => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok(),
            Shape::Bytes(length) => bytes(text) == Some(length),
            Shape::AnyBytes => bytes(text).is_some(),
            Shape::Text => true,
            Shape::List(_) | Shape::Object(_) => false,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Shape::List(shape) = self.shape else { return Err(self.wrong()) };
        let mut index = 0_usize;
        let item = Value { shape: *shape, required: true, found: self.found };
        while list.next_element_seed(item).map_err(|error| self.found.inside(index.to_string(), error))?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Shape::Object(members) = self.shape else { return Err(self.wrong()) };
        let mut seen = 0_u32;
        while let Some(place) = map.next_key_seed(Name(members))? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let Member { name, shape, required } = members[place];
            seen |= 1 << place;
            let value = Value { shape, required, found: self.found };
            map.next_value_seed(value).map_err(|error| self.found.inside(name, error))?;
        }
        let missing = members.iter().enumerate().find(|(place, member)| member.required && seen & (1 << place) == 0);
        match missing {
            None => Ok(()),
            Some((_, member)) => {
                let error = self.found.wrong("is missing");
                Err(self.found.inside(member.name, error))
            }
        }
    }
}

/// How many bytes a text spells; `None` if it is no hex. The signer takes it without `0x` too.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let fine = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    fine.then_some(digits.len() / 2)
}

/// The place of a member among those that are known.
struct Name(&'static [Member]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<usize>, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|member| member.name == name))
    }
}
