//! The name of a node in the network.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::digits::read_hex;
use crate::keys::TlsPublicKey;

const PREFIX: &str = "NodeID-";

/// Node ID: the first 20 bytes of SHA-256 over the 33 bytes of the compressed TLS key, as `NodeID-` and hex
/// (CONTRACT: Node ID).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; 20]);

/// The text is not a node ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a node ID: expected \"NodeID-\" and 40 lower-case hex digits")]
pub struct NotANodeId;

impl NodeId {
    /// The node ID of the node that owns `key`.
    pub fn of(key: &TlsPublicKey) -> Self {
        let hash = Sha256::digest(key.as_bytes());
        let mut id = [0; 20];
        id.copy_from_slice(&hash[..20]);
        Self(id)
    }
}

impl FromStr for NodeId {
    type Err = NotANodeId;

    fn from_str(text: &str) -> Result<Self, NotANodeId> {
        let mut id = [0; 20];
        let digits = text.strip_prefix(PREFIX).ok_or(NotANodeId)?;
        if !read_hex(digits.as_bytes(), &mut id) {
            return Err(NotANodeId);
        }
        let id = Self(id);
        if id.to_string() == text { Ok(id) } else { Err(NotANodeId) }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_vectors_hold() {
        for (key, id) in [
            (
                "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
                "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2",
            ),
            (
                "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
                "NodeID-b1c9938f01121e159887ac2c8d393a22e4476ff8",
            ),
        ] {
            let key: TlsPublicKey = key.parse().expect("on the curve");
            assert_eq!(NodeId::of(&key).to_string(), id);
            assert_eq!(id.parse(), Ok(NodeId::of(&key)));
        }
    }
}
