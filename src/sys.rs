//! System calls for which no safe wrapper exists. The only room with `unsafe`; everything it gives out is
//! owned and checked.

mod child;
mod pidfd;
mod spawn;

pub use pidfd::PidFd;
pub use spawn::{FirstFd, RunAs, SpawnError, Spawned, Step, spawn};

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

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
