//! A program that was started here and does not outlive its handle.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program may take to end after SIGTERM before it is killed. Longer than the verifier's own
/// grace for the sidecar, so that the verifier can do its stop in full.
const GRACE: Duration = Duration::from_secs(8);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(1);

/// A running program, with its output in a log file.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// Why a program could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("make the log {}: {source}", log.display())]
    Log { log: PathBuf, source: std::io::Error },
    #[error("start {}: {source}", program.display())]
    Start { program: PathBuf, source: std::io::Error },
    #[error("wait for pid {pid}: {source}")]
    Wait { pid: u32, source: std::io::Error },
    #[error("send {signal} to pid {pid}: {source}")]
    Signal { signal: Signal, pid: u32, source: Errno },
}

/// What a program gets from the stand-in for systemd.
#[derive(Default)]
pub(super) struct Gifts<'a> {
    /// A listening socket and its name.
    pub(super) listener: Option<(OwnedFd, &'a str)>,
    /// The notify socket; only what is told of the exec where `notify` is false.
    pub(super) notify_socket: Option<&'a Path>,
    /// Whether the program itself is given the notify socket.
    pub(super) notify: bool,
    /// The watchdog's time.
    pub(super) watchdog: Option<Duration>,
    /// Where its stderr goes; `None`: into the log, as stdout does.
    pub(super) stderr: Option<OwnedFd>,
}

impl Process {
    /// A program with its arguments and an environment of its own: nothing of ours reaches it but `PATH`.
    pub(super) fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &OsStr)],
        gifts: Gifts<'_>,
        log: PathBuf,
    ) -> Result<Self, ProcessError> {
        let log_error = |source| ProcessError::Log { log: log.clone(), source };
        let out = File::create(&log).map_err(log_error)?;
        let err = gifts.stderr.map_or_else(|| out.try_clone().map(Stdio::from), |fd| Ok(fd.into()));
        let err = err.map_err(log_error)?;
        // Resolved by the kernel after the fork, so it is this very program even if the file was replaced.
        let mut helper = Command::new("/proc/self/exe");
        helper.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        helper.envs(environment.iter().copied());
        helper.args(["play-systemd", "--parent", &std::process::id().to_string()]);
        if let Some(socket) = gifts.notify_socket {
            helper.arg("--tell-exec").arg(socket);
            if gifts.notify {
                helper.env("NOTIFY_SOCKET", socket);
            }
        }
        if let Some(time) = gifts.watchdog {
            helper.args(["--watchdog-usec", &time.as_micros().to_string()]);
        }
        helper.stdin(Stdio::null());
        if let Some((listener, name)) = gifts.listener {
            helper.args(["--listen-fd-name", name]).stdin(listener);
        }
        helper.arg("--").arg(program).args(arguments).stdout(out).stderr(err);
        // A group of its own: Ctrl-C at the terminal reaches us alone, and we stop the parts in order.
        helper.process_group(0);
        let child = helper.spawn().map_err(|source| ProcessError::Start { program: program.to_owned(), source })?;
        Ok(Self { child, log })
    }

    /// Its pid, which is not reused before this handle is gone.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|source| ProcessError::Wait { pid: self.child.id(), source })
    }

    /// The last line it wrote.
    pub(crate) fn last_line(&self) -> String {
        super::last_line(&self.log)
    }

    /// All that it wrote.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGTERM)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        let pid = self.child.id();
        // A child that ended already and was not waited for takes the signal without harm.
        match i32::try_from(pid).map(|raw| kill(Pid::from_raw(raw), signal)) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(source)) => Err(ProcessError::Signal { signal, pid, source }),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended and reaped: its pid may belong to somebody else by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // What fails here cannot be mended; the kernel's parent-death signal is the last resort.
        let _ = self.terminate();
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
