//! A socket of the sidecar's own, for when it is started by hand.

use std::fs::Permissions;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::{Mode, fchmod};

use super::Socket;
use crate::config::Transport;

/// For the service's user and group: who may sign is who is in the group.
const MODE: u32 = 0o660;

/// Why the sidecar's own socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something that is not a socket stands at the path; it is left alone.
    #[error("{0} exists and is not a socket")]
    NotASocket(PathBuf),
    /// Another process answers there.
    #[error("{0} is in use: another process answers there")]
    InUse(PathBuf),
    /// What stands at the path cannot be looked at.
    #[error("look at {0}")]
    Look(PathBuf, #[source] io::Error),
    /// The socket file that nobody answers on cannot be removed.
    #[error("remove {0}, a socket that nobody answers on")]
    RemoveStale(PathBuf, #[source] io::Error),
    /// The socket file cannot be made.
    #[error("listen at {0}")]
    Unix(PathBuf, #[source] io::Error),
    /// The address cannot be listened on.
    #[error("listen on {0}")]
    Tcp(String, #[source] io::Error),
}

/// A socket file that is removed on drop, unless another one has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).ok() == Some(self.identity) {
            // Nothing is lost if it stays: the next start replaces a socket that nobody answers on.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(super) fn open(transport: &Transport) -> Result<(Socket, Option<SocketFile>), BindError> {
    match transport {
        Transport::Uds { path } => {
            remove_stale(path)?;
            unix(path).map(|(socket, file)| (socket, Some(file))).map_err(|e| BindError::Unix(path.clone(), e))
        }
        Transport::Http { address } | Transport::Https { address, .. } => {
            tcp(address).map(|s| (s, None)).map_err(|e| BindError::Tcp(address.clone(), e))
        }
    }
}

fn unix(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // The mode goes onto the socket before it has a name: a chmod after bind alone would leave a moment in which
    // anyone may connect. The umask may have taken bits away, which the second call gives back.
    let mode = Mode::from_bits_truncate(MODE);
    fchmod(&socket, mode)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
    listen(&socket, Backlog::MAXALLOWABLE)?;
    Ok((Socket::Unix(socket.into()), file))
}

fn tcp(address: &str) -> io::Result<Socket> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(Socket::Tcp(socket))
}

/// Removes the socket file that a killed process left behind, and nothing else.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let look = |error| BindError::Look(path.to_owned(), error);
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(look(error)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match probe(path) {
        Err(Errno::ECONNREFUSED) => std::fs::remove_file(path).map_err(|e| BindError::RemoveStale(path.to_owned(), e)),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno @ (Errno::EACCES | Errno::EPERM)) => Err(look(errno.into())),
        // A full backlog (EAGAIN) is somebody's, too.
        Ok(()) | Err(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// Connects without waiting: a blocking connect to a full backlog would hang.
fn probe(path: &Path) -> nix::Result<()> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn at(path: &Path) -> Result<(Socket, Option<SocketFile>), BindError> {
        open(&Transport::Uds { path: path.to_owned() })
    }

    #[test]
    fn the_socket_file_is_0660_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let opened = at(&path).expect("open");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        drop(opened);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).expect("bind"));
        let live = at(&path).expect("a stale file is replaced");
        assert!(matches!(at(&path), Err(BindError::InUse(_))));
        assert!(path.exists(), "the refused one leaves the file alone");
        drop(live);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        std::fs::write(&path, "precious").expect("write");
        assert!(matches!(at(&path), Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "precious");
    }

    #[test]
    fn a_socket_that_took_the_place_of_ours_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let ours = at(&path).expect("open");
        // Another name first, so that the new file cannot get the inode of the old one.
        let other = UnixListener::bind(folder.path().join("other")).expect("bind");
        std::fs::rename(folder.path().join("other"), &path).expect("rename");
        drop(ours);
        assert!(path.exists());
        drop(other);
    }
}
