//! A program started with no service around it, as the peer of a measurement.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::helper::exec_at;
use super::notify::NotifySocket;
use super::process::{Gifts, Process};
use super::unit::{UnitError, remove_if_there};

/// A running program whose time of exec is known.
pub(crate) struct ByHand {
    process: Process,
    told: NotifySocket,
}

impl ByHand {
    /// Starts it through the same helper as the verifier, so that both clocks start at the same point.
    pub(crate) fn start(program: &Path, environment: &[(&str, &OsStr)], folder: &Path) -> Result<Self, UnitError> {
        let path = folder.join("exec.sock");
        let prepare = |source| UnitError::Prepare { path: path.clone(), source };
        remove_if_there(&path).map_err(prepare)?;
        let told = NotifySocket::bind(&path).map_err(prepare)?;
        let gifts = Gifts { notify_socket: Some(&path), ..Gifts::default() };
        let process = Process::start::<&OsStr>(program, [], environment, gifts, folder.join("by-hand.log"))?;
        Ok(Self { process, told })
    }

    /// The time from exec to `then`.
    pub(crate) fn since_exec(&mut self, then: Instant) -> Result<Duration, UnitError> {
        let told = self.told.receive().map_err(UnitError::Notify)?.and_then(|datagram| exec_at(&datagram.text));
        let silent = || UnitError::Silent { awaited: "exec", within: Duration::ZERO, said: self.process.last_line() };
        told.map(|exec| then.saturating_duration_since(exec)).ok_or_else(silent)
    }

    /// The last line that it wrote.
    pub(crate) fn last_line(&self) -> String {
        self.process.last_line()
    }
}
