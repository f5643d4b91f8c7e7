//! The other end of `NOTIFY_SOCKET`.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt};

/// A datagram longer than this is cut; systemd's own limit is 4096.
const DATAGRAM_MAX: usize = 4096;
/// How long one look at the socket may wait.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// A bound notify socket that knows who sent each datagram.
pub(super) struct NotifySocket(UnixDatagram);

/// One datagram.
pub(super) struct Datagram {
    /// When it was taken from the socket.
    pub(super) at: Instant,
    /// The sender's pid, as the kernel says.
    pub(super) sender: i32,
    /// Its text: one `NAME=value` per line.
    pub(super) text: String,
}

impl NotifySocket {
    /// Binds it. Errors: as bind and setsockopt give them.
    pub(super) fn bind(path: &Path) -> std::io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        socket.set_read_timeout(Some(TICK))?;
        Ok(Self(socket))
    }

    /// The next datagram, or `None` when none came within a tick or a signal came instead.
    pub(super) fn receive(&self) -> std::io::Result<Option<Datagram>> {
        let mut bytes = [0; DATAGRAM_MAX];
        // Room for the credentials only: fds that a sender attaches (BARRIER=1) do not fit, so the kernel
        // closes them at once, which is what the sender waits for.
        let mut control = nix::cmsg_space!(UnixCredentials);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC);
        let at = Instant::now();
        let (length, sender) = match received {
            Ok(message) => {
                let credentials = message.cmsgs().ok().and_then(|mut all| {
                    all.find_map(|one| match one {
                        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
                        _ => None,
                    })
                });
                (message.bytes, credentials.unwrap_or(0))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        Ok(Some(Datagram { at, sender, text }))
    }
}
