//! Slashing protection. Whether a new vote is safe is decided by the minimal strategy of EIP-3076: watermarks of each
//! key. Beside them its history is kept, so that a vote that was signed before may be signed again.
//!
//! | vote | is signed when |
//! | --- | --- |
//! | block | its slot is above the highest one signed |
//! | attestation | source ≤ target, source not below the highest source signed, target above the highest target signed |
//! | either | it is in the history, by its signing root: signing it again says nothing new |
//!
//! The last row is what Web3Signer does too, and what EIP-3076 allows. Web3Signer also signs a *new* vote between earlier
//! ones if no rule is broken; here it is refused. A vote for another chain (`genesis_validators_root`) than the first one
//! signed or imported is refused, for every key.
//!
//! Everything is in the folder `slashing-protection` beside the keystores: for each key a record with a checksum, and
//! the chain. A record is on disk, and would survive a power cut, before the signature exists. One that cannot be
//! read or does not add up is an error and never "nothing signed yet"; only a record that is not there is that.
//!
//! A key is locked, between threads and between processes, from the reading of its record until its vote is signed.

mod history;
mod interchange;
mod record;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use contract::BlsPublicKey;

use crate::requests::hex_text;
use crate::ssz::Root;
use crate::store::StoreError;
use crate::store::folder::{self, Folder};
use crate::typed::Vote;
use history::Past;
pub use interchange::{Interchange, NotInterchange};
pub use record::{Damage, Unsafe};
use record::{Record, Verdict};

/// The folder, beside the keystores.
const FOLDER: &str = "slashing-protection";
/// The file that names the chain.
const CHAIN: &str = "genesis_validators_root";

/// Why a vote is not signed, or why nobody can tell whether it may be.
#[derive(Debug, thiserror::Error)]
pub enum SlashingError {
    /// The vote could be slashed.
    #[error("slashing protection: {0}")]
    Refused(Unsafe),
    /// A record, or the chain's file, could not be read or written.
    #[error("slashing protection")]
    File(#[from] StoreError),
    /// A key's lock could not be taken.
    #[error("slashing protection: lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("slashing protection: {path} is damaged, so nothing is signed with it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Damage,
    },
}

/// The records of every key.
pub struct SlashingProtection(Folder);

impl SlashingProtection {
    /// The records beside these keystores. Their folder is made here and only here: one that goes missing later is
    /// an error, and not a fresh start.
    ///
    /// # Errors
    /// [`StoreError::MakeFolder`].
    pub fn open(keystores: &Path) -> Result<Self, StoreError> {
        Folder::open(&keystores.join(FOLDER)).map(Self)
    }

    /// Whether the records are where they were.
    pub fn is_there(&self) -> bool {
        self.0.check().is_ok()
    }

    /// Locks a key and reads its record. Waits for whoever holds it.
    ///
    /// # Errors
    /// Any [`SlashingError`] but [`SlashingError::Refused`].
    pub fn hold(&self, key: &BlsPublicKey) -> Result<Held<'_>, SlashingError> {
        let digits = hex::encode(key.as_bytes());
        let path = self.0.join(&format!("{digits}.lock"));
        let lock = || {
            // A file of its own, never renamed: whoever waits must wait for the same one.
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        let lock = lock().map_err(|source| SlashingError::Lock { path, source })?;
        let name = format!("{digits}.json");
        let record = match self.read(&name)? {
            Some(content) => Some(Record::parse(&content, key).map_err(|source| self.damaged(&name, source))?),
            None => None,
        };
        Ok(Held {
            all: self,
            name,
            history: self.0.join(&format!("{digits}.history")),
            known: record.is_some(),
            record: record.unwrap_or_else(|| Record::new(*key)),
            _lock: lock,
        })
    }

    /// Whether there is a record of this key.
    ///
    /// # Errors
    /// [`SlashingError::File`].
    pub fn knows(&self, key: &BlsPublicKey) -> Result<bool, SlashingError> {
        self.read(&format!("{}.json", hex::encode(key.as_bytes()))).map(|content| content.is_some())
    }

    /// The chain that votes are for; none before the first.
    ///
    /// # Errors
    /// [`SlashingError::File`], [`SlashingError::Damaged`].
    pub fn chain(&self) -> Result<Option<Root>, SlashingError> {
        let Some(content) = self.read(CHAIN)? else { return Ok(None) };
        let mut root = [0; 32];
        let text = content.strip_prefix(b"0x").and_then(|text| text.strip_suffix(b"\n"));
        match text.map(|digits| hex::decode_to_slice(digits, &mut root)) {
            Some(Ok(())) => Ok(Some(root)),
            _ => Err(self.damaged(CHAIN, Damage::Chain)),
        }
    }

