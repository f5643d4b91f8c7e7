//! One connection to the signer.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, Sleep, sleep_until};

use super::error::SignerError;
use super::reply::{Reading, Reply};

/// What is read at once: more than an answer to a sign has, so that one look tells that nothing is behind it.
const ROOM: usize = 4 * 1024;

/// How an exchange fails.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// The kernel refused the first byte: provably, nothing was sent.
    NotSent,
    /// It failed after that.
    Failed(SignerError),
}

fn loopback(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// A connection that is used by one request at a time. Whoever drops it in an exchange (the client left, the deadline
/// passed) closes it, so that a late answer cannot be taken for that of the next request.
pub(super) struct Link {
    stream: TcpStream,
    /// What has arrived and is not read yet; empty between exchanges.
    input: Vec<u8>,
    /// One timer for all exchanges. It goes off when that of some exchange so far would have, or before.
    deadline: Pin<Box<Sleep>>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// [`SignerError::Unresolved`] is the resolver's, [`SignerError::Unavailable`] that of `connect`.
    pub(super) async fn open(endpoint: (&str, u16)) -> Result<Self, SignerError> {
        let connected = match endpoint {
            // Always loopback (RFC 6761), and so no question for a resolver, which a minimal system cannot answer.
            ("localhost", port) => TcpStream::connect(&loopback(port)[..]).await,
            endpoint => {
                let found: Vec<_> = lookup_host(endpoint).await.map_err(SignerError::Unresolved)?.collect();
                if found.is_empty() {
                    return Err(SignerError::Unresolved(io::ErrorKind::NotFound.into()));
                }
                TcpStream::connect(&found[..]).await
            }
        };
        let stream = connected.map_err(SignerError::Unavailable)?;
        // Requests are one write each; waiting to fill a segment only adds delay.
        stream.set_nodelay(true).map_err(SignerError::Unavailable)?;
        Ok(Self { stream, input: Vec::new(), deadline: Box::pin(sleep_until(Instant::now())) })
    }

    /// Whether a request may be put on this connection: nothing has arrived since the last answer, neither bytes that
    /// nobody asked for nor the end of it.
    pub(super) fn is_open(&self) -> bool {
        let unasked = self.stream.try_read(&mut [0]);
        unasked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request, in these parts, and reads the answer, at most `limit` bytes of its body. The parts go to the
    /// kernel from where they are. The connection may be used again where the answer says so.
    pub(super) async fn exchange(
        &mut self,
        request: [&[u8]; 2],
        limit: usize,
        deadline: Instant,
    ) -> Result<Reply, ExchangeError> {
        let Self { stream, input, deadline: timer } = self;
        // A timer that goes off too early is put off then, which next to no exchange lives to see.
        if timer.is_elapsed() || timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        let mut exchange = pin!(Exchange { stream, input }.run(request, limit));
        loop {
            tokio::select! {
                biased;
                done = &mut exchange => return done,
                () = timer.as_mut() => {}
            }
            if Instant::now() >= deadline {
                return Err(ExchangeError::Failed(SignerError::TimedOut));
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// An exchange under way.
struct Exchange<'a> {
    stream: &'a mut TcpStream,
    input: &'a mut Vec<u8>,
}

impl Exchange<'_> {
    async fn run(mut self, request: [&[u8]; 2], limit: usize) -> Result<Reply, ExchangeError> {
        let mut sent = false;
        for mut part in request {
            while !part.is_empty() {
                match self.write(part).await {
                    Ok(count) => part = &part[count..],
                    Err(_) if !sent => return Err(ExchangeError::NotSent),
                    // It may have answered before it closed: 413, say.
                    Err(_) => break,
                }
                sent = true;
            }
        }
        self.answer(limit).await.map_err(ExchangeError::Failed)
    }

    async fn write(&self, part: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.try_write(part) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                done => return done,
            }
        }
    }

    async fn answer(&mut self, limit: usize) -> Result<Reply, SignerError> {
        let mut reading = Reading::new(limit);
        loop {
            self.input.reserve(ROOM);
            let reply = match self.stream.read_buf(self.input).await {
                Ok(1..) => reading.feed(self.input)?,
                // A reset is no end of a body that ends with the connection.
                ended => Some(match (ended, reading.refusal()) {
                    (_, Some(refusal)) => refusal,
                    (Ok(_), None) => {
                        reading.end().ok_or_else(|| SignerError::BrokeOff(io::ErrorKind::UnexpectedEof.into()))?
                    }
                    (Err(cause), None) => return Err(SignerError::BrokeOff(cause)),
                }),
            };
            if let Some(reply) = reply {
                return Ok(reply);
            }
        }
    }
}
