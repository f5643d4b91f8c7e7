//! Calls to the signer over connections that are kept open.
//!
//! # What is sent twice, and what is not
//! Nothing that may have reached the signer is sent a second time: a signature that slashing protection counts
//! must not be asked for twice, and only the client knows whether it still wants it. An idle connection that the
//! signer has closed is another matter:
//!
//! * Before a kept connection is used, whatever arrived on it meanwhile is read, so a close that has arrived is seen
//!   and the next connection is taken. (What has arrived is known without asking the kernel: the event that brought
//!   the client's request came out of the same epoll, behind that of the close.)
//! * Should the close arrive between that look and the hand-over, hyper gives the request back whole, and it goes
//!   out on another connection.
//! * Once hyper has begun to write, a failure is reported as `signer_broke_off` and left to the client. To keep that
//!   last window from mattering, a connection idle for 15 s, half of Web3Signer's own limit, is not used again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::SignerError;
use super::link::{ExchangeError, Link, Reply};
use super::url::SignerUrl;
use crate::together::together;

/// How long a connection is kept without use.
const KEPT: Duration = Duration::from_secs(15);
/// How many are kept.
const MOST_KEPT: usize = 256;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What to ask.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// From the base URL on; only characters that may stand in a path.
    pub(super) path: &'a str,
    pub(super) body: Bytes,
    /// The longest answer that makes sense, in bytes.
    pub(super) limit: usize,
    pub(super) deadline: Instant,
}

/// The signer's HTTP client.
pub(super) struct Client {
    url: SignerUrl,
    connect: Duration,
    /// Newest last, so that the ones that are not needed grow old.
    kept: Mutex<Vec<(Link, Instant)>>,
}

impl Client {
    pub(super) fn new(url: SignerUrl, connect: Duration) -> Self {
        Self { url, connect, kept: Mutex::new(Vec::new()) }
    }

    pub(super) fn url(&self) -> &SignerUrl {
        &self.url
    }

    /// Asks, and reads the whole answer. 200 and 201 are answers; every other status is an error.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Reply, SignerError> {
        let (limit, deadline) = (call.limit, call.deadline);
        timeout_at(deadline, self.send(self.request(call)?, limit)).await.unwrap_or(Err(SignerError::TimedOut))
    }

    async fn send(&self, mut request: Request<Full<Bytes>>, limit: usize) -> Result<Reply, SignerError> {
        // Before the look at a kept connection, which has to be fresh when the request goes out.
        together().await;
        loop {
            let kept = self.take();
            let fresh = kept.is_none();
            let mut link = match kept {
                Some(link) => link,
                None => self.open().await?,
            };
            match link.exchange(request, limit).await {
                Ok(reply) => {
                    self.keep(link);
                    return Ok(reply);
                }
                // A new connection that ends before it takes a request is a signer that is not serving.
                Err(ExchangeError::NotSent(_)) if fresh => {
                    return Err(SignerError::Unavailable(std::io::ErrorKind::ConnectionReset.into()));
                }
                Err(ExchangeError::NotSent(unsent)) => request = *unsent,
                Err(ExchangeError::Failed(error)) => {
                    // An error status is a whole answer: the connection is as good as before.
                    if matches!(error, SignerError::Status(..)) {
                        self.keep(link);
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn open(&self) -> Result<Link, SignerError> {
        timeout(self.connect, Link::open(self.url.endpoint()))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(SignerError::Unavailable)
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Full<Bytes>>, SignerError> {
        let mut path = String::with_capacity(self.url.base().len() + call.path.len());
        path.push_str(self.url.base());
        path.push_str(call.path);
        let mut request = Request::builder()
            .method(call.method)
            .uri(path)
            .header(HOST, self.url.authority())
            // Without it, eth2/sign answers bare text. eth1/sign answers text whatever is asked for.
            .header(ACCEPT, JSON);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        // Every part was checked before: this cannot fail, and a bug here must not be a panic in a signing path.
        request.body(Full::new(call.body)).map_err(|_| SignerError::Nonsense("a path that HTTP can carry"))
    }

    fn take(&self) -> Option<Link> {
        loop {
            let (mut link, since) = self.lock().pop()?;
            if since.elapsed() < KEPT && link.is_open() {
                return Some(link);
            }
        }
    }

    fn keep(&self, link: Link) {
        let mut kept = self.lock();
        if kept.len() < MOST_KEPT {
            kept.push((link, Instant::now()));
        }
    }

    /// Closes what has not been used for long. To be called now and then.
    pub(super) fn close_idle(&self) {
        let mut kept = self.lock();
        let young = kept.partition_point(|(_, since)| since.elapsed() >= KEPT);
        let old: Vec<_> = kept.drain(..young).collect();
        drop(kept);
        drop(old);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Link, Instant)>> {
        // The list is whole between any two statements, so a panic elsewhere has not spoilt it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
