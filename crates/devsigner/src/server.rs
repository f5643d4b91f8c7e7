//! HTTP/1.1 on a loopback address.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::options::Options;
use crate::routes::App;
use crate::store::Store;

/// How long a client may take to send a request's headers, and so also how long a connection may be idle.
/// Web3Signer's default is the same.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a request's head is read at all. What stock allows is less, and is counted once the head is there:
/// [`crate::routes`].
const MAX_HEAD: usize = 64 * 1024;
/// How many connections are served at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long requests under way may take to finish once the signer is told to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait when the system is out of file descriptors or memory, instead of asking without end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the signer could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Whoever reaches the signer can sign, so only this machine may.
    #[error("refuse to listen on {0}: a development signer listens on loopback only")]
    NotLoopback(SocketAddr),
    /// The address could not be taken.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A server that listens: from here on, connections queue.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
}

impl Server {
    /// Listens on a loopback address; port 0 takes any free one. It serves both kinds of key and every extension: for
    /// tests that are not about the signer.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(address: SocketAddr, store: Store) -> Result<Self, ServeError> {
        Self::bind_with(address, store, Options::everything()).await
    }

    /// The same with options of its own. The store must have been opened with the same ones.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind_with(address: SocketAddr, store: Store, options: Options) -> Result<Self, ServeError> {
        check(address)?;
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, app: Arc::new(App::new(store, options)) })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then lets requests under way finish, within five seconds.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let http = http();
        loop {
            let accept = async {
                let place = Arc::clone(&room).acquire_owned().await;
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let connection = graceful.watch(connection(&http, stream, Arc::clone(&self.app)));
            tokio::spawn(async move {
                // What a client does to its own connection is its own affair: there is nobody to tell.
                let _ = connection.await;
                drop(place);
            });
        }
        // Whoever connects from now on is refused at once, rather than left in the queue.
        drop(self.listener);
        let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
    }
}

/// Whether an address may be listened on.
///
/// # Errors
/// [`ServeError::NotLoopback`].
pub fn check(address: SocketAddr) -> Result<(), ServeError> {
    if address.ip().is_loopback() { Ok(()) } else { Err(ServeError::NotLoopback(address)) }
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_HEAD);
    http
}

fn connection(
    http: &http1::Builder,
    stream: TcpStream,
    app: Arc<App>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + use<> {
    // An answer is one small write, and the client waits for it. Failing costs milliseconds, not correctness.
    let _ = stream.set_nodelay(true);
    http.serve_connection(
        TokioIo::new(stream),
        service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { app.answer(request).await }
        }),
    )
}
