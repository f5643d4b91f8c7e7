//! The only unsafe code of the sidecar: taking ownership of the file descriptors it was started with.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

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
