//! Whether a connection gets on.
//!
//! hyper's own limit on reading a head also runs while a kept connection waits for its next request, and it arms a
//! timer for each request. Here one timer for a whole connection looks now and then at a word that says what the
//! connection is doing and since when.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::config::Limits;

const IDLE: u64 = 0;
const HEAD: u64 = 1;
const SERVING: u64 = 2;
const ANSWERING: u64 = 3;

/// What a connection is doing, and since when: milliseconds since it was opened, times four, plus one of the
/// constants above. Only the connection's own task reads and writes it, so the order is that of the program.
pub(super) struct Pace {
    opened: Instant,
    now: AtomicU64,
}

impl Pace {
    pub(super) fn start() -> Self {
        Self { opened: Instant::now(), now: AtomicU64::new(IDLE) }
    }

    /// A request's head is whole; its own deadline holds now.
    pub(super) fn serving(&self) {
        self.now.store(SERVING, Ordering::Relaxed);
    }

    /// An answer is on its way, and the client takes its time to read it.
    pub(super) fn answering(&self) {
        self.set(ANSWERING, Instant::now());
    }

    /// A request is answered.
    pub(super) fn answered(&self) {
        self.answered_at(Instant::now());
    }

    pub(super) fn answered_at(&self, now: Instant) {
        self.set(IDLE, now);
    }

    /// Whether no byte of a request has arrived since the last answer was made. That answer may still be on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.now.load(Ordering::Relaxed) & 3 == IDLE
    }

    fn bytes_arrived(&self) {
        if self.is_idle() {
            self.set(HEAD, Instant::now());
        }
    }

    fn set(&self, what: u64, now: Instant) {
        let since = now.saturating_duration_since(self.opened);
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX >> 2);
        self.now.store(since << 2 | what, Ordering::Relaxed);
    }

    /// When the connection is to be closed if it goes on like this, or, while a request is served, to be looked at
    /// again.
    pub(super) fn due(&self, limits: &Limits) -> Instant {
        let now = self.now.load(Ordering::Relaxed);
        let since = self.opened + Duration::from_millis(now >> 2);
        match now & 3 {
            SERVING => Instant::now() + limits.head,
            HEAD => since + limits.head,
            // Idle, or answering: either waits for the client.
            _ => since + limits.idle,
        }
    }

    /// The latest moment to look at [`Pace::due`] again: a head may begin right after a look.
    pub(super) fn look_again(&self, limits: &Limits) -> Instant {
        self.due(limits).min(Instant::now() + limits.head)
    }
}

/// A stream that tells its pace when bytes arrive.
pub(super) struct Paced<S> {
    pub(super) stream: S,
    pub(super) pace: Arc<Pace>,
    /// What arrived before, and is read first.
    pub(super) before: Vec<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let taken = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before[..taken]);
            self.before.drain(..taken);
            self.pace.bytes_arrived();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.bytes_arrived();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
