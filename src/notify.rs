//! What systemd is told. READY and WATCHDOG are consequences of checks that passed; nothing here has a timer.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use contract::exit;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sd_notify::NotifyState;

use crate::fault::{Fault, Severity};
use crate::lifecycle::Word;
use crate::text::sanitise;

/// systemd listens and could not be told.
#[derive(Debug, thiserror::Error)]
#[error("send to NOTIFY_SOCKET")]
pub struct NotifyError(#[source] pub(crate) io::Error);

impl Fault for NotifyError {
    fn exit_code(&self) -> u8 {
        exit::IO
    }

    fn severity(&self) -> Severity {
        Severity::Slip
    }
}

/// The notify socket of the service manager, where there is one.
#[derive(Debug, Clone, Copy)]
pub struct Notify;

impl Notify {
    /// Says what follows from a transition of the lifecycle, with a STATUS, or with the one that stands.
    ///
    /// # Errors
    /// [`NotifyError`] where READY could not be told: systemd would wait for it until its timeout and then stop a
    /// working service, so the caller gives up with the true reason. Losing anything else is no reason to stop.
    pub fn tell(self, words: &[Word], status: Option<&str>) -> Result<(), NotifyError> {
        let status = status.map(sanitise);
        let mut states = Vec::new();
        for word in words {
            match word {
                Word::Ready => states.push(NotifyState::Ready),
                Word::Watchdog => states.push(NotifyState::Watchdog),
                Word::Stopping => states.push(NotifyState::Stopping),
                Word::Reloading => {
                    states.push(NotifyState::Reloading);
                    // For systemd 253 and later, which tells an old answer from a new one by it.
                    states.extend(NotifyState::monotonic_usec_now().ok());
                }
            }
        }
        states.extend(status.as_deref().map(NotifyState::Status));
        if states.is_empty() {
            return Ok(());
        }
        if words.contains(&Word::Ready) {
            return send(&states);
        }
        pass_on(&states);
        Ok(())
    }

    /// Asks for this much more time from now on, of a start that is not over yet. Losing one is no reason to stop.
    pub fn extend_timeout(self, by: Duration) {
        let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        pass_on(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// What the service is doing, for `systemctl status`. Losing one is no reason to stop.
    pub fn status(self, status: &str) {
        pass_on(&[NotifyState::Status(&sanitise(status))]);
    }
}

/// Sends what may be lost. A service manager that takes nothing must not hold up the watch: then it is not sent.
fn pass_on(states: &[NotifyState<'_>]) {
    if takes().unwrap_or(true) {
        report(send(states));
    }
}

/// Whether a message would be taken at once: the queue of the notify socket may be full.
fn takes() -> io::Result<bool> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(true) };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    Ok(poll(&mut polled, PollTimeout::ZERO)? == 1)
}

/// The interval in which systemd expects a ping, where it expects one of this process.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn send(states: &[NotifyState<'_>]) -> Result<(), NotifyError> {
    sd_notify::notify(states).map_err(NotifyError)
}

fn report(sent: Result<(), NotifyError>) {
    if let Err(NotifyError(cause)) = sent {
        tracing::warn!(%cause, "send to NOTIFY_SOCKET");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the process, so the one test that sets it.
    #[test]
    #[allow(unsafe_code, reason = "an environment that only this test has")]
    fn a_full_queue_holds_nothing_up() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("notify.sock");
        let manager = UnixDatagram::bind(&path).expect("bind");
        // SAFETY: no other test of this crate reads or writes the environment's NOTIFY_SOCKET.
        unsafe { std::env::set_var("NOTIFY_SOCKET", &path) };
        let began = std::time::Instant::now();
        for count in 0..1000 {
            Notify.status(&format!("message {count}"));
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let mut buffer = [0; 100];
        let count = manager.recv(&mut buffer).expect("the first");
        assert_eq!(&buffer[..count], b"STATUS=message 0\n");
    }
}
