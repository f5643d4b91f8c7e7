//! The two listening sockets: the public one, which systemd holds, and the private one, which only the
//! verifier can reach.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use contract::exit;
use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};

use super::Handoff;
use crate::config::{self, Settings, Transport};

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
    #[error("descriptor 3 does not fit the transport {kind}")]
    NotStream { kind: &'static str, source: io::Error },
    #[error("descriptor 3 does not listen: Accept=no and ListenStream= are needed in cryfttee.socket")]
    NotListening,
    #[error("inspect the public socket")]
    Inspect(#[source] io::Error),
    #[error("listen on {addr}")]
    Tcp { addr: SocketAddr, source: io::Error },
    #[error("make the folder {path} of the private socket", path = path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the folder {path} of the private socket must belong to this user and be closed to others (0700)", path = path.display())]
    OpenFolder { path: PathBuf },
    #[error("listen on the private socket {path}", path = path.display())]
    Control { path: PathBuf, source: io::Error },
}

impl SocketError {
    /// Exit code of the contract: what systemd handed over is configuration, the rest may pass.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::None | Self::Count(_) | Self::NotStream { .. } | Self::NotListening | Self::OpenFolder { .. } => {
                exit::CONFIG
            }
            Self::Inspect(_) | Self::Tcp { .. } | Self::Folder { .. } | Self::Control { .. } => exit::IO,
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
    pub fn handoff(&mut self) -> Result<Handoff<'_>, SocketError> {
        if self.gated() {
            self.control = Some(private(&self.attested_at)?);
        }
        Ok(Handoff { api: self.api.as_fd(), control: self.control.as_ref().map(AsFd::as_fd) })
    }

    /// Where the verifier connects to: the private socket where there is one.
    pub fn attested_at(&self) -> &Path {
        &self.attested_at
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
        }
    }
}

fn public(inherited: Inherited, settings: &Settings) -> Result<OwnedFd, SocketError> {
    let mut fds = inherited.fds;
    match fds.len() {
        // systemd need not own a TCP address: nobody can put another socket in its place.
        0 if settings.transport == Transport::Http => {
            let addr = settings.http_addr;
            return TcpListener::bind(addr).map(OwnedFd::from).map_err(|source| SocketError::Tcp { addr, source });
        }
        0 => return Err(SocketError::None),
        1 => {}
        count => return Err(SocketError::Count(count)),
    }
    let taken = match settings.transport {
        Transport::Uds => fds.take_unix_listener(0).map(|socket| socket.map(OwnedFd::from)),
        Transport::Http => fds.take_tcp_listener(0).map(|socket| socket.map(OwnedFd::from)),
    };
    let kind = settings.transport.as_str();
    let socket = taken.map_err(|source| SocketError::NotStream { kind, source })?.ok_or(SocketError::None)?;
    // The crate checks family and type, but a connected socket has those too.
    if !getsockopt(&socket, sockopt::AcceptConn).map_err(|error| SocketError::Inspect(error.into()))? {
        return Err(SocketError::NotListening);
    }
    Ok(socket)
}

/// Binds the private socket in a folder that only this user may enter, so that there is no moment at which
/// another could connect.
fn private(path: &Path) -> Result<UnixListener, SocketError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |source| SocketError::Folder { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let metadata = fs::metadata(folder).map_err(failed)?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(SocketError::OpenFolder { path: folder.to_owned() });
    }
    let failed = |source| SocketError::Control { path: path.to_owned(), source };
    // One that a killed verifier left behind. Nobody else can have put it there: the folder is ours.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    UnixListener::bind(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_private_socket_is_refused_in_a_folder_that_others_may_enter() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("control.sock");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).expect("mode");
        assert!(matches!(private(&path), Err(SocketError::OpenFolder { .. })));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("mode");
        assert!(private(&path).is_ok());
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
