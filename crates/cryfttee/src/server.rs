//! Accepting, admitting, draining.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

mod connection;
mod pace;

use crate::Sidecar;
use crate::listen::{Listener, Listeners, Role, Socket};

/// How often idle connections to the signer are looked through.
const TIDY: Duration = Duration::from_secs(15);
/// The pause after the system had no descriptor or memory for a new connection: long enough not to spin, short
/// enough that a waiting client does not notice.
const SHORTAGE: Duration = Duration::from_millis(100);

/// A listener could not be handed to the runtime.
#[derive(Debug, thiserror::Error)]
#[error("watch the listener {0}")]
pub struct ServeError(String, #[source] io::Error);

/// Serves until `stop` is done; then takes no new connection, lets requests in flight finish for as long as the
/// limits allow, and returns.
///
/// Where a `control` listener is among them, `api` listeners are accepted from only once the sidecar is admitted;
/// until then their clients wait in the kernel's queue.
///
/// # Errors
/// [`ServeError`] before anything is served.
pub async fn serve(
    listeners: Listeners,
    sidecar: Arc<Sidecar>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    // Dropped last: the socket file goes when nobody listens on it any more.
    let _file = listeners.file;
    let limits = sidecar.limits();
    let (drain, draining) = watch::channel(false);
    let places = Places::new(limits.api_connections, limits.control_connections);

    if !listeners.all.iter().any(|listener| listener.role == Role::Control) {
        sidecar.gate().open();
    }
    let mut accepting = JoinSet::new();
    for Listener { role, socket } in listeners.all {
        let door = Door { role, places: places.of(role), sidecar: Arc::clone(&sidecar), draining: draining.clone() };
        let address = socket.address();
        let cannot = |source| ServeError(address.clone(), source);
        match socket {
            Socket::Unix(socket) => {
                let socket = UnixListener::from_std(socket).map_err(cannot)?;
                accepting.spawn(door.keep(socket, address));
            }
            Socket::Tcp(socket) => {
                let socket = TcpListener::from_std(socket).map_err(cannot)?;
                accepting.spawn(door.keep(socket, address));
            }
        }
    }
    let tidier = tokio::spawn(tidy(Arc::clone(&sidecar)));

    stop.await;
    tracing::info!("stopping: no new connections; requests in flight have {:?}", limits.drain);
    drain.send_replace(true);
    tidier.abort();
    accepting.join_all().await;
    match tokio::time::timeout(limits.drain, places.all_free()).await {
        Ok(()) => tracing::info!("stopped: every request in flight was answered"),
        Err(_) => tracing::warn!("stopped: requests still in flight after {:?} are broken off", limits.drain),
    }
    Ok(())
}

async fn tidy(sidecar: Arc<Sidecar>) {
    loop {
        tokio::time::sleep(TIDY).await;
        sidecar.signer().close_idle();
    }
}

/// The places for connections, which also tell when the last one has ended.
struct Places {
    api: (Arc<Semaphore>, u32),
    control: (Arc<Semaphore>, u32),
}

impl Places {
    fn new(api: u32, control: u32) -> Self {
        let places = |count: u32| (Arc::new(Semaphore::new(count as usize)), count);
        Self { api: places(api), control: places(control) }
    }

    fn of(&self, role: Role) -> Arc<Semaphore> {
        Arc::clone(match role {
            Role::Api => &self.api.0,
            Role::Control => &self.control.0,
        })
    }

    async fn all_free(&self) {
        for (places, count) in [&self.api, &self.control] {
            // The semaphores are never closed, so that this returns means that every place is free.
            let _ = places.acquire_many(*count).await;
        }
    }
}

/// A listener's stream type; TCP and unix sockets differ in this and in nothing else.
trait Accept: Send + Sync + 'static {
    type Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Answers are one write each. A socket that refuses the option is gone already, as its first read says.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// One listener's side of the server.
struct Door {
    role: Role,
    places: Arc<Semaphore>,
    sidecar: Arc<Sidecar>,
    draining: watch::Receiver<bool>,
}

impl Door {
    async fn keep<L: Accept>(self, listener: L, address: String) {
        let mut draining = self.draining.clone();
        tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => {}
            () = self.admit_all(listener, address) => {}
        }
    }

    async fn admit_all<L: Accept>(&self, listener: L, address: String) {
        if self.role == Role::Api {
            self.sidecar.gate().opened().await;
        }
        tracing::info!("ready: serving {} on {address}", self.role);
        loop {
            // The place first: a client without one waits in the kernel's queue, which costs nothing here.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            match listener.next().await {
                Ok(stream) => self.admit(stream, place),
                Err(error) => self.shortage(&error).await,
            }
        }
    }

    fn admit<S>(&self, stream: S, place: OwnedSemaphorePermit)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let serving = connection::serve(stream, self.role, Arc::clone(&self.sidecar), self.draining.clone());
        tokio::spawn(async move {
            serving.await;
            drop(place);
        });
    }

    /// A client that left before it was accepted is nobody's business. Anything else is a shortage that passes, and
    /// that is no reason to stop serving the connections that are open.
    async fn shortage(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
            return;
        }
        tracing::warn!(%error, "accept on {} failed; trying again", self.role);
        tokio::time::sleep(SHORTAGE).await;
    }
}
