//! The short way of a request to sign.
//!
//! A node asks for signatures all day, on a connection that it keeps, each time with the same few lines and a body of a
//! few hundred bytes. Such a request is read here, without hyper, which would take half of the time that a signature
//! costs the sidecar. A request that is anything else, or that has not arrived whole, is not judged here: all that was
//! read goes to hyper, which serves the connection from then on.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsRawFd as _;
use std::pin::pin;
use std::task::Poll;

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::Instant;

mod answer;
mod asked;

use asked::Asked;

use super::drain::Draining;
use super::pace::Pace;
use crate::Sidecar;
use crate::routes;
use crate::together::together;

/// What is read at once, and so the longest request that goes this way.
const ROOM: usize = 4 * 1024;

/// How it ends.
#[derive(Debug)]
pub(super) enum Left {
    /// The connection is at its end.
    Ended,
    /// These bytes are read and for somebody else to judge.
    Over(Vec<u8>),
}

/// Serves requests to sign from a client that may have everything signed.
pub(super) async fn serve(socket: &mut UnixStream, sidecar: &Sidecar, pace: &Pace, draining: &Draining) -> Left {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    loop {
        input.reserve(ROOM);
        match socket.read_buf(&mut input).await {
            Ok(1..) => {}
            Ok(0) => return Left::Ended,
            Err(error) => return ended_early(&error),
        }
        let mut rest = &input[..];
        while !rest.is_empty() {
            let Some((Asked { kind, body }, behind)) = Asked::read(rest) else { return Left::Over(rest.to_vec()) };
            pace.serving();
            let signing = routes::sign(sidecar, kind, body, Instant::now());
            let Some((outcome, ended)) = unless_left(socket, signing).await else { return Left::Ended };
            together().await;
            let last = draining.has_begun() || outcome.as_ref().is_err_and(|problem| problem.close);
            answer::write(&mut output, outcome, ended, last);
            if let Err(error) = write(socket, &output, pace).await {
                return ended_early(&error);
            }
            pace.answered_at(ended);
            if last {
                return Left::Ended;
            }
            rest = behind;
        }
        input.clear();
    }
}

fn ended_early(error: &io::Error) -> Left {
    tracing::debug!(%error, "a connection ended early");
    Left::Ended
}

async fn write(socket: &UnixStream, mut rest: &[u8], pace: &Pace) -> io::Result<()> {
    while !rest.is_empty() {
        match socket.try_write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pace.answering();
                socket.writable().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The outcome of `work`; `None` where the client leaves before there is one. One that has sent its next request already
/// is there.
async fn unless_left<T>(socket: &UnixStream, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut may_leave = true;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if may_leave && socket.poll_read_ready(cx).is_ready() {
            let peeked = recv(socket.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
            if peeked == Ok(0) {
                return Poll::Ready(None);
            }
            may_leave = false;
        }
        Poll::Pending
    })
    .await
}
