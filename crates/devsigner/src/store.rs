//! The keys that the signer has: a directory of key files and keystores, and what was read from it.
//!
//! A key that is made here is a keystore, `bls-<pubkey>.json` or `secp256k1-<pubkey>.json`, under the password of the
//! store; every `*.json` that no key file names is taken for such a one. `*.yaml` are Web3Signer's key files: their keys
//! are read, and never removed unless they were imported here (`import`). A file of another kind of key than the process
//! serves is another process's. A file that fails is said once, on standard error, and counted; the keys of the others are
//! served.

mod error;
pub(crate) mod folder;
mod import;
mod key_file;
mod load;
mod manage;
mod password_file;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use contract::{BlsPublicKey, TlsPublicKey};

use crate::error_text::with_causes;
use crate::keys::Curve;
use crate::keys::bls::BlsKey;
use crate::keys::secp256k1::Secp256k1Key;
use crate::keystore::{Keystore, KeystoreError, Password};
use crate::options::{Options, Serves};
use crate::slashing::{SlashingError, SlashingProtection};
use crate::ssz::Root;
use crate::typed::Vote;
pub use error::StoreError;
use folder::Folder;
pub use key_file::BadKeyFile;
use load::{Files, Found, Index, KeyFile, Loader, Origin};
pub use manage::{Deleted, ForeignKeystore, Imported};
use password_file::StorePassword;

/// A BLS key and how it was derived.
pub struct LoadedBls {
    /// The key.
    pub key: Arc<BlsKey>,
    /// The derivation path in its keystore; empty if it has none.
    pub derivation_path: String,
    /// Whether it is from a key file that somebody else wrote, which is never removed.
    pub readonly: bool,
    /// Its files, in the order in which they are removed.
    files: Vec<PathBuf>,
}

/// What was read from the directory.
#[derive(Default)]
struct Keys {
    files: Files,
    index: Index,
    /// How many files failed, or the directory.
    failed: usize,
    /// Draws the order in which the keys are listed.
    order: RandomState,
}

impl Keys {
    fn insert(&mut self, path: PathBuf, file: KeyFile) {
        self.files.insert(path, file);
        self.index = Index::of(&self.files);
    }
}

/// A key that was just made and is safely on disk.
#[derive(Debug)]
pub struct NewKey {
    /// `0x` and the compressed public key.
    pub pubkey: String,
    /// Its keystore.
    pub path: PathBuf,
}

/// The keys, and the directory that they are kept in.
pub struct Store {
    folder: Folder,
    password: StorePassword,
    serves: Serves,
    slashing: Option<SlashingProtection>,
    keys: RwLock<Keys>,
    /// Held while the directory is read again or written to: a key that is made while the directory is being read
    /// would be missing from what was read, and so be dropped from memory.
    changing: Mutex<()>,
    /// Held while keystores are imported, so that one at a time takes the memory that its scrypt asks for.
    importing: Mutex<()>,
}

impl Store {
    /// Opens the directory for both kinds of key, making it (mode 0700) if there is none, and loads every key in it.
    ///
    /// Without a `password_file` the password is in `password` in the directory, and is drawn at first use.
    ///
    /// # Errors
    /// [`StoreError`] of the directory or of the password. A key file that fails is none: it is said on standard error
    /// and counted.
    pub fn open(folder: &Path, password_file: Option<&Path>) -> Result<Self, StoreError> {
        Self::open_for(folder, password_file, &Options::everything())
    }

