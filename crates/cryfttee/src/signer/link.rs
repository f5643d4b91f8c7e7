//! One connection to the signer.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::error::SignerError;
use crate::body::Whole;

type Outgoing = Request<Full<Bytes>>;
type Driver = Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// The start of an error's text that is kept.
const ERROR_TEXT: usize = 4 * 1024;
/// Heads of answers are a few hundred bytes; what does not fit is not Web3Signer.
const READ_BUFFER: usize = 64 * 1024;

/// An answer that did what was asked, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Bytes,
}

/// How an exchange fails.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// The connection was gone before it took the request, which is given back: provably, not one byte was sent.
    NotSent(Box<Outgoing>),
    /// It failed after that.
    Failed(SignerError),
}

fn loopback(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// A connection that is driven by whoever uses it: hyper's connection future is polled in the task of the request,
/// not in one of its own. That saves two task switches for each request, and it means that dropping an exchange
/// (the client left, the deadline passed) closes the connection, so that a late answer cannot be taken for that of
/// the next request.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// None once it has ended.
    connection: Option<Pin<Box<Driver>>>,
}

impl Link {
    /// Connects. Errors are those of the resolver and of `connect`.
    pub(super) async fn open(endpoint: (&str, u16)) -> io::Result<Self> {
        let stream = match endpoint {
            // Always loopback (RFC 6761), and so no question for a resolver, which a minimal system cannot answer.
            ("localhost", port) => TcpStream::connect(&loopback(port)[..]).await?,
            endpoint => TcpStream::connect(endpoint).await?,
        };
        // Requests are one write each; waiting to fill a segment only adds delay.
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            // Cheaper for requests of a few hundred bytes.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self { sender, connection: Some(Box::pin(connection)) })
    }

    /// Whether a request may be put on this connection: reads what the signer has sent since the last answer,
    /// which is nothing on a good connection and an end of file on one that it closed.
    pub(super) fn is_open(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Sends a request and reads the answer, at most `limit` bytes of its body.
    pub(super) async fn exchange(&mut self, request: Outgoing, limit: usize) -> Result<Reply, ExchangeError> {
        let sent = self.sender.try_send_request(request);
        let response = self.driving(sent).await.map_err(|mut error| match error.take_message() {
            Some(request) => ExchangeError::NotSent(Box::new(request)),
            None => ExchangeError::Failed(failure(error.into_error())),
        })?;
        self.read(response, limit).await.map_err(ExchangeError::Failed)
    }

    async fn read(&mut self, response: Response<Incoming>, limit: usize) -> Result<Reply, SignerError> {
        let status = response.status();
        let mut body = response.into_body();
        if status != StatusCode::OK && status != StatusCode::CREATED {
            let text = self.read_error(&mut body).await;
            return Err(SignerError::Status(status, text));
        }
        let too_long = SignerError::TooLong(limit);
        if body.size_hint().lower() > limit as u64 {
            return Err(too_long);
        }
        let mut whole = Whole::default();
        while let Some(frame) = self.driving(body.frame()).await {
            let Ok(data) = frame.map_err(failure)?.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(too_long);
            }
            whole.push(data);
        }
        Ok(Reply { body: whole.into_bytes() })
    }

    /// The start of an error's text. That it cannot be read to its end is no second error: the status says enough.
    async fn read_error(&mut self, body: &mut Incoming) -> String {
        let mut text = Vec::new();
        while let Some(Ok(frame)) = self.driving(body.frame()).await {
            let Ok(data) = frame.into_data() else { continue };
            text.extend_from_slice(&data[..data.len().min(ERROR_TEXT - text.len())]);
            if text.len() == ERROR_TEXT {
                // The rest is still to come on this connection, which therefore cannot be used again.
                self.connection = None;
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits for `step`, and drives the connection meanwhile.
    async fn driving<T>(&mut self, step: impl Future<Output = T>) -> T {
        let mut step = pin!(step);
        poll_fn(|cx| {
            // The step first, so that the connection knows what is wanted of it; then the connection; then what
            // that has brought.
            if let Poll::Ready(done) = step.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            self.drive(cx);
            step.as_mut().poll(cx)
        })
        .await
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.as_mut().poll(cx).is_ready()
        {
            // Its error, if any, has reached the request that it concerns.
            self.connection = None;
        }
    }
}

fn failure(error: hyper::Error) -> SignerError {
    if error.is_parse() || error.is_parse_too_large() {
        SignerError::Nonsense("an answer in HTTP/1.1")
    } else {
        SignerError::BrokeOff(error)
    }
}
