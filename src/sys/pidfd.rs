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

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().expect("sleep")
    }

    fn pid(child: &Child) -> libc::pid_t {
        libc::pid_t::try_from(child.id()).expect("a pid")
    }

    /// A new process with this pid, where the kernel can be talked into it.
    fn sleeper_with(wanted: libc::pid_t) -> Option<Child> {
        const TRIES: usize = 200;
        for _ in 0..TRIES {
            std::fs::write("/proc/sys/kernel/ns_last_pid", (wanted - 1).to_string()).ok()?;
            let mut child = sleeper();
            if pid(&child) == wanted {
                return Some(child);
            }
            // Somebody else was faster.
            let _ = child.kill();
            let _ = child.wait();
        }
        None
    }

    #[test]
    fn after_the_end_a_signal_reaches_nobody_not_even_whoever_got_the_pid() {
        use std::io::Write as _;
        let mut first = sleeper();
        let number = pid(&first);
        let pidfd = PidFd::of_unreaped_child(number).expect("open");
        pidfd.signal(Signal::SIGKILL).expect("alive");
        first.wait().expect("reaped");
        let refused = pidfd.signal(Signal::SIGKILL).expect_err("nobody is there");
        assert_eq!(refused.raw_os_error(), Some(libc::ESRCH));

        let Some(mut second) = sleeper_with(number) else {
            let name = "after_the_end_a_signal_reaches_nobody_not_even_whoever_got_the_pid";
            let _ = writeln!(io::stdout(), "SKIPPED: {name}: the pid could not be had again (needs root)");
            return;
        };
        let refused = pidfd.signal(Signal::SIGKILL).expect_err("the new one is somebody else");
        assert_eq!(refused.raw_os_error(), Some(libc::ESRCH));
        assert!(second.try_wait().expect("wait").is_none(), "the process that got the pid was killed");
        second.kill().expect("kill");
        second.wait().expect("reaped");
    }
}
