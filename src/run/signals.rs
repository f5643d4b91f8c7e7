//! SIGTERM and SIGINT ask for an orderly stop, SIGHUP for a reload.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop.
    Stop,
    /// To read the configuration again, and to take a staged upgrade.
    Reload,
}

/// Listens for requests.
pub(super) struct Signals {
    stop: Stop,
    reload: Signal,
}

/// Listens for the request to stop.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen; from here on none of the three ends the process by itself.
    pub(super) fn listen() -> io::Result<Self> {
        let stop = Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        Ok(Self { stop, reload: signal(SignalKind::hangup())? })
    }

    /// Returns once somebody asked. Safe to drop half-way.
    pub(super) async fn asked(&mut self) -> Asked {
        tokio::select! {
            () = self.stop.asked() => Asked::Stop,
            _ = self.reload.recv() => Asked::Reload,
        }
    }

    /// The request to stop alone: a reload that is asked for meanwhile waits.
    pub(super) const fn stop(&mut self) -> &mut Stop {
        &mut self.stop
    }
}

impl Stop {
    /// Returns once somebody asked. Safe to drop half-way.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
