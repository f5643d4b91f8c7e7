//! Files of the keystore folder: written so that a crash leaves the old state or the new one, read bounded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::StoreError;
use super::import::is_keystore_of_import;

/// No honest keystore or password file is longer.
pub(super) const MAX_FILE: u64 = 64 * 1024;

/// The folder, by its absolute path.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder where there is none. One that exists keeps its mode: it is its owner's.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            let path = path.canonicalize()?;
            // The entry of the folder itself must survive a power cut as its files do.
            path.parent().map_or(Ok(()), sync)?;
            Ok(path)
        };
        make().map(Self).map_err(|source| StoreError::MakeFolder { path: path.to_owned(), source })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in the folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether the folder is still there.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        fs::metadata(&self.0).map(drop).map_err(|source| StoreError::List { path: self.0.clone(), source })
    }

    /// Every keystore in the folder that no import wrote, ordered by name.
    pub(crate) fn keystores(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut paths = self.with_extension("json")?;
        paths.retain(|path| !is_keystore_of_import(path));
        Ok(paths)
    }

    /// Every key file in the folder, ordered by name.
    pub(crate) fn key_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.with_extension("yaml")
    }

    fn with_extension(&self, wanted: &str) -> Result<Vec<PathBuf>, StoreError> {
        let list = || {
            let mut paths = Vec::new();
            for entry in fs::read_dir(&self.0)? {
                let path = entry?.path();
                let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && path.extension().is_some_and(|extension| extension == wanted) {
                    paths.push(path);
                }
            }
            paths.sort();
            Ok(paths)
        };
        list().map_err(|source| StoreError::List { path: self.0.clone(), source })
    }

    /// Writes a file that takes the place of any of the same name.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, StoreError> {
        self.publish(name, content, |temporary, path| fs::rename(temporary, path))
    }

    /// Writes a file unless there is one of that name; says whether it did. Of two processes that try, exactly
    /// one does.
    pub(crate) fn write_new(&self, name: &str, content: &[u8]) -> Result<bool, StoreError> {
        let mut ours = true;
        self.publish(name, content, |temporary, path| {
            match fs::hard_link(temporary, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => ours = false,
                outcome => outcome?,
            }
            fs::remove_file(temporary)
        })?;
        Ok(ours)
    }

    /// Removes a file for good. One that is gone already is as well.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let remove = || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync(&self.0),
        };
        remove().map_err(|source| StoreError::Write { path: path.to_owned(), source })
    }

    /// Write a temporary file, fsync it, give it its name, fsync the folder.
    fn publish(
        &self,
        name: &str,
        content: &[u8],
        give_name: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<PathBuf, StoreError> {
        let path = self.join(name);
        let failed = |source| StoreError::Write { path: path.clone(), source };
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| failed(io::Error::other(error)))?;
        // Hidden, so that a half-written one that a crash left behind is never taken for a keystore.
        let temporary = self.join(&format!(".new-{}", hex::encode(random)));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            give_name(&temporary, &path)?;
            sync(&self.0)
        };
        if let Err(source) = write() {
            // It may never have been made, or have its name already; the first error is the one to tell.
            let _ = fs::remove_file(&temporary);
            return Err(failed(source));
        }
        Ok(path)
    }
}

/// Reads a keystore, a password or a record whole. A FIFO, which would block, and a file longer than a keystore can be
/// are errors.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    read_up_to(path, MAX_FILE)
}

/// The same with another limit.
pub(crate) fn read_up_to(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let read = || {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        // Room for all of it at once: a vector that grows leaves copies of a password behind it.
        let room = if limit > MAX_FILE { metadata.len().clamp(MAX_FILE, limit) } else { limit };
        let mut content = Zeroizing::new(Vec::with_capacity(room as usize + 1));
        File::open(path)?.take(limit + 1).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::other(format!("longer than {} KiB", limit / 1024)));
        }
        Ok(content)
    };
    read().map_err(|source| StoreError::Read { path: path.to_owned(), source })
}

/// Makes a folder's entries durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
