//! SSZ Merkle roots. They are computed by `tree_hash`, the crate with which the consensus client Lighthouse computes its
//! own; here stands only how this signer's integers and bytes are leaves of its trees.
//!
//! The tests hold the roots against hashing by hand (`tests/typed.rs`, `tests/roots.rs`) and against published ones.

use tree_hash::{Hash256, PackedEncoding, TreeHash, TreeHashType};

use crate::typed::{Fixed, Uint64};

/// A Merkle root, and also a leaf.
pub type Root = [u8; 32];

/// The root of an object.
pub(crate) fn root(object: &impl TreeHash) -> Root {
    object.tree_hash_root().0
}

impl TreeHash for Uint64 {
    fn tree_hash_type() -> TreeHashType {
        u64::tree_hash_type()
    }

    fn tree_hash_packed_encoding(&self) -> PackedEncoding {
        self.0.tree_hash_packed_encoding()
    }

    fn tree_hash_packing_factor() -> usize {
        u64::tree_hash_packing_factor()
    }

    fn tree_hash_root(&self) -> Hash256 {
        self.0.tree_hash_root()
    }
}

impl<const N: usize> TreeHash for Fixed<N> {
    fn tree_hash_type() -> TreeHashType {
        <[u8; N]>::tree_hash_type()
    }

    fn tree_hash_packed_encoding(&self) -> PackedEncoding {
        self.0.tree_hash_packed_encoding()
    }

    fn tree_hash_packing_factor() -> usize {
        <[u8; N]>::tree_hash_packing_factor()
    }

    fn tree_hash_root(&self) -> Hash256 {
        self.0.tree_hash_root()
    }
}
