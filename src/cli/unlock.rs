//! `cryftgo-tee unlock --reason "…"`.

use std::process::ExitCode;

use contract::exit;

use super::error::CommandError;
use super::settings::SettingArgs;
use super::{fail, print};
use crate::audit::{Audit, Event};
use crate::config::Settings;
use crate::lock::{Lock, LockError};
use crate::text::one_line;

pub(super) const AFTER_HELP: &str = "\
Find out first how another binary came to stand there, or another process to answer: journalctl -u cryftgo-tee
has the finding. Then unlock, and start again: systemctl reset-failed cryftgo-tee; systemctl start cryftgo-tee";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What was found out; goes into the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    match unlock(args) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn unlock(args: &Args) -> Result<ExitCode, CommandError> {
    let reason = args.reason.trim();
    if reason.is_empty() {
        eprintln!("cryftgo-tee: --reason is empty: say what was found out");
        return Ok(ExitCode::from(exit::USAGE));
    }
    let settings = Settings::load(args.settings.command_line())?;
    let lock = Lock::at(&settings.state_dir);
    let finding = match lock.mark() {
        Ok(None) => return Ok(print("not locked: nothing to do")),
        Ok(Some(finding)) => finding,
        // A mark that cannot be read locks too, so it must be possible to clear it.
        Err(error @ LockError::Read { .. }) => one_line(&error),
        Err(error) => return Err(error.into()),
    };
    // The record first: an unlock that nobody can read of later must not happen.
    let audit = Audit::open_for_command(&settings.state_dir);
    audit.record(&Event::Unlocked { reason: reason.to_owned(), finding: finding.clone() });
    audit.close().map_err(CommandError::Audit)?;
    lock.clear()?;
    Ok(print(&format!("unlocked; it was locked because {}", crate::text::sanitise(&finding))))
}
