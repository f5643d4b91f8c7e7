//! The public keys and the Node ID on disk: written so that a crash leaves the old file or the new one, read
//! so that a damaged file is never "no key" (CONTRACT: files).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use contract::wire::Registered;
use contract::{BlsPublicKey, NodeId, TlsPublicKey, exit};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Severity};
use crate::{clock, durable};

const BLS: &str = "staking/bls_pubkey";
const TLS: &str = "staking/tls_pubkey";
const NODE_ID: &str = "staking/node_id";
const BLS_RECORD: &str = "keys/bls_key.json";
const TLS_RECORD: &str = "keys/tls_key.json";

/// A file of ours is damaged, or cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum StoreError {
    #[error("make the folder {path}", path = path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("another verifier is using {path}", path = path.display())]
    InUse { path: PathBuf },
    #[error("lock {path}", path = path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {reason}; restore it from a backup, or compare with the signer and correct it", path = path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{path} and {other} contradict each other", path = path.display(), other = other.display())]
    Contradiction { path: PathBuf, other: PathBuf },
    #[error("write {path}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl Fault for StoreError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Damaged { .. } | Self::Contradiction { .. } => exit::DATA,
            Self::InUse { .. } => exit::CONFIG,
            Self::Folder { .. } | Self::Lock { .. } | Self::Read { .. } | Self::Write { .. } => exit::IO,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Folder { .. }
            | Self::InUse { .. }
            | Self::Lock { .. }
            | Self::Read { .. }
            | Self::Damaged { .. }
            | Self::Contradiction { .. }
            | Self::Write { .. } => Severity::Slip,
        }
    }
}

/// What an earlier start saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The BLS key.
    pub bls: Option<BlsPublicKey>,
    /// The TLS key.
    pub tls: Option<TlsPublicKey>,
}

/// `keys/bls_key.json`.
#[derive(Debug, Serialize, Deserialize)]
struct BlsRecord {
    pubkey: BlsPublicKey,
    secret_path: String,
    created_at: u64,
}

/// `keys/tls_key.json`.
#[derive(Debug, Serialize, Deserialize)]
struct TlsRecord {
    pubkey: TlsPublicKey,
    node_id: String,
    secret_path: String,
    certificate: String,
    created_at: u64,
}

/// The files of a state folder, to be read: also by a command that holds no lock and writes nothing.
#[derive(Debug)]
pub struct Records {
    root: PathBuf,
}

/// The state folder, held by one verifier at a time.
#[derive(Debug)]
pub struct Store {
    records: Records,
    _lock: Flock<File>,
}

impl Records {
    /// Of this folder, which need not be there.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Reads what was saved. Every file that is there must be whole, and they must agree. A record alone is a
    /// saved key too: it is written first, and a start that was interrupted there must not lead to another key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self) -> Result<Saved, StoreError> {
        let bls = self.agreed(BLS, BLS_RECORD, self.record::<BlsRecord>(BLS_RECORD)?.map(|record| record.pubkey))?;
        let tls_record: Option<TlsRecord> = self.record(TLS_RECORD)?;
        let tls = self.agreed(TLS, TLS_RECORD, tls_record.as_ref().map(|record| record.pubkey))?;
        if let Some(record) = &tls_record
            && record.node_id != NodeId::of(&record.pubkey).to_string()
        {
            return Err(self.damaged(TLS_RECORD, "its node_id is not that of its key".to_owned()));
        }
        match (&tls, self.line::<NodeId>(NODE_ID)?) {
            (Some(key), Some(id)) if NodeId::of(key) != id => Err(self.contradiction(NODE_ID, TLS)),
            // The key is saved before the ID, so an ID alone means that the key was taken away.
            (None, Some(_)) => Err(self.damaged(TLS, format!("it is gone, but {NODE_ID} is there"))),
            _ => Ok(Saved { bls, tls }),
        }
    }

    /// The certificate that came with the TLS key; empty where none did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn certificate(&self) -> Result<String, StoreError> {
        Ok(self.record::<TlsRecord>(TLS_RECORD)?.map(|record| record.certificate).unwrap_or_default())
    }

    /// The key that the line and the record name, where at least one of them is there.
    fn agreed<K>(&self, line: &str, record: &str, recorded: Option<K>) -> Result<Option<K>, StoreError>
    where
        K: FromStr<Err: std::fmt::Display> + PartialEq,
    {
        match (self.line::<K>(line)?, recorded) {
            (Some(key), Some(recorded)) if key != recorded => Err(self.contradiction(line, record)),
            (key, recorded) => Ok(key.or(recorded)),
        }
    }

    fn contradiction(&self, path: &str, other: &str) -> StoreError {
        StoreError::Contradiction { path: self.path(path), other: self.path(other) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A file of one line, or none where there is no file.
    fn line<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.parse().map(Some).map_err(|error: T::Err| self.damaged(name, error.to_string()))
    }

    fn record<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| self.damaged(name, error.to_string()))
    }

    fn damaged(&self, name: &str, reason: String) -> StoreError {
        StoreError::Damaged { path: self.path(name), reason }
    }

    fn text(&self, name: &str) -> Result<Option<String>, StoreError> {
        /// A certificate is the largest thing in any of these files.
        const MAX: u64 = 64 * 1024;
        let path = self.path(name);
        let bytes = match durable::read(&path, MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(self.damaged(name, error.to_string()));
            }
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let Some(bytes) = bytes else { return Ok(None) };
        if bytes.is_empty() {
            return Err(self.damaged(name, "it is empty".to_owned()));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| self.damaged(name, "it is not text".to_owned()))
    }
}

