//! From the files of the key directory to keys: each file that did not change is opened once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::{BlsPublicKey, TlsPublicKey};

use super::folder::{self, Folder};
use super::import::ImportedFiles;
use super::key_file::{self, Entry};
use super::password_file::{self, StorePassword};
use super::{LoadedBls, StoreError};
use crate::keys::bls::BlsKey;
use crate::keys::secp256k1::Secp256k1Key;
use crate::keys::{Curve, SecretBytes};
use crate::keystore::{Keystore, Password};
use crate::options::Serves;

/// A key that a file has.
#[derive(Clone)]
pub(super) enum Found {
    Bls { key: Arc<BlsKey>, derivation_path: String, origin: Origin },
    Secp256k1(Arc<Secp256k1Key>),
}

/// What a BLS key came from, and so what goes if it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A key file that somebody else wrote: it stays.
    KeyFile,
    /// A keystore under the password of the store.
    Keystore,
    /// An import, with three files.
    Import,
}

/// A file that was read, and what it had for this process.
#[derive(Clone)]
pub(super) struct KeyFile {
    stamp: Stamp,
    keys: Vec<Found>,
    /// The keystores that it names, which are no key files of their own.
    pub(super) names: Vec<PathBuf>,
}

impl KeyFile {
    /// A file that was just written here.
    pub(super) fn written(path: &Path, found: Found, names: Vec<PathBuf>) -> io::Result<Self> {
        Ok(Self { stamp: Stamp::of(path)?, keys: vec![found], names })
    }
}

/// What a file that changed has another of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Files that were read, by their paths.
pub(super) type Files = BTreeMap<PathBuf, KeyFile>;

/// What a file's reading depends on besides the file.
pub(super) struct Loader<'a> {
    pub(super) folder: &'a Folder,
    pub(super) password: &'a StorePassword,
    pub(super) serves: Serves,
}

impl Loader<'_> {
    /// Reads the directory. What is in `known` and did not change is taken from there; a file that fails is left out,
    /// with its error, and is tried again the next time.
    pub(super) fn load(&self, mut known: Files) -> Result<(Files, Vec<StoreError>), StoreError> {
        let (mut files, mut errors) = (Files::new(), Vec::new());
        let mut named = BTreeSet::new();
        let mut take = |path: PathBuf, file: Result<KeyFile, StoreError>| match file {
            Ok(file) => drop(files.insert(path, file)),
            Err(error) => errors.push(error),
        };
        for path in self.folder.key_files()? {
            let file = fresh(&path, &mut known, |stamp| self.key_file(&path, stamp, &mut named));
            named.extend(file.iter().flat_map(|file| file.names.iter().cloned()));
            take(path, file);
        }
        for path in self.folder.keystores()?.into_iter().filter(|path| !named.contains(path)) {
            let file = fresh(&path, &mut known, |stamp| self.keystore(&path, stamp));
            take(path, file);
        }
        Ok((files, errors))
    }

    /// The keystores that it names go into `named` even if it fails: the password of this store is not theirs.
    fn key_file(&self, path: &Path, stamp: Stamp, named: &mut BTreeSet<PathBuf>) -> Result<KeyFile, StoreError> {
        let content = folder::read_up_to(path, MAX_KEY_FILE)?;
        let entries = key_file::parse(&content, self.folder.path())
            .map_err(|source| StoreError::BadKeyFile { path: path.to_owned(), source })?;
        let mut file = KeyFile { stamp, keys: Vec::new(), names: Vec::new() };
        for entry in &entries {
            if let Entry::Keystore { keystore, .. } = entry {
                named.insert(keystore.clone());
                file.names.push(keystore.clone());
            }
        }
        // With more than one entry, others would go with the key.
        let import = ImportedFiles::called_as(path).filter(|_| entries.len() == 1);
        for entry in entries {
            match entry {
                Entry::Raw { curve, secret } => file.keys.extend(self.raw(path, curve, &secret)?),
                Entry::Keystore { .. } if !self.serves.bls() => {}
                Entry::Keystore { keystore, password } => file.keys.push(match &import {
                    Some((public, files)) if files.are(&keystore, &password) => open_import(public, files)?,
                    Some(_) | None => open_named(&keystore, &password)?,
                }),
            }
        }
        Ok(file)
    }

    /// None if another process serves this kind.
    fn raw(&self, path: &Path, curve: Curve, secret: &SecretBytes) -> Result<Option<Found>, StoreError> {
        let no_key = |source| StoreError::NoKey { path: path.to_owned(), source };
        Ok(match curve {
            Curve::Bls if self.serves.bls() => {
                let key = Arc::new(BlsKey::from_secret(secret).map_err(no_key)?);
                Some(Found::Bls { key, derivation_path: String::new(), origin: Origin::KeyFile })
            }
            Curve::Secp256k1 if self.serves.secp256k1() => {
                Some(Found::Secp256k1(Arc::new(Secp256k1Key::from_secret(secret).map_err(no_key)?)))
            }
            Curve::Bls | Curve::Secp256k1 => None,
        })
    }

    fn keystore(&self, path: &Path, stamp: Stamp) -> Result<KeyFile, StoreError> {
        let keystore = parse(path, folder::MAX_FILE)?;
        let keys = match keystore.curve() {
            Curve::Bls if self.serves.bls() => {
                let key = open_bls(path, &keystore, self.password.of_keystores(self.folder)?)?;
                check_named(path, &keystore, &key)?;
                vec![found_bls(key, &keystore, Origin::Keystore)]
            }
            Curve::Secp256k1 if self.serves.secp256k1() => {
                vec![secp256k1_of(path, &keystore, self.password.of_keystores(self.folder)?)?]
            }
            Curve::Bls | Curve::Secp256k1 => Vec::new(),
        };
        Ok(KeyFile { stamp, keys, names: Vec::new() })
    }
}

