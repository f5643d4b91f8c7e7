//! A Unix stream on which every chunk that is read says who sent it.
//!
//! `SO_PEERCRED` names whoever called `listen()`, which is the verifier itself. With `SO_PASSCRED` on our own
//! end, set before connecting, the kernel attaches the true sender's pid and uid to each chunk. A plain
//! `read` would lose them, so this type reads with `recvmsg` and nothing else.

use std::error::Error as _;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, connect as connect_to,
    recvmsg, send, setsockopt, socket, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// The process whose answers are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its pid.
    pub pid: u32,
    /// Its uid.
    pub uid: u32,
}

/// Whose chunks are taken.
#[derive(Debug, Clone)]
pub(super) enum From {
    /// This process's and nobody else's.
    Only(Peer),
    /// Those of whoever sends the first one, which is written down here.
    Whoever(Arc<OnceLock<Peer>>),
}

impl From {
    /// Who this chunk has to be from; it was sent by `sender`.
    fn expected(&self, sender: &UnixCredentials) -> Peer {
        match self {
            Self::Only(peer) => *peer,
            Self::Whoever(first) => *first.get_or_init(|| Peer {
                // Zero, and so no process, where the sender is outside our pid namespace.
                pid: u32::try_from(sender.pid()).unwrap_or(0),
                uid: sender.uid(),
            }),
        }
    }
}

/// A chunk came from somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// Another process sent it.
    #[error("pid {found_pid} (uid {found_uid}) answered in place of the sidecar, pid {} (uid {})", .expected.pid, .expected.uid)]
    Other {
        /// The sender's pid, 0 where it is outside our pid namespace.
        found_pid: i32,
        /// The sender's uid.
        found_uid: u32,
        /// Who should have answered.
        expected: Peer,
    },
    /// The kernel attached no credentials.
    #[error("the answer carries no credentials")]
    Anonymous,
}

/// The connected stream.
#[derive(Debug)]
pub(super) struct Stream {
    socket: AsyncFd<OwnedFd>,
    from: From,
    chunk: Box<[u8; CHUNK]>,
}

const CHUNK: usize = 16 * 1024;

/// Connects; while the queue of the listener is full, tries again, for as long as the caller's deadline lets
/// it. (A Unix socket reports a full queue as EAGAIN and has no event for "there is room again".)
pub(super) async fn connect(path: &Path, from: From) -> io::Result<Stream> {
    const AGAIN: Duration = Duration::from_millis(5);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    setsockopt(&socket, sockopt::PassCred, &true)?;
    let address = UnixAddr::new(path)?;
    loop {
        match connect_to(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EAGAIN) => tokio::time::sleep(AGAIN).await,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Stream {
        socket: sys::register(socket, Interest::READABLE | Interest::WRITABLE)?,
        from,
        chunk: Box::new([0; CHUNK]),
    })
}

/// One `recvmsg`: all of it from whom it has to be from, or an error.
fn receive(socket: &OwnedFd, from: &From, chunk: &mut [u8]) -> io::Result<usize> {
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut slices = [IoSliceMut::new(chunk)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if message.bytes == 0 {
        return Ok(0);
    }
    let sender = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials),
        _ => None,
    });
    judge(sender, from).map_err(io::Error::other)?;
    Ok(message.bytes)
}

fn judge(sender: Option<UnixCredentials>, from: &From) -> Result<(), Forged> {
    let sender = sender.ok_or(Forged::Anonymous)?;
    let expected = from.expected(&sender);
    if u32::try_from(sender.pid()) == Ok(expected.pid) && sender.uid() == expected.uid {
        return Ok(());
    }
    Err(Forged::Other { found_pid: sender.pid(), found_uid: sender.uid(), expected })
}

/// Finds the [`Forged`] that a stream raised, through the layers that wrapped it.
pub(super) fn find_forged(error: &hyper::Error) -> Option<Forged> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if let Some(forged) = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<Forged>()) {
            return Some(*forged);
        }
        cause = error.source();
    }
    None
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, from, chunk } = &mut *self;
        let limit = buffer.remaining().min(CHUNK);
        loop {
            let mut ready = ready!(socket.poll_read_ready(context))?;
            match ready.try_io(|socket| receive(socket.get_ref(), from, &mut chunk[..limit])) {
                Ok(Ok(count)) => {
                    buffer.put_slice(&chunk[..count]);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.socket.poll_write_ready(context))?;
            // MSG_NOSIGNAL: a sidecar that is gone is an error here, not a signal.
            let sent = ready.try_io(|socket| Ok(send(socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?));
            match sent {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(sent) => return Poll::Ready(sent),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // One request a connection: closing the socket says all there is to say.
        Poll::Ready(Ok(()))
    }
}
