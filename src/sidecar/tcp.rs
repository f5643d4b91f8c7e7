//! TCP, plain or under TLS, as hyper reads it.
//!
//! The command line uses it, the verifier does not: nothing here says which process answered.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const CHUNK: usize = 16 * 1024;

/// A stream of tokio's.
pub(crate) struct Tcp<S> {
    stream: S,
    chunk: Box<[u8; CHUNK]>,
}

impl<S> Tcp<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, chunk: Box::new([0; CHUNK]) }
    }
}

/// Connects.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A request goes out in two writes, head and body; the second must not wait for an acknowledgement of the first.
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl<S: AsyncRead + Unpin> Read for Tcp<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, chunk } = &mut *self;
        let limit = buffer.remaining().min(CHUNK);
        // Through a buffer of our own: to read straight into hyper's takes unsafe code.
        let mut read = ReadBuf::new(&mut chunk[..limit]);
        ready!(Pin::new(stream).poll_read(context, &mut read))?;
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Tcp<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
