//! What can go wrong with the folder and the files in it.

use std::io;
use std::path::PathBuf;

use super::BadKeyFile;
use crate::keys::KeyError;
use crate::keystore::KeystoreError;

/// Why the store could not be opened, read again, or given a new key.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The keystore folder could not be made or entered.
    #[error("make the keystore folder {path}")]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The keystore folder could not be listed.
    #[error("list the keystore folder {path}")]
    List {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file could not be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file could not be written whole.
    #[error("write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The password file says nothing.
    #[error("the password in {path} is empty or is not UTF-8")]
    BadPassword {
        /// The file.
        path: PathBuf,
    },
    /// There are keystores, and the password that the store once drew for them is gone.
    #[error("{path} is missing, but there are keystores that were encrypted with it")]
    LostPassword {
        /// The file.
        path: PathBuf,
    },
    /// A key file is not one that can be used here.
    #[error("load key file {path}")]
    BadKeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BadKeyFile,
    },
    /// No random bytes for a password.
    #[error("draw a random password")]
    Random(#[source] getrandom::Error),
    /// A file is not a keystore, is damaged, or has another password.
    #[error("open keystore {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: KeystoreError,
    },
    /// A keystore holds something that is no key.
    #[error("take the key from keystore {path}")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: KeyError,
    },
    /// A keystore's public key is not the one of its secret.
    #[error("keystore {path} names another public key than its secret has: {derived}")]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The public key of the secret.
        derived: String,
    },
    /// No key could be made.
    #[error("make a key")]
    Generate(#[source] KeyError),
    /// The new key could not be encrypted.
    #[error("encrypt the new key")]
    Seal(#[source] KeystoreError),
}
