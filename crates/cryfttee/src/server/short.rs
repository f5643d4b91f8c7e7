//! The short way of a request to sign.
//!
//! A node asks for signatures all day, on a connection that it keeps, each time with the same few lines and a body of a
//! few hundred bytes. Such a request is read here, without hyper; docs/sidecar.md has what that saves. A request that is
//! anything else, or that has not arrived whole, is not judged here: all that was read goes to hyper, which serves the
//! connection from then on.
//!
//! Here the socket is watched for reading alone. A unix socket says that there is room for writing each time that its
//! client has read an answer: that would wake this process, and the kernel's bookkeeping of it, once more for each
//! signature, and nobody waits for it.

use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::time::Instant;

mod answer;
mod asked;

use asked::Asked;

use super::drain::Draining;
use super::pace::Pace;
use crate::Sidecar;
use crate::routes;
use crate::sys;
use crate::together::{UnderWay, together};

/// What is read at once, and so the longest request that goes this way.
const ROOM: usize = 4 * 1024;

/// How it ends.
#[derive(Debug)]
pub(super) enum Left {
    /// The connection is at its end.
    Ended,
    /// These bytes of it are read and for somebody else to judge.
    Over(UnixStream, Vec<u8>),
}

/// Serves requests to sign from a client that may have everything signed.
pub(super) async fn serve(socket: UnixStream, sidecar: &Sidecar, pace: &Pace, draining: &Draining) -> Left {
    let served = match Socket::watch(socket) {
        Ok(socket) => serve_requests(socket, sidecar, pace, draining).await,
        Err(error) => Err(error),
    };
    served.unwrap_or_else(|error| {
        tracing::debug!(%error, "a connection ended early");
        Left::Ended
    })
}

async fn serve_requests(socket: Socket, sidecar: &Sidecar, pace: &Pace, draining: &Draining) -> io::Result<Left> {
    let (mut input, mut output) = (vec![0; ROOM], Vec::new());
    loop {
        let count = socket.read(&mut input).await?;
        if count == 0 {
            return Ok(Left::Ended);
        }
        let mut rest = &input[..count];
        while !rest.is_empty() {
            let Some((Asked { kind, body }, behind)) = Asked::read(rest) else {
                return Ok(Left::Over(socket.unwatch()?, rest.to_vec()));
            };
            pace.serving();
            let _under_way = UnderWay::begin();
            let signing = routes::sign(sidecar, kind, body, Instant::now());
            let Some((outcome, ended)) = socket.unless_left(signing).await else { return Ok(Left::Ended) };
            together().await;
            let last = draining.has_begun() || outcome.as_ref().is_err_and(|problem| problem.close);
            answer::write(&mut output, outcome, ended, last);
            socket.write(&output, pace).await?;
            pace.answered_at(ended);
            if last {
                return Ok(Left::Ended);
            }
            rest = behind;
        }
    }
}

/// A socket that is watched for reading.
struct Socket(AsyncFd<StdUnixStream>);

impl Socket {
    fn watch(socket: UnixStream) -> io::Result<Self> {
        sys::watch(socket.into_std()?, Interest::READABLE).map(Self)
    }

    fn unwatch(self) -> io::Result<UnixStream> {
        UnixStream::from_std(self.0.into_inner())
    }

    async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, into)).await
    }

    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut watched = ready!(self.0.poll_read_ready(cx))?;
            match watched.get_inner().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => watched.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => {
                    // Less than there was room for: that was all, and epoll tells when there is more.
                    if done.as_ref().is_ok_and(|count| (1..into.len()).contains(count)) {
                        watched.clear_ready();
                    }
                    return Poll::Ready(done);
                }
            }
        }
    }

    async fn write(&self, mut rest: &[u8], pace: &Pace) -> io::Result<()> {
        while !rest.is_empty() {
            match self.0.get_ref().write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    pace.answering();
                    // Seldom, and so by a descriptor of its own, which nobody watches otherwise.
                    let writing = sys::watch(self.0.get_ref().try_clone()?, Interest::WRITABLE)?;
                    let _room = writing.writable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The outcome of `work`; `None` where the client leaves before there is one. One that has sent its next request
    /// already is there.
    async fn unless_left<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut may_leave = true;
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            while may_leave && let Poll::Ready(watched) = self.0.poll_read_ready(cx) {
                let Ok(mut watched) = watched else { return Poll::Ready(None) };
                let fd = watched.get_inner().as_raw_fd();
                match recv(fd, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => return Poll::Ready(None),
                    Err(nix::errno::Errno::EAGAIN) => watched.clear_ready(),
                    _ => may_leave = false,
                }
            }
            Poll::Pending
        })
        .await
    }
}
