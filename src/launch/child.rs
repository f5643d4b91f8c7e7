//! The running sidecar. Signalled and waited for through its pidfd alone; reaped last.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;

use super::{LaunchError, Output};
use crate::sys::{self, PidFd, Program, Spawned};

/// A sidecar that was launched and not yet reaped. Dropping it kills it: whoever gives up on a start, on
/// whatever path, leaves no sidecar behind.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    pidfd: AsyncFd<PidFd>,
    reaped: bool,
    output: Output,
}

/// How a sidecar ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal.
    Killed(Signal),
    /// It was killed and has ended, but how is for whoever traces it to know.
    Withheld,
}

/// How long a killed process may take to end, before the verifier goes on without it: a tracer, or a kernel that hangs,
/// must not keep the verifier from telling what it found.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed(signal) => write!(f, "signal {}", signal.as_str()),
            Self::Withheld => f.write_str("signal SIGKILL, as far as its tracer lets that be seen"),
        }
    }
}

impl Child {
    pub(super) fn spawn(program: &Program<'_>, output: Output) -> Result<Self, LaunchError> {
        // Whoever looks for processes that nobody holds must not see this one before it is held.
        let mut held = held();
        let Spawned { pid, pidfd } = sys::spawn(program)?;
        held.insert(pid);
        drop(held);
        // Registering is the one thing that can fail while a child runs that nobody holds yet.
        match pidfd.register() {
            Ok(pidfd) => Ok(Self { pid, pidfd, reaped: false, output }),
            Err((pidfd, cause)) => {
                let _ = pidfd.signal(Signal::SIGKILL);
                let _ = reap(&pidfd, pid);
                Err(LaunchError::Wait(cause))
            }
        }
    }

    /// Its pid, which stays its own until it is reaped.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it has ended and reaps it. Safe to drop half-way.
    ///
    /// # Errors
    /// [`LaunchError::Wait`].
    pub async fn ended(&mut self) -> Result<Stopped, LaunchError> {
        loop {
            let mut ready = self.pidfd.readable().await.map_err(LaunchError::Wait)?;
            if let Some(stopped) = reap(ready.get_inner(), self.pid).map_err(LaunchError::Wait)? {
                self.reaped = true;
                return Ok(stopped);
            }
            ready.clear_ready();
        }
    }

    /// Whether it has ended, for one that just could not be looked at: a process that is dying loses its
    /// image a moment before its end can be waited for.
    ///
    /// # Errors
    /// [`LaunchError::Wait`].
    pub async fn ended_already(&mut self) -> Result<Option<Stopped>, LaunchError> {
        // A large process takes a while to give its memory back.
        const A_MOMENT: Duration = Duration::from_millis(500);
        tokio::time::timeout(A_MOMENT, self.ended()).await.ok().transpose()
    }

    /// Asks it to stop, and kills it when it has not within `grace`.
    ///
    /// # Errors
    /// [`LaunchError::Wait`].
    pub async fn stop(mut self, grace: Duration) -> Result<Stopped, LaunchError> {
        self.signal(Signal::SIGTERM)?;
        if let Ok(stopped) = tokio::time::timeout(grace, self.ended()).await {
            return stopped;
        }
        self.kill().await
    }

    /// Stops it from running without ending it, so that it can be looked at as it is.
    ///
    /// # Errors
    /// [`LaunchError::Wait`].
    pub fn freeze(&self) -> Result<(), LaunchError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Its last lines.
    pub fn last_words(&self) -> String {
        self.output.last_words()
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// [`LaunchError::Wait`].
    pub async fn kill(mut self) -> Result<Stopped, LaunchError> {
        self.signal(Signal::SIGKILL)?;
        tokio::time::timeout(KILLED_WITHIN, self.ended()).await.unwrap_or(Ok(Stopped::Withheld))
    }

    fn signal(&self, signal: Signal) -> Result<(), LaunchError> {
        match self.pidfd.get_ref().signal(signal) {
            // It ended already and waits to be reaped.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            sent => sent.map_err(LaunchError::Wait),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            let pidfd = self.pidfd.get_ref();
            let _ = pidfd.signal(Signal::SIGKILL);
            // Blocks for as long as the kernel takes to end a killed process. The pidfd tells that also where a tracer
            // keeps the end for itself.
            let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut polled, PollTimeout::try_from(KILLED_WITHIN).unwrap_or(PollTimeout::MAX));
            let _ = reap(pidfd, self.pid);
        }
    }
}

/// Reaps if it has ended. None: it has not.
///
/// Workers that it forked die with it. Its process group is killed while it is not yet reaped: until then
/// nothing else can have the number. What left the group is found as an orphan.
fn reap(pidfd: &PidFd, pid: u32) -> io::Result<Option<Stopped>> {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    if wait(pidfd, ended | WaitPidFlag::WNOWAIT)?.is_none() {
        return Ok(None);
    }
    if let Ok(group) = i32::try_from(pid) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let stopped = wait(pidfd, ended)?;
    let mut held = held();
    held.remove(&pid);
    super::orphans::end_all(&held)?;
    Ok(stopped)
}

/// The sidecars that were launched and not yet reaped: during a reload there are two. Everything else that is a child of
/// this process is an orphan of one that ended.
pub(super) fn held() -> MutexGuard<'static, BTreeSet<u32>> {
    static HELD: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(pidfd: &PidFd, flags: WaitPidFlag) -> io::Result<Option<Stopped>> {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), flags) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Some(Stopped::Exited(code))),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Some(Stopped::Killed(signal))),
            Ok(_) => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
