//! What the verifier (`cryftgo-tee`), the sidecar (`cryfttee`) and their tests must agree on.
//!
//! Two sides that must agree read the same constant from here: defaults, environment variable names, the
//! JSON that goes over the socket, and the text forms of digests, keys and node IDs. The crate does no I/O
//! and holds no policy.
//!
//! Every type here parses once, at the edge, and can then only hold a good value.

pub mod bytes;
pub mod defaults;
pub mod digest;
pub mod digits;
pub mod env;
pub mod exit;
pub mod keys;
pub mod node_id;
pub mod wire;

pub use bytes::Bytes;
pub use digest::Digest;
pub use keys::{BlsPublicKey, TlsPublicKey};
pub use node_id::NodeId;
