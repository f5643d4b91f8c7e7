//! The one system call of the bench for which no safe wrapper exists.
#![allow(unsafe_code, reason = "the one place of the bench for it")]

use std::io;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A handle on a process that may be anybody's child, to see its end by.
pub(super) struct Watched(OwnedFd);

impl Watched {
    /// Opens it. Errors: ESRCH where the process is gone already.
    pub(super) fn process(pid: u32) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = Errno::result(fd)?;
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel just opened this descriptor for us, close-on-exec, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits for its end; false when that did not come in time.
    pub(super) fn wait(&self, within: Duration) -> io::Result<bool> {
        let within = PollTimeout::try_from(within).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, within) {
                Err(Errno::EINTR) => {}
                count => return Ok(count? > 0),
            }
        }
    }
}