    fn check_chain(&self, root: &Root) -> Result<(), SlashingError> {
        match self.chain()? {
            Some(chain) if chain != *root => Err(SlashingError::Refused(Unsafe::OtherChain)),
            _ => Ok(()),
        }
    }

    /// Makes this the chain, unless there is one; then it must be this one.
    fn enter_chain(&self, root: &Root) -> Result<(), SlashingError> {
        if self.chain()?.is_none() {
            self.0.write_new(CHAIN, format!("{}\n", hex_text(*root)).as_bytes())?;
        }
        // Read again in any case: of two keys that vote first at once, one has named it.
        self.check_chain(root)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SlashingError> {
        match folder::read(&self.0.join(name)) {
            Ok(content) => Ok(Some(content.to_vec())),
            Err(StoreError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                // Not there is "nothing signed yet" only while the folder is: it is made at the start, never here.
                self.0.check().map(|()| None).map_err(SlashingError::File)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn damaged(&self, name: &str, source: Damage) -> SlashingError {
        SlashingError::Damaged { path: self.0.join(name), source }
    }
}

/// A key's record, while nobody else can read or change it.
pub struct Held<'a> {
    all: &'a SlashingProtection,
    name: String,
    history: PathBuf,
    known: bool,
    record: Record,
    _lock: File,
}

impl Held<'_> {
    /// Lets a vote pass and remembers it, on disk. Whatever is signed after that must be signed before this is
    /// dropped.
    ///
    /// # Errors
    /// [`SlashingError::Refused`], or why it could not be written: then nothing may be signed.
    pub fn admit(&mut self, vote: &Vote, root: &Root) -> Result<(), SlashingError> {
        self.all.check_chain(&vote.genesis_validators_root)?;
        let past = Past::of(vote, root);
        match self.record.judge(vote, root) {
            // Written again: whoever wrote it may have died between its name and the folder's fsync.
            Ok(Verdict::Again) => self.keep(self.record.clone()),
            Ok(Verdict::New(record)) => {
                self.all.enter_chain(&vote.genesis_validators_root)?;
                self.keep(record)?;
                // Only what the watermarks allowed; so that the history never has more than was safe.
                Ok(history::append(&self.history, &[past])?)
            }
            Err(why) => {
                if history::read(&self.history)?.contains(&past) {
                    Ok(())
                } else {
                    Err(SlashingError::Refused(why))
                }
            }
        }
    }

    /// Whether the key was ever heard of.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Writes a record even where nothing was signed, so that the key is known from now on.
    ///
    /// # Errors
    /// [`SlashingError::File`].
    pub fn remember(&mut self) -> Result<(), SlashingError> {
        if self.known { Ok(()) } else { self.keep(self.record.clone()) }
    }

    /// Raises the watermarks to what an interchange says of this key; never lowers one.
    ///
    /// # Errors
    /// [`Unsafe::OtherChain`], or why it could not be written.
    pub fn raise(&mut self, interchange: &Interchange) -> Result<(), SlashingError> {
        let Some(chain) = interchange.chain() else { return Ok(()) };
        let record = self.record.raised(interchange, &chain).map_err(SlashingError::Refused)?;
        self.all.enter_chain(&chain)?;
        if record != self.record || !self.known {
            self.keep(record)?;
        }
        let known = history::read(&self.history)?;
        let new: Vec<_> = interchange.votes_of(&self.record.pubkey).filter(|vote| !known.contains(vote)).collect();
        Ok(history::append(&self.history, &new)?)
    }

    /// Adds what is known of the key to an interchange: every vote, and the watermarks if no vote stands for them.
    ///
    /// # Errors
    /// [`SlashingError::File`].
    pub fn export(&self, to: &mut Interchange) -> Result<(), SlashingError> {
        to.add(&self.record, &history::read(&self.history)?);
        Ok(())
    }

    fn keep(&mut self, record: Record) -> Result<(), SlashingError> {
        let content = record.to_file().map_err(|source| self.all.damaged(&self.name, source))?;
        self.all.0.write(&self.name, &content)?;
        self.record = record;
        self.known = true;
        Ok(())
    }
}
