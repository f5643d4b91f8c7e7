//! Listening sockets: handed over by whoever started the sidecar, or its own.

use std::fmt;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;

mod inherited;
mod own;

pub use inherited::InheritError;
pub use own::{BindError, SocketFile};

use crate::config::Transport;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Open to clients.
    Api,
    /// The verifier's own; admission arrives here.
    Control,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => contract::defaults::API_FD_NAME,
            Self::Control => contract::defaults::CONTROL_FD_NAME,
        })
    }
}

/// A listening stream socket, non-blocking.
#[derive(Debug)]
pub enum Socket {
    /// Of the unix family.
    Unix(UnixListener),
    /// Of an internet family.
    Tcp(TcpListener),
}

impl Socket {
    /// The user who owns the socket file; `None` where there is no file, or none that can be looked at.
    pub(crate) fn owner(&self) -> Option<u32> {
        let Self::Unix(socket) = self else { return None };
        let address = socket.local_addr().ok()?;
        // A relative name is relative to wherever its maker stood.
        let path = address.as_pathname().filter(|path| path.is_absolute())?;
        let file = std::fs::symlink_metadata(path).ok()?;
        file.file_type().is_socket().then(|| file.uid())
    }

    /// Where it listens, for people.
    pub fn address(&self) -> String {
        match self {
            Self::Unix(socket) => match socket.local_addr() {
                Ok(address) => match address.as_pathname() {
                    Some(path) => format!("unix:{}", path.display()),
                    None => "unix:(no path)".to_owned(),
                },
                Err(_) => "unix:(unknown)".to_owned(),
            },
            Self::Tcp(socket) => match socket.local_addr() {
                Ok(address) => format!("tcp:{address}"),
                Err(_) => "tcp:(unknown)".to_owned(),
            },
        }
    }
}

/// A socket and what it is for.
#[derive(Debug)]
pub struct Listener {
    /// What it is for.
    pub role: Role,
    /// The socket.
    pub socket: Socket,
}

/// Everything the sidecar listens on.
#[derive(Debug)]
pub struct Listeners {
    /// At least one, and at least one of them for [`Role::Api`].
    pub all: Vec<Listener>,
    /// The socket file that is the sidecar's own and goes when this is dropped.
    pub file: Option<SocketFile>,
}

impl Listeners {
    /// Takes the inherited listeners; where none of them is for `api`, opens one as `transport` says.
    ///
    /// To be called once, before anything opens a file: descriptors are taken by number.
    ///
    /// # Errors
    /// [`ListenError`], with every socket closed again.
    pub fn open(transport: &Transport) -> Result<Self, ListenError> {
        let mut all = inherited::take()?;
        let mut file = None;
        if !all.iter().any(|listener| listener.role == Role::Api) {
            let (socket, path) = own::open(transport)?;
            all.push(Listener { role: Role::Api, socket });
            file = path;
        }
        Ok(Self { all, file })
    }
}

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The handed-over sockets are not what was announced.
    #[error("take the inherited sockets")]
    Inherit(#[from] InheritError),
    /// The sidecar's own socket cannot be opened.
    #[error("open a listening socket")]
    Bind(#[from] BindError),
}
