//! What this kernel has, found out by asking for it.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;

/// Whether a process can be held by a descriptor (Linux 5.3).
pub fn has_pidfd() -> bool {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(std::process::id()), 0) };
    let Ok(fd) = i32::try_from(fd) else { return false };
    if fd < 0 {
        return false;
    }
    // SAFETY: the kernel just opened this descriptor for us, and nobody else knows it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    true
}

/// Whether a socket can say by descriptor who sent (Linux 6.5).
pub fn has_pass_pidfd() -> bool {
    /// Not in every libc yet.
    const SO_PASSPIDFD: libc::c_int = 76;
    let Ok(socket) = UnixDatagram::unbound() else { return false };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
    // SAFETY: the descriptor is open, and the option is one int, which outlives the call.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, (&raw const on).cast(), length) };
    set == 0
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_kernel_that_runs_these_tests_has_pidfds() {
        assert!(super::has_pidfd());
    }
}
