//! System calls for which no safe wrapper exists. The only room with `unsafe`; everything it gives out is
//! owned and checked.

#![allow(unsafe_code, reason = "the one place for it; each block names its obligation")]

mod child;
mod pidfd;
pub mod probe;
mod spawn;

pub use pidfd::PidFd;
pub use spawn::{Program, RunAs, SpawnError, Spawned, Step, spawn};

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes this process one that can wait for its children, and that gets those whose own parent died.
///
/// Where SIGCHLD was inherited as ignored, the kernel would reap children by itself: their exit status would
/// be lost, and their pids reused while they are still signalled.
///
/// # Errors
/// What the kernel reports.
pub fn own_descendants() -> io::Result<()> {
    // SAFETY: the default action is no function of ours.
    if unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// One pool of memory for all threads. glibc makes one for each thread that runs beside others, and the short-lived ones that
/// read and hash would leave theirs behind. That it cannot be had costs memory and nothing else.
pub fn one_pool_of_memory() {
    // SAFETY: it takes two numbers, and there is one thread yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1)
    };
}

/// Gives the kernel back what was freed. A start leaves most of a megabyte of it (the command line has every setting as a flag of
/// every command), which the service never needs again.
pub fn give_memory_back() {
    // SAFETY: it takes a number and touches only what is free.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// How much of what was sent over a unix socket its receiver has not read yet; 0 where it has read all.
///
/// # Errors
/// What `ioctl(2)` reports.
pub fn unread(socket: &UnixDatagram) -> io::Result<libc::c_int> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the kernel writes one int, which outlives the call. (SIOCOUTQ of unix(7) has the
    // number of TIOCOUTQ.)
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if asked == 0 { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

/// Has tokio watch a descriptor.
///
/// # Errors
/// What `epoll_ctl(2)` reports.
pub fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays open, and keeps its number, for as long as the AsyncFd that owns it.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// Fills `bytes` from the kernel's random number generator, waiting for it to be seeded.
///
/// # Errors
/// What `getrandom(2)` reports.
pub fn random(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: the pointer and the length describe `rest`, which is writable and outlives the call.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match usize::try_from(got) {
            Ok(got) => filled += got,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}
