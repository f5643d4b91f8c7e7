//! `xtask play-systemd -- PROGRAM`: what systemd's own helper does between fork and exec.
//!
//! `LISTEN_PID` must be the pid of the program itself, which is known only after the fork. Rather than
//! allocate in a forked child, a fresh process learns its pid, sets its environment, and becomes PROGRAM.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::getppid;

/// The first fd that is handed over (`SD_LISTEN_FDS_START`).
const LISTEN_FDS_START: i32 = 3;
/// What goes to the notify socket right before exec, with the nanoseconds of the monotonic clock: times
/// are told from there.
pub(super) const EXEC_AT: &str = "X_EXEC_AT";

/// Become PROGRAM the way systemd would start it (used by the other commands).
#[derive(clap::Args)]
pub(crate) struct PlaySystemdArgs {
    /// Hand the listening socket on stdin to PROGRAM as fd 3, under this name.
    #[arg(long, value_name = "NAME")]
    listen_fd_name: Option<String>,
    /// Send one datagram to this socket right before exec.
    #[arg(long, value_name = "SOCKET")]
    tell_exec: Option<PathBuf>,
    /// Keep a watchdog of this many microseconds.
    #[arg(long, value_name = "USEC")]
    watchdog_usec: Option<u64>,
    /// The process that started this one: PROGRAM is told to stop when it is gone.
    #[arg(long, value_name = "PID")]
    parent: i32,
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
enum HelperError {
    #[error("ask to be told of the parent's end: {0}")]
    ParentDeath(#[source] Errno),
    #[error("the parent is gone already")]
    Orphan,
    #[error("close inherited file descriptors: {0}")]
    Close(#[source] Errno),
    #[error("put the listening socket at fd {LISTEN_FDS_START}: {0}")]
    Place(#[source] Errno),
    #[error("the listening socket went to fd {0}, not to {LISTEN_FDS_START}")]
    WrongPlace(i32),
    #[error("read the monotonic clock: {0}")]
    Clock(#[source] Errno),
    #[error("tell of the exec: {0}")]
    Tell(#[source] std::io::Error),
    #[error("exec {}: {source}", program.display())]
    Exec { program: OsString, source: std::io::Error },
}

/// Never returns when all goes well.
pub(crate) fn play_systemd(args: PlaySystemdArgs) -> ExitCode {
    let error = match become_program(args) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("play-systemd: {error}");
    ExitCode::from(contract::exit::OS)
}

fn become_program(args: PlaySystemdArgs) -> Result<std::convert::Infallible, HelperError> {
    // Nothing may outlive the demo, not even where it is killed with SIGKILL. The setting survives exec.
    prctl::set_pdeathsig(Signal::SIGTERM).map_err(HelperError::ParentDeath)?;
    if getppid().as_raw() != args.parent {
        return Err(HelperError::Orphan);
    }
    close_from(LISTEN_FDS_START)?;
    let [program, arguments @ ..] = args.program.as_slice() else {
        return Err(HelperError::Exec { program: OsString::new(), source: std::io::ErrorKind::InvalidInput.into() });
    };
    let pid = std::process::id().to_string();
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(name) = args.listen_fd_name {
        // Everything above 2 is closed, so the lowest free fd is 3; a duplicate is not close-on-exec.
        let placed = fcntl(std::io::stdin().as_fd(), FcntlArg::F_DUPFD(LISTEN_FDS_START));
        match placed.map_err(HelperError::Place)? {
            LISTEN_FDS_START => {}
            other => return Err(HelperError::WrongPlace(other)),
        }
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name).env("LISTEN_PID", &pid);
    }
    if let Some(usec) = args.watchdog_usec {
        command.env("WATCHDOG_USEC", usec.to_string()).env("WATCHDOG_PID", &pid);
    }
    if let Some(socket) = args.tell_exec {
        let message = format!("{EXEC_AT}={}", monotonic().map_err(HelperError::Clock)?.as_nanos());
        let tell = UnixDatagram::unbound().and_then(|from| from.send_to(message.as_bytes(), socket));
        tell.map_err(HelperError::Tell)?;
    }
    let source = command.stdin(Stdio::null()).exec();
    Err(HelperError::Exec { program: program.clone(), source })
}

/// The instant of an [`EXEC_AT`] line. The message carries a time so that it may be read late.
pub(super) fn exec_at(line: &str) -> Option<Instant> {
    let sent = line.strip_prefix(EXEC_AT)?.strip_prefix('=')?.parse().ok().map(Duration::from_nanos)?;
    // An Instant cannot be made from a number, only moved.
    let age = monotonic().ok()?.checked_sub(sent)?;
    Instant::now().checked_sub(age)
}

fn monotonic() -> Result<Duration, Errno> {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from)
}

/// A service gets the fds that systemd gives it and no others, whatever the calling shell had open.
#[allow(unsafe_code, reason = "close_range has no safe wrapper")]
fn close_from(first: i32) -> Result<(), HelperError> {
    let first = first.unsigned_abs();
    // SAFETY: close_range touches no memory. This process has just started and has opened nothing above 2,
    // so no owner of an fd is left behind with a closed one.
    let closed = unsafe { libc::close_range(first, libc::c_uint::MAX, 0) };
    Errno::result(closed).map(drop).map_err(HelperError::Close)
}
