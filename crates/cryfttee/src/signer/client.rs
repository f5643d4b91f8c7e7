//! Calls to the signer over connections that are kept open.
//!
//! # What is sent twice, and what is not
//! Nothing that may have reached the signer is sent a second time: a signature that slashing protection counts
//! must not be asked for twice, and only the client knows whether it still wants it. An idle connection that the
//! signer has closed is another matter:
//!
//! * Before a kept connection is used, it is looked whether anything arrived on it meanwhile, so a close that has
//!   arrived is seen and the next connection is taken. (What has arrived is known without asking the kernel: the event
//!   that brought the client's request came out of the same epoll, behind that of the close. Each thread has its own, and
//!   so it has connections of its own.)
//! * Should the close arrive between that look and the first write, the kernel takes not one byte, and the request goes
//!   out on another connection.
//! * Once the kernel has taken a byte, a failure is reported as `signer_broke_off` and left to the client. To keep that
//!   last window from mattering, a connection idle for 15 s, half of Web3Signer's own limit, is not used again.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::error::SignerError;
use super::link::{ExchangeError, Link};
use super::reply::Reply;
use super::route::Route;
use super::url::SignerUrl;
use crate::crew::{THREADS, here};
use crate::together::together;

/// How long a connection is kept without use.
const KEPT: Duration = Duration::from_secs(15);
/// How many are kept for each thread.
const MOST_KEPT: usize = 256;

/// The longest body that is copied behind its head, so that both are one write. A longer one is not copied.
const COPIED: usize = 16 * 1024;

/// What to ask.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    /// Says in which form the answer is asked for.
    pub(super) route: Route,
    /// From the base URL on; only characters that may stand in a path.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    /// The longest answer that makes sense, in bytes.
    pub(super) limit: usize,
    pub(super) deadline: Instant,
}

/// The signer's HTTP client.
pub(super) struct Client {
    url: SignerUrl,
    connect: Duration,
    /// What stands in every head, up to the form that is accepted.
    about: String,
    /// Those of each thread. Newest last, so that the ones that are not needed grow old.
    kept: [Mutex<Vec<(Link, Instant)>>; THREADS],
}

impl Client {
    pub(super) fn new(url: SignerUrl, connect: Duration) -> Self {
        let about = format!(" HTTP/1.1\r\nhost: {}\r\naccept: ", url.authority());
        Self { url, connect, about, kept: Default::default() }
    }

    pub(super) fn url(&self) -> &SignerUrl {
        &self.url
    }

    /// Asks, and reads the whole answer. 200 and 201 are answers; every other status is an error.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, SignerError> {
        let copied = call.body.len() <= COPIED;
        let mut head = self.head(&call, "", if copied { call.body.len() } else { 0 });
        if copied {
            head.extend_from_slice(call.body);
        }
        self.send([&head[..], if copied { &[] } else { call.body }], call.limit, call.deadline).await
    }

    /// Asks over a connection of its own, which is closed afterwards. The body goes to the kernel from where it is:
    /// nothing of it is copied, and nothing of the connection stays.
    pub(super) async fn call_apart(&self, call: Call<'_>) -> Result<Vec<u8>, SignerError> {
        let head = self.head(&call, "connection: close\r\n", 0);
        let mut link = self.open(call.deadline).await?;
        meant(link.exchange([&head, call.body], call.limit, call.deadline).await.map_err(unsent)?)
    }

    async fn send(&self, request: [&[u8]; 2], limit: usize, deadline: Instant) -> Result<Vec<u8>, SignerError> {
        // Before the look at a kept connection, which has to be fresh when the request goes out.
        together().await;
        loop {
            let kept = self.take();
            let fresh = kept.is_none();
            let mut link = match kept {
                Some(link) => link,
                None => self.open(deadline).await?,
            };
            match link.exchange(request, limit, deadline).await {
                Ok(reply) => {
                    // An error status is a whole answer: the connection is as good as before.
                    if reply.reusable {
                        self.keep(link);
                    }
                    return meant(reply);
                }
                Err(ExchangeError::NotSent) if !fresh => {}
                Err(error) => return Err(unsent(error)),
            }
        }
    }

    async fn open(&self, deadline: Instant) -> Result<Link, SignerError> {
        let patience = Instant::now() + self.connect;
        match timeout_at(patience.min(deadline), Link::open(self.url.endpoint())).await {
            Ok(opened) => opened,
            Err(_) if deadline <= patience => Err(SignerError::TimedOut),
            Err(_) => Err(SignerError::Unavailable(std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// The head of a request, with `room` for what goes out behind it. Every part was checked before: a URL has no
    /// character that could end its line.
    fn head(&self, call: &Call<'_>, more: &str, room: usize) -> Vec<u8> {
        let mut head = Vec::with_capacity(160 + self.about.len() + call.path.len() + more.len() + room);
        for part in [call.method, " ", self.url.base(), call.path, &self.about, call.route.accept(), "\r\n", more] {
            head.extend_from_slice(part.as_bytes());
        }
        if !call.body.is_empty() {
            head.extend_from_slice(b"content-type: application/json\r\ncontent-length: ");
            // Writing to memory cannot fail.
            let _ = write!(head, "{}\r\n", call.body.len());
        } else if call.method == "POST" {
            head.extend_from_slice(b"content-length: 0\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    fn take(&self) -> Option<Link> {
        loop {
            let (link, since) = lock(self.kept_here()).pop()?;
            if since.elapsed() < KEPT && link.is_open() {
                return Some(link);
            }
        }
    }

    fn keep(&self, link: Link) {
        let mut kept = lock(self.kept_here());
        if kept.len() < MOST_KEPT {
            kept.push((link, Instant::now()));
        }
    }

    /// Closes what has not been used for long. To be called now and then.
    pub(super) fn close_idle(&self) {
        for kept in &self.kept {
            let mut kept = lock(kept);
            let young = kept.partition_point(|(_, since)| since.elapsed() >= KEPT);
            let old: Vec<_> = kept.drain(..young).collect();
            drop(kept);
            drop(old);
        }
    }

    fn kept_here(&self) -> &Mutex<Vec<(Link, Instant)>> {
        &self.kept[here()]
    }
}

fn lock(kept: &Mutex<Vec<(Link, Instant)>>) -> MutexGuard<'_, Vec<(Link, Instant)>> {
    // The list is whole between any two statements, so a panic elsewhere has not spoilt it.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 200 and 201 did what was asked. Any other status is an error with the start of what the signer said.
fn meant(reply: Reply) -> Result<Vec<u8>, SignerError> {
    if reply.is_success() {
        return Ok(reply.body);
    }
    let status = StatusCode::from_u16(reply.status).map_err(|_| SignerError::Nonsense("a status of HTTP"))?;
    Err(SignerError::Status(status, String::from_utf8_lossy(&reply.body).into_owned()))
}

/// A new connection that ends before it takes a request is a signer that is not serving.
fn unsent(error: ExchangeError) -> SignerError {
    match error {
        ExchangeError::NotSent => SignerError::Unavailable(std::io::ErrorKind::ConnectionReset.into()),
        ExchangeError::Failed(error) => error,
    }
}
