//! The only unsafe code of the sidecar: taking ownership of the file descriptors it was started with, asking for the groups
//! of a client, and having the runtime watch a client's socket for less than it would by itself.
#![allow(unsafe_code, reason = "the one place for it; each block names its obligation")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The first inherited descriptor (systemd protocol: `SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the `count` descriptors from 3 on, which whoever started this process announced as handed over, and
/// marks each close-on-exec. To be called before anything else opens a file.
///
/// # Errors
/// The error of `fcntl` for a descriptor that is not open, with the descriptors before it closed again;
/// `AlreadyExists` when it is called a second time.
pub(crate) fn take_inherited(count: u16) -> io::Result<Vec<OwnedFd>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the inherited descriptors were taken before"));
    }
    (FIRST..FIRST + RawFd::from(count)).map(take).collect()
}

fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD passes no pointer; a number that is not an open descriptor makes it fail with EBADF.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl has just shown that `fd` is open; the parent gave it to this process, nothing here has opened
    // files yet, and TAKEN lets each number through once, so OwnedFd is its only owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has the runtime watch a socket for nothing but `interest`.
///
/// # Errors
/// Those of `epoll_ctl`; the socket is closed then.
pub(crate) fn watch(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: a UnixStream owns its descriptor: it stays open, and the same, for as long as the AsyncFd holds it.
    unsafe { AsyncFd::register_with_interest(socket, interest) }.map_err(io::Error::from)
}

/// The supplementary groups of whoever connected this unix socket (`SO_PEERGROUPS`), as they were at that moment.
///
/// # Errors
/// Those of `getsockopt`; `InvalidData` where the answer is no list of groups.
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<libc::gid_t>> {
    const SIZE: usize = size_of::<libc::gid_t>();
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let room = groups.len() * SIZE;
        let mut length = libc::socklen_t::try_from(room).map_err(io::Error::other)?;
        // SAFETY: the pointers are to `length` bytes of a live vector and to a live integer that says so; the kernel
        // writes at most that many bytes, and every bit pattern is a gid_t.
        let outcome = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let needed = usize::try_from(length).map_err(io::Error::other)? / SIZE;
        if outcome == 0 {
            if needed > groups.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            groups.truncate(needed);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Too little room; the kernel has said how much it takes. The list of a peer does not change.
        if error.raw_os_error() != Some(libc::ERANGE) || needed <= groups.len() {
            return Err(error);
        }
        groups.resize(needed, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_groups_of_a_peer_are_those_of_its_process() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let seen: HashSet<_> = peer_groups(one.as_fd()).expect("the kernel says").into_iter().collect();
        let own: HashSet<_> =
            nix::unistd::getgroups().expect("own groups").into_iter().map(nix::unistd::Gid::as_raw).collect();
        assert_eq!(seen, own);
        let tcp = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
        assert!(peer_groups(tcp.as_fd()).is_err());
    }
}
