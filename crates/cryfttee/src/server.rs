//! Accepting, admitting, draining.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

mod accept;
mod bell;
mod connection;
mod drain;
mod pace;
mod short;

use accept::{Accept, TlsListener};
use drain::{Drain, Draining};

use crate::access::{Rights, Who};
use crate::client::{self, Client};
use crate::crew::Crew;
use crate::guard::Guard;
use crate::listen::{Listener, Listeners, Role, Socket};
use crate::{Protection, Sidecar};

/// How often idle connections to the signer are looked through.
const TIDY: Duration = Duration::from_secs(15);
/// The pause after the system had no descriptor or memory for a new connection: long enough not to spin, short
/// enough that a waiting client does not notice.
const SHORTAGE: Duration = Duration::from_millis(100);

/// A listener could not be handed to the runtime.
#[derive(Debug, thiserror::Error)]
#[error("watch the listener {0}")]
pub struct ServeError(String, #[source] io::Error);

/// Serves until `stop` is done; then takes no new connection, gives every open one a moment for one more request,
/// lets requests in flight finish for as long as the limits allow, and returns.
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
    let (drain, draining) = Drain::new(limits);
    let places = Places::new(limits.api_connections, limits.control_connections);
    let crew = Arc::new(Crew::default());

    if !listeners.all.iter().any(|listener| listener.role == Role::Control) {
        sidecar.gate().open();
    }
    let mut accepting = JoinSet::new();
    for Listener { role, socket } in listeners.all {
        let door = Door {
            role,
            places: places.of(role),
            owner: socket.owner(),
            sidecar: Arc::clone(&sidecar),
            draining: draining.clone(),
            crew: Arc::clone(&crew),
        };
        let address = socket.address();
        let cannot = |source| ServeError(address.clone(), source);
        match socket {
            Socket::Unix(socket) => {
                let socket = UnixListener::from_std(socket).map_err(cannot)?;
                accepting.spawn(door.keep(socket, address));
            }
            Socket::Tcp(socket) => {
                let socket = TcpListener::from_std(socket).map_err(cannot)?;
                match &sidecar.protection().tls {
                    Some(tls) => {
                        let address = address.replacen("tcp:", "https://", 1);
                        accepting.spawn(door.keep(TlsListener { socket, tls: tls.clone() }, address));
                    }
                    None => {
                        warn_unencrypted(&socket);
                        accepting.spawn(door.keep(socket, address.replacen("tcp:", "http://", 1)));
                    }
                }
            }
        }
    }
    let tidier = tokio::spawn(tidy(Arc::clone(&sidecar)));

    stop.await;
    tracing::info!("stopping: no new connections; requests in flight have {:?}", limits.drain);
    drain.begin();
    tidier.abort();
    accepting.join_all().await;
    let drained = tokio::time::timeout(limits.drain, places.all_free()).await;
    client::tell_untold(sidecar.denials().take_untold());
    match drained {
        Ok(()) => tracing::info!("stopped: every request in flight was answered"),
        Err(_) => tracing::warn!("stopped: requests still in flight after {:?} are broken off", limits.drain),
    }
    Ok(())
}

fn warn_unencrypted(socket: &TcpListener) {
    if let Ok(address) = socket.local_addr()
        && !address.ip().to_canonical().is_loopback()
    {
        tracing::warn!("{address} is no loopback address, and what is said there is not encrypted: use https");
    }
}

async fn tidy(sidecar: Arc<Sidecar>) {
    loop {
        tokio::time::sleep(TIDY).await;
        sidecar.signer().close_idle();
        client::tell_untold(sidecar.denials().take_untold());
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

/// One listener's side of the server.
struct Door {
    role: Role,
    places: Arc<Semaphore>,
    /// Of the socket file.
    owner: Option<u32>,
    sidecar: Arc<Sidecar>,
    draining: Draining,
    crew: Arc<Crew>,
}

impl Door {
    async fn keep<L: Accept>(self, listener: L, address: String) {
        let mut draining = self.draining.clone();
        tokio::select! {
            biased;
            () = draining.begun() => {}
            // Between an accept and its task there is no await: this drops no connection that was accepted.
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
                Ok(stream) => self.admit(&listener, stream, place),
                Err(error) => self.shortage(&error).await,
            }
        }
    }

    fn admit<L: Accept>(&self, listener: &L, stream: L::Raw, place: OwnedSemaphorePermit) {
        let client = Arc::new(self.recognise::<L>(&stream));
        let greeting = listener.greet(stream);
        let (sidecar, draining) = (Arc::clone(&self.sidecar), self.draining.clone());
        let serving = async move {
            // The place is held through the greeting as well: a client that dawdles over its handshake has one too.
            let _place = place;
            let greeted = tokio::select! {
                biased;
                greeted = tokio::time::timeout(sidecar.limits().head, greeting) => greeted,
                () = draining.clone().lingered() => return,
            };
            match greeted {
                Ok(Ok(stream)) => connection::serve::<L>(stream, client, sidecar, draining).await,
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a connection was closed: its handshake took too long"),
            }
        };
        match self.role {
            Role::Api => self.crew.serve(serving),
            Role::Control => drop(tokio::spawn(serving)),
        }
    }

    /// Decides what the client may do, for as long as it is connected.
    fn recognise<L: Accept>(&self, stream: &L::Raw) -> Client {
        let Protection { access, host, .. } = self.sidecar.protection();
        if self.role == Role::Control {
            return Client::new(self.role, Who::Unknown, Rights::ALL, None);
        }
        let who = L::who(stream, access.asks_for_groups());
        let rights = access.judge(&who, self.owner);
        let guard =
            matches!(who, Who::Tcp(_)).then(|| Guard { configured: Arc::clone(host), arrived: L::arrived(stream) });
        Client::new(self.role, who, rights, guard)
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
