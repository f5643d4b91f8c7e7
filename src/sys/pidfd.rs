//! A child held by its pidfd. Until it is reaped its pid is not reused, and a pidfd never names another
//! process, so neither a signal nor a wait can reach the wrong one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::Signal;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdRegisterError};

/// An open pidfd.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the pidfd of `pid`, which must be a child that was not reaped: only then is it sure to name
    /// that child.
    ///
    /// # Errors
    /// What `pidfd_open(2)` reports.
    pub(super) fn of_unreaped_child(pid: libc::pid_t) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = i32::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel just opened this descriptor for us, close-on-exec, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Has tokio watch for the end of the process: then the pidfd becomes readable.
    ///
    /// # Errors
    /// What `epoll_ctl(2)` reports, with the handle given back.
    pub fn register(self) -> Result<AsyncFd<Self>, (Self, io::Error)> {
        // SAFETY: the OwnedFd inside stays open, and keeps its number, for as long as the AsyncFd that owns it.
        unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) }.map_err(AsyncFdRegisterError::into_parts)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when the process is gone; otherwise what `pidfd_send_signal(2)` reports.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: a null siginfo is allowed and means "as kill(2) would"; no other memory is passed.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal as libc::c_int,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PidFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