/// The file as it was read before, if it did not change since; else read anew.
fn fresh(
    path: &Path,
    known: &mut Files,
    read: impl FnOnce(Stamp) -> Result<KeyFile, StoreError>,
) -> Result<KeyFile, StoreError> {
    // Before it is read: a change in between is seen the next time.
    let stamp = Stamp::of(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    match known.remove(path).filter(|file| file.stamp == stamp) {
        Some(file) => Ok(file),
        None => read(stamp),
    }
}

/// The longest key file: thousands of keys fit.
const MAX_KEY_FILE: u64 = 8 * 1024 * 1024;

/// The longest keystore or password of an import: it came in one body.
const MAX_IMPORTED: u64 = 10 * 1024 * 1024;

fn parse(path: &Path, limit: u64) -> Result<Keystore, StoreError> {
    let json = folder::read_up_to(path, limit)?;
    Keystore::parse(&json).map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

/// The key of a keystore that a key file names.
fn open_named(path: &Path, password: &Path) -> Result<Found, StoreError> {
    let keystore = parse(path, folder::MAX_FILE)?;
    let key = open_bls(path, &keystore, &password_file::read(password)?)?;
    check_named(path, &keystore, &key)?;
    Ok(found_bls(key, &keystore, Origin::KeyFile))
}

/// The same of files that are called as an import's of this key. What was taken in once is taken in again: of any length,
/// with any password, and whatever key the keystore names.
fn open_import(public: &BlsPublicKey, files: &ImportedFiles) -> Result<Found, StoreError> {
    let path = &files.keystore;
    let keystore = parse(path, MAX_IMPORTED)?;
    let key = open_bls(path, &keystore, &password_file::read_any(&files.password, MAX_IMPORTED)?)?;
    if key.public() == *public {
        return Ok(found_bls(key, &keystore, Origin::Import));
    }
    // Not what an import writes: somebody else's hand.
    check_named(path, &keystore, &key)?;
    Ok(found_bls(key, &keystore, Origin::KeyFile))
}

fn found_bls(key: BlsKey, keystore: &Keystore, origin: Origin) -> Found {
    Found::Bls { key: Arc::new(key), derivation_path: keystore.path().to_owned(), origin }
}

fn open_bls(path: &Path, keystore: &Keystore, password: &Password) -> Result<BlsKey, StoreError> {
    let secret = keystore.open(password).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    BlsKey::from_secret(&secret).map_err(|source| StoreError::NoKey { path: path.to_owned(), source })
}

fn check_named(path: &Path, keystore: &Keystore, key: &BlsKey) -> Result<(), StoreError> {
    let named = BlsPublicKey::normalise(keystore.pubkey()).ok();
    // The EIP lets a BLS keystore leave its public key out.
    if named != Some(key.public()) && !keystore.pubkey().is_empty() {
        return Err(StoreError::OtherKey { path: path.to_owned(), derived: key.public().to_string() });
    }
    Ok(())
}

fn secp256k1_of(path: &Path, keystore: &Keystore, password: &Password) -> Result<Found, StoreError> {
    let secret = keystore.open(password).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    let key =
        Secp256k1Key::from_secret(&secret).map_err(|source| StoreError::NoKey { path: path.to_owned(), source })?;
    if TlsPublicKey::normalise(keystore.pubkey()) != Ok(key.public()) {
        return Err(StoreError::OtherKey { path: path.to_owned(), derived: key.public().to_string() });
    }
    Ok(Found::Secp256k1(Arc::new(key)))
}

/// The keys of all files, by their public keys.
#[derive(Default)]
pub(super) struct Index {
    pub(super) bls: BTreeMap<BlsPublicKey, Arc<LoadedBls>>,
    pub(super) secp256k1: BTreeMap<TlsPublicKey, Arc<Secp256k1Key>>,
}

impl Index {
    pub(super) fn of(files: &Files) -> Self {
        let mut bls: BTreeMap<BlsPublicKey, LoadedBls> = BTreeMap::new();
        let mut index = Self::default();
        for (path, file) in files {
            for found in &file.keys {
                match found {
                    Found::Bls { key, derivation_path, origin } => {
                        let loaded = bls.entry(key.public()).or_insert_with(|| LoadedBls {
                            key: Arc::clone(key),
                            derivation_path: derivation_path.clone(),
                            readonly: false,
                            files: Vec::new(),
                        });
                        match origin {
                            Origin::KeyFile => loaded.readonly = true,
                            Origin::Keystore => loaded.files.push(path.clone()),
                            Origin::Import => loaded.files.extend(ImportedFiles::beside(path).into_paths()),
                        }
                    }
                    Found::Secp256k1(key) => drop(index.secp256k1.insert(key.public(), Arc::clone(key))),
                }
            }
        }
        index.bls = bls.into_iter().map(|(public, loaded)| (public, Arc::new(loaded))).collect();
        index
    }

    /// Whether it has the same keys.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        self.bls.keys().eq(other.bls.keys()) && self.secp256k1.keys().eq(other.secp256k1.keys())
    }
}
