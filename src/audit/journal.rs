//! journald's native protocol: one datagram an event, a failure to deliver is seen.
//!
//! tracing-journald ignores send errors, which is right for diagnostics and wrong here.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether systemd connected this process's standard error to the journal. `JOURNAL_STREAM` alone may be
/// inherited from a parent whose stream it was.
pub fn is_ours() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(found) = fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", found.st_dev, found.st_ino)
}

/// Whether journald runs on this host.
pub(super) fn is_there() -> bool {
    std::path::Path::new(SOCKET).exists()
}

/// Whether a datagram to journald would be taken at once: its queue may be full.
pub fn takes() -> bool {
    let Ok(socket) = connect(std::path::Path::new(SOCKET)) else { return false };
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready == 1)
}

/// journald's socket.
#[derive(Debug)]
pub(super) struct Journal {
    path: std::path::PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self::at(SOCKET.into())
    }

    /// One at another place, for tests.
    pub(super) const fn at(path: std::path::PathBuf) -> Self {
        Self { path, socket: None }
    }

    /// Delivers one entry, or says why journald does not take it now. Never waits.
    pub(super) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(connect(&self.path)?),
        };
        let sent = socket.send(datagram);
        if let Err(error) = &sent
            && error.kind() != io::ErrorKind::WouldBlock
        {
            // A journald that was restarted listens on another socket.
            self.socket = None;
        }
        sent.map(drop)
    }
}

fn connect(path: &std::path::Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
