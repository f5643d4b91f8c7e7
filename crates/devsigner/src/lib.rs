//! A signer for development, shaped like Web3Signer: its keys, and the folder that they are kept in.

pub mod keys;
pub mod keystore;
pub mod store;

pub use store::{Store, StoreError};
