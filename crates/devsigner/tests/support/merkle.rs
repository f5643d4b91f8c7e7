//! SSZ Merkle roots by plain SHA-256: other code than the signer's, which asks a crate.

use sha2::{Digest as _, Sha256};

pub type Root = [u8; 32];

/// The root of a container with these roots of fields, in order.
pub fn container<const N: usize>(fields: [Root; N]) -> Root {
    let mut layer = fields.to_vec();
    layer.resize(N.next_power_of_two(), [0; 32]);
    while layer.len() > 1 {
        layer = layer.chunks_exact(2).map(|pair| node(pair[0], pair[1])).collect();
    }
    layer[0]
}

/// The root of an integer: little endian, in one leaf.
pub fn uint64(value: u64) -> Root {
    bytes(value.to_le_bytes())
}

/// The root of at most 32 bytes of fixed length: they are one leaf, padded at the end.
pub fn bytes<const N: usize>(value: [u8; N]) -> Root {
    const { assert!(N <= 32) };
    let mut leaf = [0; 32];
    leaf[..N].copy_from_slice(&value);
    leaf
}

/// The root of 48 bytes, a BLS public key: two leaves.
pub fn bytes48(value: [u8; 48]) -> Root {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&value[..32]);
    second[..16].copy_from_slice(&value[32..]);
    node(first, second)
}

/// What two roots are hashed to.
pub fn node(left: Root, right: Root) -> Root {
    Sha256::digest([left, right].concat()).into()
}
