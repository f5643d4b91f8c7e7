//! The systemd protocol: `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`, descriptors from 3 on.

use std::io;
use std::os::fd::OwnedFd;

use contract::defaults::CONTROL_FD_NAME;
use nix::sys::socket::{AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt, sockopt};

use super::{Listener, Role, Socket};
use crate::sys;

/// Why what was handed over is refused. Numbers are those of the descriptors.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// `LISTEN_FDS` is not a count.
    #[error("read LISTEN_FDS: {0:?} is not a number of sockets")]
    Count(String),
    /// A descriptor is not open.
    #[error("take the {0} descriptors that LISTEN_FDS announces from 3 on")]
    Take(u16, #[source] io::Error),
    /// A descriptor is no socket at all.
    #[error("look at descriptor {0}, which was handed over as a socket")]
    Inspect(i32, #[source] io::Error),
    /// A socket, and not a listening stream socket of a family that is served.
    #[error("descriptor {0} is not a listening stream socket of the unix or an internet family")]
    NotAListener(i32),
    /// A socket for the verifier alone that others could reach.
    #[error("descriptor {0}, the control socket, is not of the unix family")]
    ControlNotUnix(i32),
}

/// Takes what was announced to this very process; nothing where nothing was.
pub(super) fn take() -> Result<Vec<Listener>, InheritError> {
    let env = |name| std::env::var(name).ok();
    let roles = announced(
        env("LISTEN_PID").as_deref(),
        env("LISTEN_FDS").as_deref(),
        env("LISTEN_FDNAMES").as_deref(),
        std::process::id(),
    )?;
    let count = u16::try_from(roles.len()).map_err(|_| InheritError::Count(roles.len().to_string()))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let descriptors = sys::take_inherited(count).map_err(|source| InheritError::Take(count, source))?;
    roles.into_iter().zip(descriptors).map(|(role, fd)| listener(role, fd)).collect()
}

/// The roles of the announced descriptors, in their order.
///
/// The variables count only if they were meant for this process: a parent that forgot to clear them would
/// otherwise make us take descriptors that are something else here.
fn announced(
    pid: Option<&str>,
    count: Option<&str>,
    names: Option<&str>,
    own_pid: u32,
) -> Result<Vec<Role>, InheritError> {
    if pid.and_then(|pid| pid.parse().ok()) != Some(own_pid) {
        return Ok(Vec::new());
    }
    let Some(count) = count else { return Ok(Vec::new()) };
    let count: u16 = count.parse().map_err(|_| InheritError::Count(count.to_owned()))?;
    let mut names = names.unwrap_or_default().split(':');
    // An unknown name is the public API: a socket unit without FileDescriptorName= passes its own name.
    let role = |name: Option<&str>| if name == Some(CONTROL_FD_NAME) { Role::Control } else { Role::Api };
    Ok((0..count).map(|_| role(names.next())).collect())
}

fn listener(role: Role, fd: OwnedFd) -> Result<Listener, InheritError> {
    use std::os::fd::AsRawFd as _;
    let number = fd.as_raw_fd();
    let socket = listening(fd)?;
    // On control everything may be done; what keeps others out is the folder that a socket file stands in.
    if role == Role::Control && !matches!(socket, Socket::Unix(_)) {
        return Err(InheritError::ControlNotUnix(number));
    }
    Ok(Listener { role, socket })
}

fn listening(fd: OwnedFd) -> Result<Socket, InheritError> {
    use std::os::fd::AsRawFd as _;
    let number = fd.as_raw_fd();
    let inspect = |errno: nix::Error| InheritError::Inspect(number, errno.into());

    if getsockopt(&fd, sockopt::SockType).map_err(inspect)? != SockType::Stream
        || !getsockopt(&fd, sockopt::AcceptConn).map_err(inspect)?
    {
        return Err(InheritError::NotAListener(number));
    }
    let address: SockaddrStorage = getsockname(number).map_err(inspect)?;
    let socket = match address.family() {
        Some(AddressFamily::Unix) => Socket::Unix(fd.into()),
        Some(AddressFamily::Inet | AddressFamily::Inet6) => Socket::Tcp(fd.into()),
        _ => return Err(InheritError::NotAListener(number)),
    };
    match &socket {
        Socket::Unix(socket) => socket.set_nonblocking(true),
        Socket::Tcp(socket) => socket.set_nonblocking(true),
    }
    .map_err(|source| InheritError::Inspect(number, source))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn variables_meant_for_another_process_are_not_ours() {
        for pid in [None, Some("8"), Some(""), Some("seven")] {
            assert!(announced(pid, Some("2"), Some("api:control"), 7).expect("no error").is_empty(), "{pid:?}");
        }
    }

    #[test]
    fn names_give_the_roles_and_an_unknown_or_missing_name_is_the_api() {
        use Role::{Api, Control};
        for (count, names, roles) in [
            ("2", Some("api:control"), vec![Api, Control]),
            ("2", Some("control:api"), vec![Control, Api]),
            ("3", Some("cryfttee.socket"), vec![Api, Api, Api]),
            ("1", None, vec![Api]),
            ("0", Some("api"), vec![]),
        ] {
            assert_eq!(announced(Some("7"), Some(count), names, 7).expect("good"), roles, "{names:?}");
        }
    }

    #[test]
    fn a_count_that_is_no_number_is_an_error() {
        for count in ["", "-1", "two", "99999999"] {
            assert!(matches!(announced(Some("7"), Some(count), None, 7), Err(InheritError::Count(_))), "{count}");
        }
    }

    #[test]
    fn only_a_listening_stream_socket_is_accepted() {
        let folder = tempfile::tempdir().expect("a folder");
        let unix = UnixListener::bind(folder.path().join("s")).expect("bind");
        assert!(matches!(listening(unix.into()), Ok(Socket::Unix(_))));
        let tcp = || TcpListener::bind("127.0.0.1:0").expect("bind");
        assert!(matches!(listening(tcp().into()), Ok(Socket::Tcp(_))));
        assert!(matches!(listener(Role::Api, tcp().into()), Ok(Listener { role: Role::Api, .. })));
        assert!(matches!(listener(Role::Control, tcp().into()), Err(InheritError::ControlNotUnix(_))));

        let (connected, _peer) = UnixStream::pair().expect("a pair");
        assert!(matches!(listening(connected.into()), Err(InheritError::NotAListener(_))));
        let datagram = UdpSocket::bind("127.0.0.1:0").expect("bind");
        assert!(matches!(listening(datagram.into()), Err(InheritError::NotAListener(_))));
        let file = std::fs::File::open("/dev/null").expect("open");
        assert!(matches!(listening(file.into()), Err(InheritError::Inspect(..))));
    }
}
