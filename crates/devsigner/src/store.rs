//! The keys that the signer has: a folder of keystores, and what was read from it.
//!
//! One file per key, `bls-<pubkey>.json` or `secp256k1-<pubkey>.json`. Every `*.json` in the folder must be a
//! keystore that the password opens: a key that silently was not loaded would look lost, and the verifier would
//! rightly refuse to start. Other names are left alone.

mod error;
pub(crate) mod folder;
mod manage;
mod password_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use contract::{BlsPublicKey, TlsPublicKey};

use crate::keys::Curve;
use crate::keys::bls::BlsKey;
use crate::keys::secp256k1::Secp256k1Key;
use crate::keystore::{Keystore, KeystoreError, Password};
use crate::slashing::{SlashingError, SlashingProtection};
use crate::ssz::Root;
use crate::typed::Vote;
pub use error::StoreError;
use folder::Folder;
pub use manage::{Deleted, Imported};

/// A BLS key and how it was derived.
pub struct LoadedBls {
    /// The key.
    pub key: BlsKey,
    /// The derivation path in its keystore; empty where it has none.
    pub derivation_path: String,
    /// Its keystores: more than one where a second file holds the same key.
    files: Vec<PathBuf>,
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
    slashing: SlashingProtection,
    keys: RwLock<Keys>,
    /// Held while the folder is read again or written to: a key that is made while the folder is being read
    /// would be missing from what was read, and so be dropped from memory.
    changing: Mutex<()>,
    /// Held while keystores are imported, so that one at a time takes the memory that its scrypt asks for.
    importing: Mutex<()>,
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
        let slashing = SlashingProtection::open(folder.path())?;
        let password = match password_file {
            Some(path) => password_file::read(path)?,
            None => password_file::read_or_draw(&folder)?,
        };
        let keys = load(&folder, &password)?;
        Ok(Self {
            folder,
            password,
            slashing,
            keys: RwLock::new(keys),
            changing: Mutex::new(()),
            importing: Mutex::new(()),
        })
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
                self.keep("bls", public.to_string(), sealed, |keys, path| {
                    let files = vec![path.to_owned()];
                    keys.bls.insert(public, Arc::new(LoadedBls { key, derivation_path: String::new(), files }));
                })
            }
            Curve::Secp256k1 => {
                let key = Secp256k1Key::generate().map_err(StoreError::Generate)?;
                let public = key.public();
                let sealed = Keystore::seal(curve, hex::encode(public.as_bytes()), &key.to_secret(), &self.password);
                self.keep("secp256k1", public.to_string(), sealed, |keys, _| {
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
        remember: impl FnOnce(&mut Keys, &Path),
    ) -> Result<NewKey, StoreError> {
        let json = sealed.and_then(|keystore| keystore.to_json()).map_err(StoreError::Seal)?;
        let name = format!("{kind}-{}.json", pubkey.trim_start_matches("0x"));
        let _changing = self.changing();
        let path = self.folder.write(&name, &json)?;
        remember(&mut self.keys.write().unwrap_or_else(PoisonError::into_inner), &path);
        Ok(NewKey { pubkey, path })
    }

    /// A BLS key.
    pub fn bls(&self, public: &BlsPublicKey) -> Option<Arc<LoadedBls>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).bls.get(public).cloned()
    }

    /// Signs what could be slashed, if it is safe: it is remembered, on disk, before the signature exists. None
    /// where there is no such key. Waits for the disk, and for whoever votes with this key.
    ///
    /// # Errors
    /// [`SlashingError`].
    pub fn sign_vote(
        &self,
        public: &BlsPublicKey,
        vote: &Vote,
        root: &Root,
    ) -> Result<Option<[u8; 96]>, SlashingError> {
        let mut held = self.slashing.hold(public)?;
        // Under the lock: a key that is deleted meanwhile must not sign what its export does not tell.
        let Some(loaded) = self.bls(public) else { return Ok(None) };
        held.admit(vote, root)?;
        Ok(Some(loaded.key.sign(root)))
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
            let mut files = keys.bls.get(&public).map(|loaded| loaded.files.clone()).unwrap_or_default();
            files.push(path.to_owned());
            keys.bls.insert(public, Arc::new(LoadedBls { key, derivation_path, files }));
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