    /// The same for the kind of key of a process.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn open_for(folder: &Path, password_file: Option<&Path>, options: &Options) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let slashing = if options.protects() { Some(SlashingProtection::open(folder.path())?) } else { None };
        let password = StorePassword::open(&folder, password_file)?;
        let store = Self {
            folder,
            password,
            serves: options.serves,
            slashing,
            keys: RwLock::default(),
            changing: Mutex::new(()),
            importing: Mutex::new(()),
        };
        store.load()?;
        Ok(store)
    }

    /// Reads the directory again, and returns what went wrong. The keys of files that did not change stay, those of
    /// files that are gone or fail go, and all that in one moment at the end.
    pub fn reload(&self) -> Vec<String> {
        match self.load() {
            Ok(errors) => errors,
            Err(error) => {
                let error = with_causes(&error);
                eprintln!("cryfttee-devsigner: ERROR: {error}");
                // Of a directory that cannot be listed nobody knows which keys are gone.
                self.write().failed = 1;
                vec![error]
            }
        }
    }

    fn load(&self) -> Result<Vec<String>, StoreError> {
        let _changing = self.changing();
        let loader = Loader { folder: &self.folder, password: &self.password, serves: self.serves };
        // A copy of the list, not of the keys: the old ones are served meanwhile.
        let known = self.read().files.clone();
        let (files, errors) = loader.load(known)?;
        let index = Index::of(&files);
        let errors: Vec<String> = errors.iter().map(|error| with_causes(error)).collect();
        for error in &errors {
            eprintln!("cryfttee-devsigner: ERROR: {error}");
        }
        let mut keys = self.write();
        if !keys.index.has_keys_of(&index) {
            keys.order = RandomState::new();
        }
        (keys.files, keys.index, keys.failed) = (files, index, errors.len());
        Ok(errors)
    }

    /// Makes a key. It is on disk, and would survive a power cut, before anyone hears of it.
    ///
    /// # Errors
    /// [`StoreError::Generate`], [`StoreError::Seal`], [`StoreError::Write`], and those of the password.
    pub fn generate(&self, curve: Curve) -> Result<NewKey, StoreError> {
        match curve {
            Curve::Bls => {
                let key = BlsKey::generate().map_err(StoreError::Generate)?;
                let public = key.public();
                let pubkey = hex::encode(public.as_bytes());
                let sealed = Keystore::seal(curve, pubkey, &key.to_secret(), self.sealing_password()?);
                let found = Found::Bls { key: Arc::new(key), derivation_path: String::new(), origin: Origin::Keystore };
                self.keep("bls", public.to_string(), sealed, found)
            }
            Curve::Secp256k1 => {
                let key = Secp256k1Key::generate().map_err(StoreError::Generate)?;
                let public = key.public();
                let pubkey = hex::encode(public.as_bytes());
                let sealed = Keystore::seal(curve, pubkey, &key.to_secret(), self.sealing_password()?);
                self.keep("secp256k1", public.to_string(), sealed, Found::Secp256k1(Arc::new(key)))
            }
        }
    }

    fn keep(
        &self,
        kind: &str,
        pubkey: String,
        sealed: Result<Keystore, KeystoreError>,
        found: Found,
    ) -> Result<NewKey, StoreError> {
        let json = sealed.and_then(|keystore| keystore.to_json()).map_err(StoreError::Seal)?;
        let name = format!("{kind}-{}.json", pubkey.trim_start_matches("0x"));
        let _changing = self.changing();
        let path = self.folder.write(&name, &json)?;
        self.serve(&path, found, Vec::new())?;
        Ok(NewKey { pubkey, path })
    }

    /// Serves the key of a file that was just written, while `changing` is held.
    fn serve(&self, path: &Path, found: Found, names: Vec<PathBuf>) -> Result<(), StoreError> {
        let file = KeyFile::written(path, found, names)
            .map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
        self.write().insert(path.to_owned(), file);
        Ok(())
    }

    fn sealing_password(&self) -> Result<&Password, StoreError> {
        self.password.of_new_keystore(&self.folder, || {
            let keys = self.read();
            let named = |path: &PathBuf| keys.files.values().any(|file| file.names.contains(path));
            Ok(self.folder.keystores()?.iter().any(|path| !named(path)))
        })
    }

    /// A BLS key.
    pub fn bls(&self, public: &BlsPublicKey) -> Option<Arc<LoadedBls>> {
        self.read().index.bls.get(public).cloned()
    }

    /// Signs what could be slashed, if it is safe: it is remembered, on disk, before the signature exists. None
    /// if there is no such key. Waits for the disk, and for whoever votes with this key.
    ///
    /// # Errors
    /// [`SlashingError`].
    pub fn sign_vote(
        &self,
        public: &BlsPublicKey,
        vote: &Vote,
        root: &Root,
    ) -> Result<Option<[u8; 96]>, SlashingError> {
        let Some(slashing) = &self.slashing else {
            return Ok(self.bls(public).map(|loaded| loaded.key.sign(root)));
        };
        let mut held = slashing.hold(public)?;
        // Under the lock: a key that is deleted meanwhile must not sign what its export does not tell.
        let Some(loaded) = self.bls(public) else { return Ok(None) };
        held.admit(vote, root)?;
        Ok(Some(loaded.key.sign(root)))
    }

    /// A secp256k1 key.
    pub fn secp256k1(&self, public: &TlsPublicKey) -> Option<Arc<Secp256k1Key>> {
        self.read().index.secp256k1.get(public).cloned()
    }

    /// Every BLS key, ordered by public key.
    pub fn all_bls(&self) -> Vec<Arc<LoadedBls>> {
        self.read().index.bls.values().cloned().collect()
    }

    /// The public key of every BLS key, in the order of this process: it is drawn at each start, and anew if a reload
    /// finds other keys.
    pub fn list_bls(&self) -> Vec<BlsPublicKey> {
        drawn(&self.read(), |index| &index.bls)
    }

    /// The public key of every secp256k1 key, in the order of this process.
    pub fn all_secp256k1(&self) -> Vec<TlsPublicKey> {
        drawn(&self.read(), |index| &index.secp256k1)
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        let keys = self.read();
        keys.index.bls.len() + keys.index.secp256k1.len()
    }

    /// How many files failed when the directory was last read.
    pub fn failed_files(&self) -> usize {
        self.read().failed
    }

    /// Whether the records of slashing protection, if it is on, are where they were.
    pub fn protection_is_reachable(&self) -> bool {
        self.slashing.as_ref().is_none_or(SlashingProtection::is_there)
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drawn<K: Copy + Hash + Ord, V>(keys: &Keys, of: impl Fn(&Index) -> &BTreeMap<K, V>) -> Vec<K> {
    let mut list: Vec<K> = of(&keys.index).keys().copied().collect();
    list.sort_by_cached_key(|key| keys.order.hash_one(key));
    list
}
