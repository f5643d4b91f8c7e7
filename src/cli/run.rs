//! `cryftgo-tee run`.

use std::process::ExitCode;

use super::fail;
use super::settings::SettingArgs;
use crate::audit::Audit;
use crate::config::Settings;
use crate::fault::Fault as _;
use crate::launch::sockets::Inherited;
use crate::lifecycle::Lifecycle;
use crate::run::{Error, Failure};

pub(super) const AFTER_HELP: &str = "\
Settings come from, strongest first: flags, environment, /run/cryftgo-tee, /etc/cryftgo-tee,
/usr/lib/cryftgo-tee (in each cryftgo-tee.toml, then conf.d/*.toml), defaults.

Exit codes: 0 stopped as asked, or the signer is disabled; 64 usage; 65 bad data in a file; 69 signer or
sidecar unavailable; 70 internal; 71 the OS refused; 74 I/O; 75 the sidecar crashed too often;
77 integrity: wrong digest, mismatched attestation, forged answer, wrong key; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args, inherited: Inherited) -> ExitCode {
    crate::sys::one_pool_of_memory();
    crate::diagnostics::install();
    let settings = match Settings::load(args.settings.command_line()) {
        Ok(settings) => settings,
        Err(error) => {
            // Which state is unknown then; the usual one is where the trail of this host is.
            let audit = Audit::open(&crate::config::default_state_dir());
            return end(crate::run::refused(&audit, &Lifecycle::default(), error.into()));
        }
    };
    // One thread: the sidecar dies with the thread that forked it, and that must be the main one.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let audit = Audit::open(&settings.state_dir);
            return end(crate::run::refused(&audit, &Lifecycle::default(), Error::Signals(source)));
        }
    };
    let reread = || Settings::load(args.settings.command_line());
    runtime.block_on(crate::run::run(settings, reread, inherited)).map_or_else(end, |()| ExitCode::SUCCESS)
}

fn end(failure: Failure) -> ExitCode {
    let exit_code = failure.error.exit_code();
    if failure.told { ExitCode::from(exit_code) } else { fail(&failure.error, exit_code) }
}
