//! What systemd is told. READY and WATCHDOG are consequences of checks that passed; nothing here has a timer.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::audit::sanitise;

/// systemd listens and could not be told.
#[derive(Debug, thiserror::Error)]
#[error("send to NOTIFY_SOCKET")]
pub struct NotifyError(#[source] io::Error);

/// The notify socket of the service manager, where there is one.
#[derive(Debug, Clone, Copy)]
pub struct Notify;

impl Notify {
    /// The service works: clients are served by an attested sidecar.
    ///
    /// # Errors
    /// [`NotifyError`]: systemd would wait for READY until its timeout and then stop a working service, so
    /// the caller gives up with the true reason.
    pub fn ready(self, status: &str) -> Result<(), NotifyError> {
        // A start is a full check, and after a restart of the sidecar the last ping may be long ago.
        send(&[NotifyState::Ready, NotifyState::Watchdog, NotifyState::Status(&sanitise(status))])
    }

    /// What the service is doing, for `systemctl status`. Losing one is no reason to stop.
    pub fn status(self, status: &str) {
        report(send(&[NotifyState::Status(&sanitise(status))]));
    }

    /// A full check passed in time.
    pub fn checked(self, status: &str) {
        report(send(&[NotifyState::Watchdog, NotifyState::Status(&sanitise(status))]));
    }

    /// The service is on its way out, for the reason that STATUS has already.
    pub fn stopping_as_said(self) {
        report(send(&[NotifyState::Stopping]));
    }

    /// The service is on its way out.
    pub fn stopping(self, status: &str) {
        report(send(&[NotifyState::Stopping, NotifyState::Status(&sanitise(status))]));
    }
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