impl Store {
    /// Makes the folders where they are missing, and takes the lock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for folder in [root.to_owned(), root.join("staking"), root.join("keys")] {
            durable::make_folder(&folder).map_err(|source| StoreError::Folder { path: folder.clone(), source })?;
        }
        let path = root.join("staking/.lock");
        let failed = |source| StoreError::Lock { path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { records: Records::at(root), _lock: lock }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(StoreError::InUse { path: root.to_owned() }),
            Err((_, error)) => Err(failed(error.into())),
        }
    }

    /// As [`Records::load`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self) -> Result<Saved, StoreError> {
        self.records.load()
    }

    /// As [`Records::certificate`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn certificate(&self) -> Result<String, StoreError> {
        self.records.certificate()
    }

    /// Saves a key that the signer just made.
    ///
    /// # Errors
    /// [`StoreError::Write`]; then the next start finds the key in the signer and adopts it.
    pub fn save_bls(&self, made: &Registered<BlsPublicKey>) -> Result<(), StoreError> {
        let record = BlsRecord { pubkey: made.pubkey, secret_path: made.secret_path.clone(), created_at: clock::now() };
        self.write_record(BLS_RECORD, &record)?;
        self.write_line(BLS, &made.pubkey.to_string())
    }

    /// Saves a key that the signer just made.
    ///
    /// # Errors
    /// As for [`Store::save_bls`].
    pub fn save_tls(&self, made: &Registered<TlsPublicKey>) -> Result<(), StoreError> {
        let record = TlsRecord {
            pubkey: made.pubkey,
            node_id: NodeId::of(&made.pubkey).to_string(),
            secret_path: made.secret_path.clone(),
            certificate: made.certificate.clone().unwrap_or_default(),
            created_at: clock::now(),
        };
        self.write_record(TLS_RECORD, &record)?;
        self.write_line(TLS, &made.pubkey.to_string())
    }

    /// Makes sure that a key which is this node's is on disk in both places: one that was in the signer
    /// already, or one that an interrupted start saved half-way. What is there of it is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_bls(&self, key: &BlsPublicKey) -> Result<(), StoreError> {
        if self.records.record::<BlsRecord>(BLS_RECORD)?.is_none() {
            return self.save_bls(&unknown_origin(*key));
        }
        self.keep_line(BLS, key)
    }

    /// The same for a TLS key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_tls(&self, key: &TlsPublicKey) -> Result<(), StoreError> {
        if self.records.record::<TlsRecord>(TLS_RECORD)?.is_none() {
            return self.save_tls(&unknown_origin(*key));
        }
        self.keep_line(TLS, key)
    }

    fn keep_line<K>(&self, name: &str, key: &K) -> Result<(), StoreError>
    where
        K: FromStr<Err: std::fmt::Display> + PartialEq + std::fmt::Display,
    {
        match self.records.line::<K>(name)? {
            Some(saved) if saved == *key => Ok(()),
            _ => self.write_line(name, &key.to_string()),
        }
    }

    /// Saves the Node ID, unless it is saved already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn save_node_id(&self, id: &NodeId) -> Result<(), StoreError> {
        self.keep_line(NODE_ID, id)
    }

    fn write_line(&self, name: &str, line: &str) -> Result<(), StoreError> {
        self.write(name, format!("{line}\n").as_bytes())
    }

    fn write_record(&self, name: &str, record: &impl Serialize) -> Result<(), StoreError> {
        let text = serde_json::to_string_pretty(record).expect("a record of ours is plain data");
        self.write(name, format!("{text}\n").as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.records.path(name);
        durable::write(&path, bytes).map_err(|source| StoreError::Write { path, source })
    }
}

/// A key of which only the public half is known.
fn unknown_origin<K>(pubkey: K) -> Registered<K> {
    Registered { pubkey, secret_path: String::new(), proof_of_possession: None, certificate: None }
}

#[cfg(test)]
mod tests;
