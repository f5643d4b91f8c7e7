//! The keys that the signer has: a folder of keystores, and what was read from it.
//!
//! One file per key, `bls-<pubkey>.json` or `secp256k1-<pubkey>.json`. Every `*.json` in the folder must be a
//! keystore that the password opens: a key that silently was not loaded would look lost, and the verifier would
//! rightly refuse to start. Other names are left alone.

mod folder;
mod password_file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use contract::{BlsPublicKey, TlsPublicKey};

use crate::keys::bls::BlsKey;
use crate::keys::secp256k1::Secp256k1Key;
use crate::keys::{Curve, KeyError};
use crate::keystore::{Keystore, KeystoreError, Password};
use folder::Folder;

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

/// A BLS key and how it was derived.
pub struct LoadedBls {
    /// The key.
    pub key: BlsKey,
    /// The derivation path in its keystore; empty where it has none.
    pub derivation_path: String,
}

/// What was read from the folder. Ordered by public key, so that a list reads the same after a restart.
#[derive(Default)]
struct Keys {
    bls: BTreeMap<BlsPublicKey, Arc<LoadedBls>>,
    secp256k1: BTreeMap<TlsPublicKey, Arc<Secp256k1Key>>,
}

/// A key that was just made and is safely on disk.
#[derive(Debug)]
pub struct NewKey {
    /// `0x` and the compressed public key.
    pub pubkey: String,
    /// Its keystore.
    pub path: PathBuf,
}

/// The keys, and the folder that they are kept in.
pub struct Store {
    folder: Folder,
    password: Password,
    keys: RwLock<Keys>,
    /// Held while the folder is read again or written to: a key that is made while the folder is being read
    /// would be missing from what was read, and so be dropped from memory.
    changing: Mutex<()>,
}

impl Store {
    /// Opens the folder, making it (mode 0700) where there is none, and loads every key in it.
    ///
    /// Without a `password_file` the password is in `password` in the folder, and is drawn at first use.
    ///
    /// # Errors
    /// [`StoreError`]; whatever is wrong with a file names the file.
    pub fn open(folder: &Path, password_file: Option<&Path>) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let password = match password_file {
            Some(path) => password_file::read(path)?,
            None => password_file::read_or_draw(&folder)?,
        };
        let keys = load(&folder, &password)?;
        Ok(Self { folder, password, keys: RwLock::new(keys), changing: Mutex::new(()) })
    }

    /// Reads the folder again. When that fails, the keys stay as they were.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn reload(&self) -> Result<(), StoreError> {
        let _changing = self.changing();
        let keys = load(&self.folder, &self.password)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Makes a key. It is on disk, and would survive a power cut, before anyone hears of it.
    ///
    /// # Errors
    /// [`StoreError::Generate`], [`StoreError::Seal`], [`StoreError::Write`].
    pub fn generate(&self, curve: Curve) -> Result<NewKey, StoreError> {
        match curve {
            Curve::Bls => {
                let key = BlsKey::generate().map_err(StoreError::Generate)?;
                let public = key.public();
                let sealed = Keystore::seal(curve, hex::encode(public.as_bytes()), &key.to_secret(), &self.password);
                let key = Arc::new(LoadedBls { key, derivation_path: String::new() });
                self.keep("bls", public.to_string(), sealed, |keys| {
                    keys.bls.insert(public, key);
                })
            }
            Curve::Secp256k1 => {
                let key = Secp256k1Key::generate().map_err(StoreError::Generate)?;
                let public = key.public();
                let sealed = Keystore::seal(curve, hex::encode(public.as_bytes()), &key.to_secret(), &self.password);
                self.keep("secp256k1", public.to_string(), sealed, |keys| {
                    keys.secp256k1.insert(public, Arc::new(key));
                })
            }
        }
    }

    fn keep(
        &self,
        kind: &str,
        pubkey: String,
        sealed: Result<Keystore, KeystoreError>,
        remember: impl FnOnce(&mut Keys),
    ) -> Result<NewKey, StoreError> {
        let json = sealed.and_then(|keystore| keystore.to_json()).map_err(StoreError::Seal)?;
        let name = format!("{kind}-{}.json", pubkey.trim_start_matches("0x"));
        let _changing = self.changing();
        let path = self.folder.write(&name, &json)?;
        remember(&mut self.keys.write().unwrap_or_else(PoisonError::into_inner));
        Ok(NewKey { pubkey, path })
    }

    /// A BLS key.
    pub fn bls(&self, public: &BlsPublicKey) -> Option<Arc<LoadedBls>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).bls.get(public).cloned()
    }

    /// A secp256k1 key.
    pub fn secp256k1(&self, public: &TlsPublicKey) -> Option<Arc<Secp256k1Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).secp256k1.get(public).cloned()
    }

    /// Every BLS key, ordered by public key.
    pub fn all_bls(&self) -> Vec<Arc<LoadedBls>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).bls.values().cloned().collect()
    }

    /// The public key of every secp256k1 key, in order.
    pub fn all_secp256k1(&self) -> Vec<TlsPublicKey> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).secp256k1.keys().copied().collect()
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(folder: &Folder, password: &Password) -> Result<Keys, StoreError> {
    let mut keys = Keys::default();
    for path in folder.keystores()? {
        load_one(&path, password, &mut keys)?;
    }
    Ok(keys)
}

fn load_one(path: &Path, password: &Password, keys: &mut Keys) -> Result<(), StoreError> {
    let json = folder::read(path)?;
    let open = |source| StoreError::Open { path: path.to_owned(), source };
    let no_key = |source| StoreError::NoKey { path: path.to_owned(), source };
    let keystore = Keystore::parse(&json).map_err(open)?;
    let secret = keystore.open(password).map_err(open)?;
    match keystore.curve() {
        Curve::Bls => {
            let key = BlsKey::from_secret(&secret).map_err(no_key)?;
            let public = key.public();
            let named = BlsPublicKey::normalise(keystore.pubkey()).ok();
            // The EIP lets a BLS keystore leave its public key out.
            if named != Some(public) && !keystore.pubkey().is_empty() {
                return Err(StoreError::OtherKey { path: path.to_owned(), derived: public.to_string() });
            }
            let derivation_path = keystore.path().to_owned();
            keys.bls.insert(public, Arc::new(LoadedBls { key, derivation_path }));
        }
        Curve::Secp256k1 => {
            let key = Secp256k1Key::from_secret(&secret).map_err(no_key)?;
            let public = key.public();
            if TlsPublicKey::normalise(keystore.pubkey()) != Ok(public) {
                return Err(StoreError::OtherKey { path: path.to_owned(), derived: public.to_string() });
            }
            keys.secp256k1.insert(public, Arc::new(key));
        }
    }
    Ok(())
}
