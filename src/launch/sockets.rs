//! The two listening sockets: the public one, which systemd holds, and the private one, which only the
//! verifier can reach.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use contract::exit;
use listenfd::ListenFd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};

use super::Handoff;
use crate::config::{self, Settings, Transport};
use crate::fault::{Fault, Severity};

/// The sockets are not what they must be.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum SocketError {
    #[error(
        "no socket was handed over: start this through systemd (systemctl start cryftgo-tee), or by hand with \
         systemd-socket-activate -l PATH"
    )]
    None,
    #[error("systemd handed over {0} sockets where one is expected: one ListenStream= in cryfttee.socket")]
    Count(usize),
    #[error(
        "descriptor 3 does not fit the transport {kind}: ListenStream= in cryfttee.socket is a path for uds, and an \
         address for http and https"
    )]
    NotStream { kind: &'static str, source: io::Error },
    #[error("descriptor 3 does not listen: Accept=no and ListenStream= are needed in cryfttee.socket")]
    NotListening,
    #[error(
        "the public socket was shut down by a process that had it, and takes no client any more: \
         systemctl restart cryfttee.socket cryftgo-tee"
    )]
    ShutDown,
    #[error("inspect the public socket")]
    Inspect(#[source] io::Error),
    #[error("listen on {addr}")]
    Tcp { addr: SocketAddr, source: io::Error },
    #[error("make the folder {path} of the private socket", path = path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the folder {path} of the private socket must belong to this user, and nobody else may write to it", path = path.display())]
    OpenFolder { path: PathBuf },
    #[error("the private socket {path} is not closed to others (0600)", path = path.display())]
    OpenSocket { path: PathBuf },
    #[error("listen on the private socket {path}", path = path.display())]
    Control { path: PathBuf, source: io::Error },
}

impl Fault for SocketError {
    /// What systemd handed over is configuration, the rest may pass.
    fn exit_code(&self) -> u8 {
        match self {
            Self::None
            | Self::Count(_)
            | Self::NotStream { .. }
            | Self::NotListening
            | Self::OpenFolder { .. }
            | Self::OpenSocket { .. } => exit::CONFIG,
            Self::ShutDown => exit::UNAVAILABLE,
            Self::Inspect(_) | Self::Tcp { .. } | Self::Folder { .. } | Self::Control { .. } => exit::IO,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::None
            | Self::Count(_)
            | Self::NotStream { .. }
            | Self::NotListening
            | Self::ShutDown
            | Self::Inspect(_)
            | Self::Tcp { .. }
            | Self::Folder { .. }
            | Self::OpenFolder { .. }
            | Self::OpenSocket { .. }
            | Self::Control { .. } => Severity::Slip,
        }
    }
}

/// What systemd handed over. Taken in `main`, before there are threads: the protocol's variables are removed
/// from the environment.
pub struct Inherited {
    fds: ListenFd,
}

impl Inherited {
    /// Takes the descriptors that are meant for this process.
    pub fn take() -> Self {
        // The crate takes a missing LISTEN_PID for ours; the protocol does not.
        let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        Self { fds: if ours { ListenFd::from_env() } else { ListenFd::empty() } }
    }
}

impl Inherited {
    /// The one TCP socket of a service that only answers.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn into_tcp(mut self) -> Result<TcpListener, SocketError> {
        match self.fds.len() {
            0 => return Err(SocketError::None),
            1 => {}
            count => return Err(SocketError::Count(count)),
        }
        let taken = self.fds.take_tcp_listener(0);
        let socket = taken.map_err(|source| SocketError::NotStream { kind: "http", source })?;
        listening(socket.ok_or(SocketError::None)?)
    }
}

/// Which of two sidecars a private socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The only one.
    First,
    /// The one that is launched beside another, to take its place.
    Beside,
}

/// Both sockets, held as long as the verifier lives: while a sidecar is replaced, clients wait in their queue.
#[derive(Debug)]
pub struct Sockets {
    api: OwnedFd,
    control: Option<UnixListener>,
    handoff: config::Handoff,
    attested_at: PathBuf,
}

