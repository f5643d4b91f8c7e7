//! The lock: after tampering was found nothing runs until an operator says so. A mark on disk, which the
//! socket's unit asserts the absence of, which the verifier looks for first, and which a restart and a reboot leave
//! in place.

use std::io;
use std::path::{Path, PathBuf};

use contract::exit;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Severity};
use crate::text::sanitise;
use crate::{clock, durable};

const MARK: &str = "tampered";
/// A reason is a kilobyte at most.
const MAX_MARK: u64 = 16 * 1024;

/// What was found, when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Seconds since 1970.
    pub at: u64,
    /// The step that found it.
    pub step: String,
    /// What it found.
    pub reason: String,
}

/// The mark cannot be read or written, or is set.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum LockError {
    #[error("locked: {found}; find out why, then: cryftgo-tee unlock --reason \"…\"")]
    Locked { found: String },
    #[error("read the tamper mark {path}; when the cause is known: cryftgo-tee unlock --reason \"…\"", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("write the tamper mark {path}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("remove the tamper mark {path}", path = path.display())]
    Remove { path: PathBuf, source: io::Error },
}

impl Fault for LockError {
    /// A mark that cannot be read keeps the service down like one that can.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Locked { .. } | Self::Read { .. } | Self::Write { .. } | Self::Remove { .. } => exit::INTEGRITY,
        }
    }

    /// The mark has what was found; a start that it refuses finds nothing new.
    fn severity(&self) -> Severity {
        match self {
            Self::Locked { .. } | Self::Read { .. } | Self::Write { .. } | Self::Remove { .. } => Severity::Slip,
        }
    }
}

/// The place of the mark.
#[derive(Debug, Clone)]
pub struct Lock(PathBuf);

impl Lock {
    /// In the verifier's own state folder.
    pub fn at(state_dir: &Path) -> Self {
        Self(state_dir.join(MARK))
    }

    /// Refuses to go on where the mark is set. A mark that cannot be read is a mark.
    ///
    /// # Errors
    /// [`LockError::Locked`] or [`LockError::Read`].
    pub fn check(&self) -> Result<(), LockError> {
        match self.mark()? {
            None => Ok(()),
            Some(found) => Err(LockError::Locked { found }),
        }
    }

    /// What the mark says, if it is set.
    ///
    /// # Errors
    /// [`LockError::Read`].
    pub fn mark(&self) -> Result<Option<String>, LockError> {
        let bytes =
            durable::read(&self.0, MAX_MARK).map_err(|source| LockError::Read { path: self.0.clone(), source })?;
        Ok(bytes.map(|bytes| match serde_json::from_slice::<Mark>(&bytes) {
            Ok(Mark { at, step, reason }) => {
                format!("tampering was found at step {step}, {}: {reason}", clock::utc(at))
            }
            // Somebody touched it into being, or the disk is failing: neither is a reason to start.
            Err(_) => format!("{} is there", self.0.display()),
        }))
    }

    /// Sets the mark. One that is set stays: the first finding is the one to look at.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn set(&self, step: &str, reason: &str) -> Result<(), LockError> {
        if self.mark()?.is_some() {
            return Ok(());
        }
        let failed = |source| LockError::Write { path: self.0.clone(), source };
        durable::make_folder(self.0.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        // Bounded: some of it may be text from outside, and the mark must be readable afterwards.
        let mark = Mark { at: clock::now(), step: step.to_owned(), reason: sanitise(reason) };
        let text = serde_json::to_string_pretty(&mark).expect("a mark is plain data");
        durable::write(&self.0, format!("{text}\n").as_bytes()).map_err(failed)
    }

    /// Removes the mark.
    ///
    /// # Errors
    /// [`LockError::Remove`].
    pub fn clear(&self) -> Result<(), LockError> {
        durable::remove(&self.0).map_err(|source| LockError::Remove { path: self.0.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_finding_stays_until_the_lock_is_cleared() {
        let folder = tempfile::tempdir().expect("folder");
        let lock = Lock::at(&folder.path().join("state"));
        assert!(lock.check().is_ok());
        lock.set("watch", "first").expect("set");
        lock.set("watch", "second").expect("set");
        let refusal = lock.check().expect_err("locked").to_string();
        assert!(refusal.contains("first") && refusal.contains("unlock --reason"), "{refusal}");
        lock.clear().expect("cleared");
        assert!(lock.check().is_ok());
        lock.clear().expect("nothing to clear is no error");
    }

    #[test]
    fn an_unreadable_mark_is_a_mark() {
        let folder = tempfile::tempdir().expect("folder");
        let lock = Lock::at(folder.path());
        std::fs::write(folder.path().join(MARK), "").expect("touch");
        assert!(matches!(lock.check(), Err(LockError::Locked { .. })));
        std::fs::remove_file(folder.path().join(MARK)).expect("remove");
        std::fs::create_dir(folder.path().join(MARK)).expect("a folder in its place");
        assert!(matches!(lock.check(), Err(LockError::Read { .. })));
    }
}
