//! `cryftgo-tee reload`: what `systemctl reload cryftgo-tee` runs.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use contract::exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::CommandError;
use super::settings::SettingArgs;
use super::{fail, print};
use crate::config::Settings;
use crate::durable;
use crate::run::{ANSWER, Answer, PATIENCE_OF_A_RELOAD};

pub(super) const AFTER_HELP: &str = "\
The verifier reads its configuration and the reference values again. Where a binary stands on disk that a reference
value accepts, or where what the sidecar is told changed, a new sidecar is measured, launched and attested beside the
one that serves, and takes its place when it has passed every step; no client is refused. Where it fails, the one that
serves goes on, and this says why. Normally: systemctl reload cryftgo-tee

Exit codes: 0 done; 69 refused, or no answer; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The verifier's process; systemd says it in MAINPID
    #[arg(long, value_name = "PID", env = "MAINPID")]
    pid: Option<i32>,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let settings = match Settings::load(args.settings.command_line()) {
        Ok(settings) => settings,
        Err(error) => {
            let error = CommandError::from(error);
            return fail(&error, error.exit_code());
        }
    };
    let Some(pid) = args.pid.filter(|pid| *pid > 1) else {
        eprintln!("cryftgo-tee: which verifier? Use systemctl reload cryftgo-tee, or --pid");
        return ExitCode::from(exit::USAGE);
    };
    let file = settings.control_socket.parent().unwrap_or(std::path::Path::new("/")).join(ANSWER);
    let before = read(&file);
    if let Err(cause) = kill(Pid::from_raw(pid), Signal::SIGHUP) {
        eprintln!("cryftgo-tee: ask pid {pid} to reload: {}", cause.desc());
        return ExitCode::from(exit::UNAVAILABLE);
    }
    // Longer than the deadlines of a start together: the attestation, the signer, a request.
    let signer = settings.signer_startup_timeout.min(PATIENCE_OF_A_RELOAD);
    let patience = settings.startup_timeout + signer + settings.request_timeout * 2;
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(answer) = read(&file)
            && before.as_ref().is_none_or(|before| before.id != answer.id)
        {
            if answer.done {
                return print(&answer.message);
            }
            eprintln!("cryftgo-tee: {}", crate::text::sanitise(&answer.message));
            return ExitCode::from(exit::UNAVAILABLE);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("cryftgo-tee: no answer from pid {pid} within {patience:?}: journalctl -u cryftgo-tee has what happened");
    ExitCode::from(exit::UNAVAILABLE)
}

fn read(file: &std::path::Path) -> Option<Answer> {
    /// A message is two kilobytes at most.
    const MAX: u64 = 64 * 1024;
    serde_json::from_slice(&durable::read(file, MAX).ok()??).ok()
}
