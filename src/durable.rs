//! Files that a crash leaves whole: the old one or the new one, never a mixture.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Writes a temporary file beside `path`, flushes it, renames it over the old one and flushes the folder.
/// The file is the owner's alone (0600). One writer at a time.
///
/// # Errors
/// The operation that failed; the old file is whole then, and the temporary one gone.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_for(path, bytes, OWNER, Flush::Yes)
}

/// The same, for everybody to read (0644), whatever the umask is.
///
/// # Errors
/// As for [`write`].
pub fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_for(path, bytes, EVERYBODY, Flush::Yes)
}

/// The same, without a flush: for what is worth nothing after a crash anyway, on a tmpfs. Readers still see the old file or
/// the new one.
///
/// # Errors
/// As for [`write`].
pub fn show(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_for(path, bytes, EVERYBODY, Flush::No)
}

/// Whether a file is to be there after a crash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Yes,
    No,
}

const OWNER: u32 = 0o600;
const EVERYBODY: u32 = 0o644;

fn write_for(path: &Path, bytes: &[u8], mode: u32, flush: Flush) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    write_and_rename(path, &temporary, bytes, mode, flush).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn write_and_rename(path: &Path, temporary: &Path, bytes: &[u8], mode: u32, flush: Flush) -> io::Result<()> {
    // One that a crash left behind.
    remove_now(temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER).open(temporary)?;
    file.write_all(bytes)?;
    if mode != OWNER {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    if flush == Flush::No {
        return fs::rename(temporary, path);
    }
    file.sync_all()?;
    fs::rename(temporary, path)?;
    flush_folder_of(path)
}

fn remove_now(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Ok(true),
    }
}

/// Removes a file for good. That there is none is no error.
///
/// # Errors
/// The operation that failed.
pub fn remove(path: &Path) -> io::Result<()> {
    if remove_now(path)? { flush_folder_of(path) } else { Ok(()) }
}

/// The bytes of a file, or none where there is no file.
///
/// # Errors
/// The operation that failed; [`io::ErrorKind::FileTooLarge`] beyond `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    // Without blocking: there may be a FIFO where a file should be.
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Makes a folder, and those above it, that only the owner may enter. One that is there stays as it is.
///
/// # Errors
/// The operation that failed.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn flush_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The folder that a file is in. A name alone has the parent "", which nobody can open.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_folder_is_a_file_in_this_one() {
        let folder = |path: &'static str| folder_of(Path::new(path));
        assert_eq!(folder("report.html"), Path::new("."));
        assert_eq!(folder("/run/report.html"), Path::new("/run"));
        assert_eq!(folder("/"), Path::new("/"));
    }
}
