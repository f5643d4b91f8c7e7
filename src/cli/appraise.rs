//! `cryftgo-tee appraise [PATH]`.

use std::path::PathBuf;
use std::process::ExitCode;

use contract::exit;

use super::error::CommandError;
use super::settings::SettingArgs;
use super::{fail, print};
use crate::appraise::{self, Accepted, Verdict};
use crate::config::Settings;
use crate::measure::{self, PathCheck};
use crate::text::one_line;

pub(super) const AFTER_HELP: &str = "\
Nothing is started and nothing is written. Exit codes: 0 it may run, 77 it may not, 65 and 74 something could
not be read, 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The binary, wherever it stands; without it, the configured one and the way to it
    path: Option<PathBuf>,
    /// Print {"path", "digest", "accepted", "reference" or "reason"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    match appraise(args) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn appraise(args: &Args) -> Result<ExitCode, CommandError> {
    let settings = Settings::load(args.settings.command_line())?;
    // A file that is named here may not be installed yet, and then stands where anybody may put it.
    let (path, check) = match &args.path {
        Some(path) => (std::path::absolute(path).map_err(CommandError::CurrentFolder)?, PathCheck::Off),
        None => (settings.binary.clone(), settings.check_path),
    };
    let (references, _) = appraise::read(&settings.trust, &settings.state_dir)?;
    let image = measure::seal(&path, settings.image, check, &measure::Progress::default())?;
    let signed = appraise::detached(&image, &path, &settings.trust)?;
    let digest = image.digest();
    let (accepted, why) = match appraise::decide(digest, &references, &signed) {
        Verdict::Accept(Accepted::By(reference)) => (true, reference.origin),
        Verdict::Accept(Accepted::WithoutReference) => {
            (true, "nothing: there is no reference value and none is demanded".to_owned())
        }
        Verdict::Accept(Accepted::Unenforced) => {
            (true, "nothing: no reference value names it, and trust.require = \"never\"".to_owned())
        }
        Verdict::Refuse(refusal) => (false, one_line(&refusal)),
    };
    let line = if args.json {
        let why_name = if accepted { "reference" } else { "reason" };
        serde_json::json!({ "path": path, "digest": digest, "accepted": accepted, why_name: why }).to_string()
    } else if accepted {
        format!("accepted {digest} by {why}")
    } else {
        format!("refused {why}")
    };
    let printed = print(&line);
    Ok(if accepted { printed } else { ExitCode::from(exit::INTEGRITY) })
}
