//! The image: opened once, copied, sealed, hashed. After the one `open` the path is a label.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use contract::Digest;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{CHUNK, MAX_SIZE, MeasureError, Progress, digest, elf};
use crate::config::ImageKind;

/// `MFD_EXEC`, Linux 6.3; older kernels answer EINVAL and make every memfd executable.
const MFD_EXEC: u32 = 0x0010;
/// `F_SEAL_EXEC`, Linux 6.3: the mode bits can no longer be changed.
const F_SEAL_EXEC: i32 = 0x0020;

/// The seals without which a copy is not sealed.
const SEALS: SealFlag =
    SealFlag::F_SEAL_SEAL.union(SealFlag::F_SEAL_SHRINK).union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_WRITE);

/// The bytes that will run, and their digest.
#[derive(Debug)]
pub struct Image {
    file: File,
    digest: Digest,
    size: u64,
    kind: ImageKind,
}

/// What is known of an image, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFacts {
    /// SHA-256.
    pub digest: Digest,
    /// Whether these are sealed bytes or a file that its owner can still write.
    pub kind: ImageKind,
}

impl Image {
    /// What is known of it.
    pub const fn facts(&self) -> ImageFacts {
        ImageFacts { digest: self.digest, kind: self.kind }
    }

    /// SHA-256 of the image.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes.
    pub const fn content(&self) -> &File {
        &self.file
    }

    /// Whether these are sealed bytes or a file that its owner can still write.
    pub const fn kind(&self) -> ImageKind {
        self.kind
    }
}

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether everything on the way to the binary must be safe from other users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathCheck {
    /// As on a host.
    Enforced,
    /// For development, in folders that a group shares.
    Off,
}

/// Opens `path` once and makes an image of what is there.
///
/// The digest is taken of the sealed copy and not of the file: a write between the copy and the hash, or
/// between the hash and the exec, then changes nothing that runs.
///
/// # Errors
/// [`MeasureError`], named after the operation.
pub fn seal(path: &Path, kind: ImageKind, check: PathCheck, progress: &Progress) -> Result<Image, MeasureError> {
    let source = open_checked(path, check)?;
    let file = match kind {
        ImageKind::Sealed => sealed_copy(path, &source, progress)?,
        ImageKind::Fd => source,
    };
    let read = |source| MeasureError::Read { path: path.to_owned(), source };
    elf::check(&file).map_err(read)?.map_err(|source| MeasureError::NotRunnable { path: path.to_owned(), source })?;
    let (digest, size) = digest(&file, progress).map_err(read)?;
    Ok(Image { file, digest, size, kind })
}

/// The digest of what stands at `path`, found as [`seal`] would find it, without making an image: for a look at
/// what the next start would measure.
///
/// # Errors
/// [`MeasureError`].
pub fn on_disk(path: &Path, check: PathCheck) -> Result<Digest, MeasureError> {
    let file = open_checked(path, check)?;
    let read = |source| MeasureError::Read { path: path.to_owned(), source };
    elf::check(&file).map_err(read)?.map_err(|source| MeasureError::NotRunnable { path: path.to_owned(), source })?;
    digest(&file, &Progress::default()).map(|(digest, _)| digest).map_err(read)
}

fn open_checked(path: &Path, check: PathCheck) -> Result<File, MeasureError> {
    match check {
        PathCheck::Enforced => check_size(path, super::path::open(path)?),
        // Not through a symlink: the path is what the operator pinned, and not what it points to today.
        PathCheck::Off => open(path, libc::O_NOFOLLOW),
    }
}

/// Opens a regular file of a sane size. A FIFO does not block.
pub(super) fn open(path: &Path, more_flags: i32) -> Result<File, MeasureError> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | more_flags;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    check_size(path, opened.map_err(|source| MeasureError::Open { path: path.to_owned(), source })?)
}

fn check_size(path: &Path, file: File) -> Result<File, MeasureError> {
    let metadata = file.metadata().map_err(|source| MeasureError::Open { path: path.to_owned(), source })?;
    match metadata.len() {
        _ if !metadata.is_file() => Err(MeasureError::NotAFile { path: path.to_owned() }),
        0 => Err(MeasureError::Empty { path: path.to_owned() }),
        size if size > MAX_SIZE => Err(MeasureError::TooLarge { path: path.to_owned(), size }),
        _ => Ok(file),
    }
}

fn sealed_copy(path: &Path, source: &File, progress: &Progress) -> Result<File, MeasureError> {
    let mut copy = executable_memfd().map_err(|error| MeasureError::Memfd { source: error.into() })?;
    // Read and write, not sendfile: what was read is what is written, whatever happens to the file.
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let failed = |source| MeasureError::Copy { path: path.to_owned(), source };
        match source.read_at(&mut chunk, at) {
            Ok(0) => break,
            Ok(count) => {
                copy.write_all(&chunk[..count]).map_err(failed)?;
                progress.add(count);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
        if at > MAX_SIZE {
            return Err(MeasureError::TooLarge { path: path.to_owned(), size: at });
        }
    }
    add_seals(&copy).map_err(|source| MeasureError::Seal { path: path.to_owned(), source })?;
    Ok(copy)
}

/// Whether this kernel gives a sealed image: true where the seal on its mode bits is there as well (Linux 6.3).
///
/// # Errors
/// Why it gives none.
pub fn can_seal() -> io::Result<bool> {
    let image = executable_memfd()?;
    let added = |seals| fcntl(&image, FcntlArg::F_ADD_SEALS(seals));
    match added(SEALS | SealFlag::from_bits_retain(F_SEAL_EXEC)) {
        Err(Errno::EINVAL) => added(SEALS).map(|_| false).map_err(io::Error::from),
        added => added.map(|_| true).map_err(io::Error::from),
    }
}

fn executable_memfd() -> nix::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let made = match memfd_create(c"cryfttee", flags | MFdFlags::from_bits_retain(MFD_EXEC)) {
        Err(Errno::EINVAL) => memfd_create(c"cryfttee", flags),
        made => made,
    };
    made.map(File::from)
}

fn add_seals(copy: &File) -> io::Result<()> {
    let with_exec = SEALS | SealFlag::from_bits_retain(F_SEAL_EXEC);
    match add_when_settled(copy, with_exec) {
        Err(Errno::EINVAL) => add_when_settled(copy, SEALS)?,
        sealed => sealed?,
    }
    if lost_seals(copy)? { Err(io::Error::other("the seals do not read back")) } else { Ok(()) }
}

/// The kernel answers EBUSY while anything holds one of the file's pages, which under load its own batches do
/// for a moment: seen once in some hundred thousand copies. Nobody else has this file, so it passes.
fn add_when_settled(copy: &File, seals: SealFlag) -> nix::Result<()> {
    const TRIES: u32 = 20;
    const BETWEEN: Duration = Duration::from_millis(20);
    for _ in 1..TRIES {
        match fcntl(copy, FcntlArg::F_ADD_SEALS(seals)) {
            Err(Errno::EBUSY) => std::thread::sleep(BETWEEN),
            sealed => return sealed.map(drop),
        }
    }
    fcntl(copy, FcntlArg::F_ADD_SEALS(seals)).map(drop)
}

/// Whether `file` lacks one of the seals that make a copy unchangeable.
///
/// # Errors
/// What `fcntl(2)` reports; EINVAL for a file that cannot have seals.
pub fn lost_seals(file: &File) -> io::Result<bool> {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS)?;
    Ok(!SealFlag::from_bits_retain(seals).contains(SEALS))
}
