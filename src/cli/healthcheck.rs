//! `cryftgo-tee healthcheck`.

use std::process::ExitCode;

use super::print;
use super::settings::SettingArgs;
use super::standing::{Known, Standing};
use crate::config::Settings;
use crate::state::whole;
use crate::text::one_line;

pub(super) const AFTER_HELP: &str = "\
Example, in a script:
  until cryftgo-tee healthcheck --quiet; do sleep 1; done

What the running verifier shows is read (state_file), by any user, in a millisecond; nobody is asked, and nothing is
started.

Exit codes: 0 ready to sign; 1 everything else.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print nothing
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let (well, line) = judge(args);
    // The answer is the exit code: a reader that has gone away does not change it.
    if !args.quiet {
        let _ = print(&line);
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge(args: &Args) -> (bool, String) {
    let settings = match Settings::load_for_client(args.settings.command_line()) {
        Ok(settings) => settings,
        Err(error) => return (false, format!("not ready: configuration: {}", one_line(&error))),
    };
    let known = Known::read(&settings);
    match known.standing() {
        Standing::Ready => {
            let age = known.current().zip(known.seen.as_ref()).and_then(|(state, seen)| state.check_age(seen));
            (true, age.map_or_else(|| "ready".to_owned(), |age| format!("ready, verified {} ago", whole(age))))
        }
        Standing::NotReady(why) => (false, format!("not ready: {why}")),
        Standing::Locked(why) => (false, format!("locked: {why}")),
    }
}
