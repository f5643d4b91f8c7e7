//! `cryftgo-tee manifest verify FILE`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use contract::exit;

use super::error::CommandError;
use super::settings::SettingArgs;
use super::{fail, print};
use crate::appraise::ReferenceError;
use crate::appraise::manifest::{Floor, examine};
use crate::clock;
use crate::config::Settings;
use crate::text::one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a release manifest as a start would, and print every check
    ///
    /// The signatures stand beside it, as FILE.minisig, or FILE.NAME.minisig where several people sign.
    /// Nothing is written: what a start would remember is not remembered. Exit codes: 0 it is believed,
    /// 77 it is not.
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The manifest
    file: PathBuf,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let Command::Verify(args) = &args.command;
    match verify(args) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn verify(args: &Verify) -> Result<ExitCode, CommandError> {
    let settings = Settings::load(args.settings.command_line())?;
    let floor = Floor::load(&settings.state_dir).map_err(ReferenceError::from)?;
    let now = clock::now().max(floor.last_known_time);
    let (checks, manifest) = examine(&args.file, &settings.trust, floor, now).map_err(ReferenceError::from)?;
    let mut believed = manifest.is_some();
    let mut lines = Vec::new();
    for check in &checks {
        match &check.outcome {
            Ok(found) => lines.push(format!("ok     {:<11} {}", check.name, crate::text::sanitise(found))),
            Err(fault) => {
                believed = false;
                lines.push(format!("WRONG  {:<11} {}", check.name, one_line(fault)));
            }
        }
    }
    for release in manifest.iter().flat_map(|manifest| &manifest.releases) {
        lines.push(format!("       release     {} {}", crate::text::sanitise(&release.version), release.hash));
    }
    for revoked in manifest.iter().flat_map(|manifest| &manifest.revoked) {
        lines.push(format!("       revoked     {revoked}"));
    }
    lines.push(if believed { "believed".to_owned() } else { "refused".to_owned() });
    let printed = print(&lines.join("\n"));
    Ok(if believed { printed } else { ExitCode::from(exit::INTEGRITY) })
}