impl Sockets {
    /// Checks the public socket.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn open(inherited: Inherited, settings: &Settings) -> Result<Self, SocketError> {
        let api = public(inherited, settings)?;
        let attested_at = match settings.handoff {
            config::Handoff::Inherit => settings.control_socket.clone(),
            config::Handoff::InheritPlain => settings.socket.clone(),
        };
        Ok(Self { api, control: None, handoff: settings.handoff, attested_at })
    }

    /// What a child inherits. The private socket is made anew for each: a listener is shared with whoever
    /// inherited it, and an earlier sidecar could have shut it down.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn handoff(&mut self, place: Place) -> Result<Handoff<'_>, SocketError> {
        if self.is_shut_down().map_err(SocketError::Inspect)? {
            return Err(SocketError::ShutDown);
        }
        if self.gated() {
            self.control = Some(private(&self.attested_at(place))?);
        }
        Ok(Handoff { api: self.api.as_fd(), control: self.control.as_ref().map(AsFd::as_fd) })
    }

    /// Where the verifier connects to: the private socket where there is one.
    pub fn attested_at(&self, place: Place) -> PathBuf {
        match place {
            Place::Beside if self.gated() => self.attested_at.with_added_extension("new"),
            Place::First | Place::Beside => self.attested_at.clone(),
        }
    }

    /// Gives the private socket of the sidecar beside the other one the place of the other's.
    ///
    /// # Errors
    /// [`SocketError::Control`].
    pub fn promote(&self) -> Result<(), SocketError> {
        if !self.gated() {
            return Ok(());
        }
        let (from, to) = (self.attested_at(Place::Beside), &self.attested_at);
        fs::rename(from, to).map_err(|source| SocketError::Control { path: to.clone(), source })
    }

    /// Whether the public socket still listens. A process that inherited it can shut it down for everybody; then no
    /// client is ever accepted again, by whomever.
    ///
    /// # Errors
    /// What `poll(2)` reports.
    pub fn is_shut_down(&self) -> io::Result<bool> {
        // One direction is enough: clients are refused then. nix has no name for that event.
        let half = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut polled = [PollFd::new(self.api.as_fd(), half)];
        // A hang-up and an error are told unasked. A client that waits is not asked for, so that any event is a bad one.
        Ok(poll(&mut polled, PollTimeout::ZERO)? > 0)
    }

    /// Whether the sidecar waits to be admitted before it accepts clients.
    pub fn gated(&self) -> bool {
        self.handoff == config::Handoff::Inherit
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if self.control.is_some() {
            let _ = fs::remove_file(&self.attested_at);
            let _ = fs::remove_file(self.attested_at(Place::Beside));
        }
    }
}

fn public(inherited: Inherited, settings: &Settings) -> Result<OwnedFd, SocketError> {
    let mut fds = inherited.fds;
    match fds.len() {
        // systemd need not own a TCP address: nobody can put another socket in its place.
        0 if settings.transport != Transport::Uds => {
            let addr = settings.http_addr;
            return TcpListener::bind(addr).map(OwnedFd::from).map_err(|source| SocketError::Tcp { addr, source });
        }
        0 => return Err(SocketError::None),
        1 => {}
        count => return Err(SocketError::Count(count)),
    }
    let taken = match settings.transport {
        Transport::Uds => fds.take_unix_listener(0).map(|socket| socket.map(OwnedFd::from)),
        Transport::Http | Transport::Https => fds.take_tcp_listener(0).map(|socket| socket.map(OwnedFd::from)),
    };
    let kind = settings.transport.as_str();
    let socket = taken.map_err(|source| SocketError::NotStream { kind, source })?.ok_or(SocketError::None)?;
    listening(socket)
}

/// The crate checks family and type, but a connected socket has those too.
fn listening<T: AsFd>(socket: T) -> Result<T, SocketError> {
    match getsockopt(&socket, sockopt::AcceptConn) {
        Ok(true) => Ok(socket),
        Ok(false) => Err(SocketError::NotListening),
        Err(error) => Err(SocketError::Inspect(error.into())),
    }
}

/// Binds the private socket in a folder that only this user may write to, so that nobody can put another one in its place.
/// Others may enter the folder: who the node is stands there for them to read. The socket itself is closed to them from the
/// first moment: the kernel gives its file the mode of the unbound socket, and it listens only after that was looked at.
fn private(path: &Path) -> Result<UnixListener, SocketError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |source| SocketError::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    let metadata = fs::metadata(folder).map_err(failed)?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(SocketError::OpenFolder { path: folder.to_owned() });
    }
    let failed = |source| SocketError::Control { path: path.to_owned(), source };
    // One that a killed verifier left behind. Nobody else can have put it there: the folder is ours.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let os = |error: nix::errno::Errno| failed(error.into());
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(os)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(os)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path).map_err(os)?).map_err(os)?;
    if fs::symlink_metadata(path).map_err(failed)?.mode() & 0o177 != 0 {
        return Err(SocketError::OpenSocket { path: path.to_owned() });
    }
    listen(&socket, Backlog::MAXCONN).map_err(os)?;
    Ok(UnixListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_private_socket_is_refused_in_a_folder_that_others_may_write_to() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("control.sock");
        for (mode, good) in [
            (0o770, false),
            (0o702, false),
            (0o777, false),
            (0o1777, false),
            (0o700, true),
            (0o711, true),
            (0o755, true),
        ] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("mode");
            match private(&path) {
                Ok(_) => assert!(good, "{mode:o}"),
                Err(SocketError::OpenFolder { .. }) => assert!(!good, "{mode:o}"),
                Err(error) => panic!("{mode:o}: {error}"),
            }
        }
    }

    #[test]
    fn the_private_socket_is_the_owners_alone_whatever_the_umask_is() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("control.sock");
        let bound = std::thread::scope(|scope| {
            let bound = scope.spawn(|| {
                // This thread's own, or other tests would feel it.
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).expect("a umask of its own");
                nix::sys::stat::umask(Mode::empty());
                private(&path)
            });
            bound.join().expect("no panic")
        });
        let _socket = bound.expect("listens");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, 0o600);
        std::os::unix::net::UnixStream::connect(&path).expect("the owner connects");
    }

    #[test]
    fn a_private_socket_left_behind_is_replaced() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("inner").join("control.sock");
        drop(private(&path).expect("first"));
        assert!(path.exists());
        assert!(private(&path).is_ok());
    }
}
