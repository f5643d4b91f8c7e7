//! The key manager's changes: keys that come in encrypted under other passwords, and keys that go.

use std::sync::{Arc, PoisonError};

use contract::BlsPublicKey;

use super::import::ImportedFiles;
use super::load::{Found, Index, Origin};
use super::{LoadedBls, Store, StoreError};
use crate::error_text::with_causes;
use crate::keys::Curve;
use crate::keys::bls::BlsKey;
use crate::keystore::{Keystore, Password};
use crate::slashing::{Interchange, SlashingError};

/// A keystore that somebody else made.
#[derive(Clone, Copy)]
pub struct ForeignKeystore<'a> {
    /// Its JSON.
    pub json: &'a str,
    /// Its password, as it came.
    pub password: &'a str,
}

/// What became of a keystore.
#[derive(Debug, PartialEq, Eq)]
pub enum Imported {
    /// The key can sign, and will after a restart.
    Imported,
    /// The key was there.
    Duplicate,
    /// Why it is not.
    Error(String),
}

/// What became of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, and signs no more.
    Deleted,
    /// It was not there, but what it signed is known.
    NotActive,
    /// It was never here.
    NotFound,
    /// Why it is still there.
    Error(String),
}

/// What is said of a key of a key file that somebody else wrote.
const READONLY: &str = "Unable to delete readonly key";

/// A keystore that was looked at.
enum Opened {
    New { key: BlsKey, path: String },
    Known(BlsPublicKey),
    Bad(String),
}

