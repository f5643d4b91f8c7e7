//! Ctrl-C: noticed by whoever waits, so that everything that was started is stopped on the way out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Set once SIGINT, SIGTERM or SIGHUP has come.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

/// The signal handlers could not be set.
#[derive(Debug, thiserror::Error)]
#[error("take over Ctrl-C: {0}")]
pub(crate) struct InterruptError(#[source] std::io::Error);

/// The user asked for an end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

impl Interrupt {
    /// From here on the signals no longer end the process: they are only noted.
    pub(crate) fn listen() -> Result<Self, InterruptError> {
        let noted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&noted)).map_err(InterruptError)?;
        }
        Ok(Self(noted))
    }

    /// Has one come?
    pub(crate) fn noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `Err` once one has come.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.noted() { Err(Interrupted) } else { Ok(()) }
    }
}
