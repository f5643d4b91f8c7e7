//! What a process leaves to the next one: the head of the chain, and the entries that journald did not take yet.
//!
//! Both are written in place, so that the files keep their owner when root, who clears a lock, adds an entry. The head is
//! one short line in one block: a crash leaves the old one or the new one.

mod head;
mod spool;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

pub use head::{Head, Run};
pub use spool::Waiting;

use crate::durable;

/// Where the state of the trail is, in the verifier's state folder.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("audit")
}

/// The state of the trail on disk.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    head: File,
    spool: File,
}

/// What was found there.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: this is the first entry ever, or the state was removed.
    Nothing,
    /// A head that cannot be read as one.
    Damaged,
    /// The head.
    Head(Head),
}

impl Kept {
    /// Opens the state, and makes it where there is none.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        let folder = folder(state_dir);
        if !folder.is_dir() {
            durable::make_folder(&folder)?;
            give(&folder, state_dir)?;
        }
        let (head, spool) = (open(&folder, "head")?, open(&folder, "spool")?);
        Ok(Self { folder, head, spool })
    }

    /// Does something while no other process adds to the chain.
    pub(super) fn locked<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> io::Result<T> {
        self.head.lock()?;
        let done = work(self);
        self.head.unlock()?;
        Ok(done)
    }

    /// The head as it stands.
    pub(super) fn head(&self) -> io::Result<Found> {
        read_head(&self.head)
    }

    /// Keeps a copy of a head that cannot be read, for whoever looks into it.
    pub(super) fn put_damaged_aside(&self) -> io::Result<()> {
        let bytes = durable::read(&self.folder.join("head"), 4096)?.unwrap_or_default();
        let aside = self.folder.join("head.damaged");
        durable::write(&aside, &bytes)?;
        give(&aside, &self.folder)
    }

    /// Writes the head and waits for the disk.
    pub(super) fn save(&self, head: &Head) -> io::Result<()> {
        let text = head.to_string();
        self.head.write_all_at(text.as_bytes(), 0)?;
        // Of a damaged one that was longer.
        if self.head.metadata()?.len() > text.len() as u64 {
            self.head.set_len(text.len() as u64)?;
        }
        self.head.sync_data()
    }

    /// How long the spool is, in bytes.
    pub(super) fn spooled(&self) -> io::Result<u64> {
        Ok(self.spool.metadata()?.len())
    }

    /// What waits in the spool. An entry that a crash cut short was never sent, and is left out.
    pub(super) fn waiting(&self) -> io::Result<Vec<Waiting>> {
        spool::read(&self.spool)
    }

    /// Adds to the spool, whole or not at all.
    pub(super) fn spool(&self, entries: &[Waiting]) -> io::Result<()> {
        let at = self.spooled()?;
        let written = self.spool.write_all_at(&spool::write(entries), at);
        written.inspect_err(|_| drop(self.spool.set_len(at)))
    }

    /// Waits until the spool is on the disk: for a journald that is away for longer.
    pub(super) fn sync_spool(&self) -> io::Result<()> {
        self.spool.sync_data()
    }

    /// Cuts the spool to what it was.
    pub(super) fn cut_spool(&self, length: u64) -> io::Result<()> {
        self.spool.set_len(length)
    }
}

/// What a look at the state finds, without adding to it.
#[derive(Debug)]
pub struct Seen {
    /// The head.
    pub head: Found,
    /// How many entries wait for journald.
    pub waiting: u64,
    /// Whom the state belongs to.
    pub uid: u32,
}

/// Looks at the state, once no process is about to change it.
///
/// # Errors
/// What opening or reading reports.
pub fn look(state_dir: &Path) -> io::Result<Seen> {
    let folder = folder(state_dir);
    let head = File::open(folder.join("head"))?;
    head.lock_shared()?;
    let waiting = spool::read(&File::open(folder.join("spool"))?)?.len() as u64;
    Ok(Seen { waiting, uid: head.metadata()?.uid(), head: read_head(&head)? })
}

fn read_head(file: &File) -> io::Result<Found> {
    let mut text = [0; 512];
    let mut length = 0;
    while length < text.len() {
        match file.read_at(&mut text[length..], length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(match (length, std::str::from_utf8(&text[..length]).ok().and_then(Head::parse)) {
        (0, _) => Found::Nothing,
        (_, Some(head)) => Found::Head(head),
        (_, None) => Found::Damaged,
    })
}

fn open(folder: &Path, name: &str) -> io::Result<File> {
    let path = folder.join(name);
    // Root must not be led elsewhere by the user whom the folder belongs to.
    let open = || {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path)
    };
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.sync_all()?;
            give(&path, folder)?;
            File::open(folder)?.sync_all()?;
            open()?
        }
        opened => opened?,
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other(format!("{name} is not a regular file"))) }
}

/// What root made in the verifier's folder is to be the verifier's.
fn give(path: &Path, like: &Path) -> io::Result<()> {
    let like = like.metadata()?;
    if nix::unistd::geteuid().is_root() && like.uid() != 0 {
        chown(path, Some(like.uid()), Some(like.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
