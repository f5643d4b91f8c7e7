//! Measurement: which bytes is this? SHA-256 over exactly the bytes that will run, or that run already.

mod elf;
mod image;
pub mod mappings;
mod path;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::{Digest, exit};
use sha2::{Digest as _, Sha256};

use crate::fault::{Fault, Severity};
pub use elf::NotRunnable;
pub use image::{Image, ImageFacts, PathCheck, can_seal, lost_seals, on_disk, seal};
pub use path::UnsafePath;

/// What is larger than this is no sidecar; the bound keeps a mistake from filling memory.
pub const MAX_SIZE: u64 = 1024 * 1024 * 1024;

/// One read. Large enough that the system calls cost nothing, small enough to stay in the cache.
const CHUNK: usize = 128 * 1024;

/// The binary could not be measured.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum MeasureError {
    #[error("open {path}", path = path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("the way to the binary is not safe")]
    UnsafePath(#[from] UnsafePath),
    #[error("{path} is not a regular file", path = path.display())]
    NotAFile { path: PathBuf },
    #[error("{path} is empty", path = path.display())]
    Empty { path: PathBuf },
    #[error("{path} has {size} bytes; the limit is {limit}", path = path.display(), limit = MAX_SIZE)]
    TooLarge { path: PathBuf, size: u64 },
    #[error("{path} cannot run here", path = path.display())]
    NotRunnable { path: PathBuf, source: NotRunnable },
    #[error("read {path} for measurement", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("make an executable memory file; where vm.memfd_noexec=2 is wanted, set launch.image = \"fd\"")]
    Memfd { source: io::Error },
    #[error("copy {path} to memory", path = path.display())]
    Copy { path: PathBuf, source: io::Error },
    #[error("seal the copy of {path}", path = path.display())]
    Seal { path: PathBuf, source: io::Error },
}

impl MeasureError {
    /// Whether what stands there is no program at all. Where a reference value says that there should be one,
    /// somebody put it there.
    pub const fn is_no_program(&self) -> bool {
        match self {
            Self::Empty { .. } | Self::NotRunnable { .. } => true,
            Self::Open { .. }
            | Self::UnsafePath(_)
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::Read { .. }
            | Self::Memfd { .. }
            | Self::Copy { .. }
            | Self::Seal { .. } => false,
        }
    }
}

impl Fault for MeasureError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NotAFile { .. } | Self::Empty { .. } | Self::TooLarge { .. } | Self::NotRunnable { .. } => {
                exit::INTEGRITY
            }
            Self::UnsafePath(error) => error.exit_code(),
            Self::Open { .. } | Self::Read { .. } => exit::IO,
            Self::Memfd { .. } | Self::Copy { .. } | Self::Seal { .. } => exit::OS,
        }
    }

    /// Where reference values say what should stand there, [`Self::is_no_program`] makes a refusal of it, which may lock.
    fn severity(&self) -> Severity {
        match self {
            Self::UnsafePath(error) => error.severity(),
            Self::Open { .. }
            | Self::NotAFile { .. }
            | Self::Empty { .. }
            | Self::TooLarge { .. }
            | Self::NotRunnable { .. }
            | Self::Read { .. }
            | Self::Memfd { .. }
            | Self::Copy { .. }
            | Self::Seal { .. } => Severity::Slip,
        }
    }
}

/// How many bytes were copied and hashed so far, for whoever watches a large file being measured.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Bytes so far; a sealed image takes each byte twice, once for the copy and once for the hash.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// SHA-256 over an open file from its start, and the number of bytes. Memory stays flat in the file's size.
///
/// # Errors
/// What a read reports; a signal in between is no error.
pub fn digest(file: &File, progress: &Progress) -> io::Result<(Digest, u64)> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    loop {
        match file.read_at(&mut chunk, at) {
            Ok(0) => return Ok((Digest::new(hasher.finalize().into()), at)),
            Ok(count) => {
                hasher.update(&chunk[..count]);
                progress.add(count);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if at > MAX_SIZE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any sidecar"));
        }
    }
}

/// Measures a file, whatever it is for and wherever it stands.
///
/// # Errors
/// [`MeasureError`].
pub fn file(path: &Path) -> Result<(Digest, u64), MeasureError> {
    let file = image::open(path, 0)?;
    digest(&file, &Progress::default()).map_err(|source| MeasureError::Read { path: path.to_owned(), source })
}

/// The file that a process runs, through `/proc/<pid>/exe`: the very image, also after its path was
/// replaced. With another uid this needs `CAP_SYS_PTRACE`.
///
/// # Errors
/// [`MeasureError::Open`], with the path as it stands in `/proc`.
pub fn open_running(pid: u32) -> Result<File, MeasureError> {
    let path = running_path(pid);
    File::open(&path).map_err(|source| MeasureError::Open { path, source })
}

/// Measures what a process runs.
///
/// # Errors
/// [`MeasureError`] when it cannot be opened or read, which is never taken for "unchanged".
pub fn running(pid: u32) -> Result<Digest, MeasureError> {
    digest_of_running(pid, &open_running(pid)?)
}

/// Measures a running image that is open already.
///
/// # Errors
/// [`MeasureError::Read`].
pub fn digest_of_running(pid: u32, file: &File) -> Result<Digest, MeasureError> {
    let (digest, _) =
        digest(file, &Progress::default()).map_err(|source| MeasureError::Read { path: running_path(pid), source })?;
    Ok(digest)
}

fn running_path(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join("exe")
}

#[cfg(test)]
mod tests;