impl Store {
    /// Takes in BLS keystores, each with its own password, and what their keys have signed. Each is kept as
    /// it came, with its password and a key file. The answers are in the order of the keystores.
    ///
    /// The watermarks are raised before any key is there, for keys that were there already too; an interchange says
    /// nothing about keys that are not among the keystores.
    ///
    /// # Errors
    /// [`SlashingError`] when the interchange could not be taken in: then no key was either.
    pub fn import(
        &self,
        keystores: &[ForeignKeystore<'_>],
        signed: Option<&Interchange>,
    ) -> Result<Vec<Imported>, SlashingError> {
        let _importing = self.importing.lock().unwrap_or_else(PoisonError::into_inner);
        let opened: Vec<_> = keystores.iter().map(|keystore| self.open_foreign(*keystore)).collect();
        if let Some(signed) = signed.filter(|signed| !signed.is_silent())
            && let Some(slashing) = &self.slashing
        {
            let keys = opened.iter().filter_map(|opened| match opened {
                Opened::New { key, .. } => Some(key.public()),
                Opened::Known(public) => Some(*public),
                Opened::Bad(_) => None,
            });
            for public in keys {
                slashing.hold(&public)?.raise(signed)?;
            }
        }
        Ok(opened.into_iter().zip(keystores).map(|(opened, keystore)| self.take_in(opened, *keystore)).collect())
    }

    fn open_foreign(&self, ForeignKeystore { json, password }: ForeignKeystore<'_>) -> Opened {
        let bad = |error: &dyn std::error::Error| Opened::Bad(with_causes(error));
        let keystore = match Keystore::parse(json.as_bytes()) {
            Ok(keystore) => keystore,
            Err(error) => return bad(&error),
        };
        if keystore.curve() != Curve::Bls {
            return Opened::Bad("only BLS keys can be imported".to_owned());
        }
        if keystore.pubkey().is_empty() {
            return Opened::Bad("the keystore names no public key".to_owned());
        }
        let named = match BlsPublicKey::normalise(keystore.pubkey()) {
            Ok(named) => named,
            Err(error) => return bad(&error),
        };
        // Before the work of opening it, as Web3Signer does: so any password will do.
        if self.bls(&named).is_some() {
            return Opened::Known(named);
        }
        let secret = match keystore.open(&Password::new(password)) {
            Ok(secret) => secret,
            Err(error) => return bad(&error),
        };
        match BlsKey::from_secret(&secret) {
            // Web3Signer 26.4.2 takes the secret's own key, whatever the keystore names.
            Ok(key) if self.bls(&key.public()).is_some() => Opened::Known(key.public()),
            Ok(key) => Opened::New { key, path: keystore.path().to_owned() },
            Err(error) => bad(&error),
        }
    }

    fn take_in(&self, opened: Opened, keystore: ForeignKeystore<'_>) -> Imported {
        let (key, path) = match opened {
            Opened::New { key, path } => (key, path),
            Opened::Known(_) => return Imported::Duplicate,
            Opened::Bad(why) => return Imported::Error(why),
        };
        // The same key twice in one request.
        if self.bls(&key.public()).is_some() {
            return Imported::Duplicate;
        }
        match self.keep_import(key, path, keystore) {
            Ok(()) => Imported::Imported,
            Err(error) => Imported::Error(with_causes(&error)),
        }
    }

    /// Writes the files of an imported key and serves it.
    fn keep_import(
        &self,
        key: BlsKey,
        derivation_path: String,
        ForeignKeystore { json, password }: ForeignKeystore<'_>,
    ) -> Result<(), StoreError> {
        let files = ImportedFiles::of(&self.folder, &key.public());
        let _changing = self.changing();
        files.write(&self.folder, json, password)?;
        let found = Found::Bls { key: Arc::new(key), derivation_path, origin: Origin::Import };
        self.serve(&files.key_file, found, vec![files.keystore.clone()])
    }

    /// Deletes keys, by their names in any spelling, and tells what they have signed. What a key has signed stays
    /// known, so that asking again gives it again and importing the key again is safe. A key of a key file that somebody
    /// else wrote stays.
    ///
    /// If nothing was ever signed or imported, the interchange names no chain, as with Web3Signer.
    pub fn delete(&self, names: &[String]) -> (Vec<Deleted>, Interchange) {
        let mut signed = Interchange::new(None);
        let outcomes = names
            .iter()
            .map(|name| match BlsPublicKey::normalise(name) {
                Ok(public) => {
                    self.delete_one(&public, &mut signed).unwrap_or_else(|error| Deleted::Error(with_causes(&error)))
                }
                Err(_) => Deleted::NotFound,
            })
            .collect();
        // Each key that was told of had its own look at the chain, so this can hardly fail; and then the interchange
        // names none, which nobody mistakes for one.
        let chain = self.slashing.as_ref().and_then(|slashing| slashing.chain().ok().flatten());
        (outcomes, signed.on_chain(chain))
    }

    fn delete_one(&self, public: &BlsPublicKey, signed: &mut Interchange) -> Result<Deleted, SlashingError> {
        let loaded = self.bls(public);
        if loaded.as_ref().is_some_and(|loaded| loaded.readonly) {
            return Ok(Deleted::Error(READONLY.to_owned()));
        }
        let Some(slashing) = &self.slashing else {
            return match loaded {
                Some(loaded) => self.remove(&loaded).map(|()| Deleted::Deleted).map_err(SlashingError::File),
                None => Ok(Deleted::NotFound),
            };
        };
        if loaded.is_none() && !slashing.knows(public)? {
            return Ok(Deleted::NotFound);
        }
        // From here on the key signs no vote. What can fail is done first: a key is only deleted when what it signed
        // can be told.
        let mut held = slashing.hold(public)?;
        slashing.chain()?;
        held.export(signed)?;
        match self.bls(public) {
            Some(loaded) => {
                held.remember()?;
                self.remove(&loaded)?;
                Ok(Deleted::Deleted)
            }
            None => Ok(Deleted::NotActive),
        }
    }

    fn remove(&self, loaded: &LoadedBls) -> Result<(), StoreError> {
        let _changing = self.changing();
        for file in &loaded.files {
            self.folder.remove(file)?;
        }
        let mut keys = self.write();
        for file in &loaded.files {
            keys.files.remove(file);
        }
        keys.index = Index::of(&keys.files);
        Ok(())
    }
}
