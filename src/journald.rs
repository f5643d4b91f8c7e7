//! Where journald is, and whether it takes what it is sent.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

/// Takes entries, a datagram each.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// Takes streams of lines.
pub const STREAM: &str = "/run/systemd/journal/stdout";

/// Whether systemd connected this process's standard error to the journal. `JOURNAL_STREAM` alone may be
/// inherited from a parent whose stream it was.
pub fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(found) = fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", found.st_dev, found.st_ino)
}

/// Whether journald runs on this host.
pub fn is_there() -> bool {
    Path::new(SOCKET).exists()
}

/// Whether a datagram to journald would be taken at once: its queue may be full.
pub fn takes() -> bool {
    let Ok(socket) = connect(Path::new(SOCKET)) else { return false };
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready == 1)
}

/// A socket that sends to journald there, and never waits for it.
///
/// # Errors
/// Nobody listens there.
pub fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
