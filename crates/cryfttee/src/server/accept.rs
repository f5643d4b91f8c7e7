//! Listeners of each kind: what comes out of them, who that is, and how it is greeted.

use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpStream as StdTcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdUnixStream;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::access::Who;
use crate::sys;

/// A listener; unix, TCP and TLS differ in this and in nothing else.
pub(super) trait Accept: Send + Sync + 'static {
    /// As it comes out of the queue, before a runtime watches it: that is for the one of the thread that serves it.
    type Raw: Send + 'static;
    /// As requests are read from it.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;

    /// Makes it ready for requests, in the runtime that polls this; where there is a handshake, this is it.
    fn greet(&self, raw: Self::Raw) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static;

    /// The socket itself, where it is a unix one and the short way may be tried on it.
    fn as_unix(stream: Self::Stream) -> Result<UnixStream, Self::Stream> {
        Err(stream)
    }

    /// Who connected; with the supplementary groups where they matter.
    fn who(raw: &Self::Raw, with_groups: bool) -> Who;

    /// The address at which it arrived, on TCP.
    fn arrived(raw: &Self::Raw) -> Option<IpAddr>;
}

impl Accept for UnixListener {
    type Raw = StdUnixStream;
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<StdUnixStream> {
        self.accept().await?.0.into_std()
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would borrow the listener")]
    fn greet(&self, raw: StdUnixStream) -> impl Future<Output = io::Result<UnixStream>> + Send + 'static {
        async { UnixStream::from_std(raw) }
    }

    fn as_unix(stream: UnixStream) -> Result<UnixStream, UnixStream> {
        Ok(stream)
    }

    fn who(raw: &StdUnixStream, with_groups: bool) -> Who {
        let groups = if with_groups { sys::peer_groups(raw.as_fd()) } else { Ok(Vec::new()) };
        let peer = getsockopt(raw, PeerCredentials).map_err(io::Error::from);
        match (peer, groups) {
            (Ok(peer), Ok(groups)) => Who::User { uid: peer.uid(), gid: peer.gid(), groups, pid: Some(peer.pid()) },
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "the kernel does not say who a client is");
                Who::Unknown
            }
        }
    }

    fn arrived(_raw: &StdUnixStream) -> Option<IpAddr> {
        None
    }
}

impl Accept for TcpListener {
    type Raw = StdTcpStream;
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<StdTcpStream> {
        let (stream, _) = self.accept().await?;
        // Answers are one write each. A socket that refuses the option is gone already, as its first read says.
        let _ = stream.set_nodelay(true);
        stream.into_std()
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would borrow the listener")]
    fn greet(&self, raw: StdTcpStream) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        async { TcpStream::from_std(raw) }
    }

    fn who(raw: &StdTcpStream, _with_groups: bool) -> Who {
        raw.peer_addr().map_or(Who::Unknown, Who::Tcp)
    }

    fn arrived(raw: &StdTcpStream) -> Option<IpAddr> {
        raw.local_addr().ok().map(|address| address.ip())
    }
}

/// A TCP listener whose clients speak TLS.
pub(super) struct TlsListener {
    pub(super) socket: TcpListener,
    pub(super) tls: TlsAcceptor,
}

impl Accept for TlsListener {
    type Raw = StdTcpStream;
    type Stream = TlsStream<TcpStream>;

    async fn next(&self) -> io::Result<StdTcpStream> {
        self.socket.next().await
    }

    fn greet(&self, raw: StdTcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        let tls = self.tls.clone();
        async move { tls.accept(TcpStream::from_std(raw)?).await }
    }

    fn who(raw: &StdTcpStream, with_groups: bool) -> Who {
        TcpListener::who(raw, with_groups)
    }

    fn arrived(raw: &StdTcpStream) -> Option<IpAddr> {
        TcpListener::arrived(raw)
    }
}
