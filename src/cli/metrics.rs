//! `cryftgo-tee metrics`: what the verifier shows, for Prometheus. A process of its own, so that whoever scrapes talks to
//! nobody who could be harmed by it.

mod page;
mod serve;
mod text;

use std::process::ExitCode;

use contract::exit;

use super::error::CommandError;
use super::settings::SettingArgs;
use super::standing::Known;
use super::{fail, print};
use crate::config::Settings;
use crate::fault::Fault as _;
use crate::launch::sockets::{Inherited, SocketError};

pub(super) const AFTER_HELP: &str = "\
Example:
  $ cryftgo-tee metrics --print | grep verification_age
  cryftgo_tee_verification_age_seconds 4.2

Serves GET /metrics on the socket that systemd handed over: systemctl enable --now cryftgo-tee-metrics.socket, which listens
on 127.0.0.1:9464. What the running verifier shows (state_file) is read for each answer.

Exit codes: 0 printed, or stopped as asked; 71 the OS refused; 74 I/O; 78 configuration, or no socket.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print them once and end
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args, inherited: Inherited) -> ExitCode {
    let settings = match Settings::load_for_client(args.settings.command_line()) {
        Ok(settings) => settings,
        Err(error) => {
            let error = CommandError::from(error);
            return fail(&error, error.exit_code());
        }
    };
    let page = move || page::page(&Known::read(&settings));
    if args.print {
        return print(page().trim_end());
    }
    let socket = match inherited.into_tcp() {
        Ok(socket) => socket,
        Err(SocketError::None) => {
            eprintln!(
                "cryftgo-tee: no socket was handed over: systemctl enable --now cryftgo-tee-metrics.socket; --print prints them once"
            );
            return ExitCode::from(exit::CONFIG);
        }
        Err(error) => return fail(&error, error.exit_code()),
    };
    match serve::serve(socket, page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, exit::OS),
    }
}
