//! `cryftgo-tee doctor`: a look at the host and the installation before anything is started.

mod ask;
mod facts;
mod host;
mod judge;
mod signer;
mod tpm;
mod unit;

use std::process::ExitCode;

use contract::exit;

use super::call::json;
use super::print;
use super::settings::SettingArgs;
use super::status::text::{Colour, Paint};
use crate::config::Settings;
use crate::text::{one_line, sanitise};
use facts::Facts;

pub(super) const AFTER_HELP: &str = "\
Example:
  $ sudo cryftgo-tee doctor
  ok      memfd           sealed images, their mode sealed too
  WARNING journal         not kept over a reboot
          → mkdir /var/log/journal; systemd-tmpfiles --create --prefix /var/log/journal; systemctl restart systemd-journald

Only looks: nothing is started or changed; Web3Signer is asked, and the sidecar is not. As root it sees most; what this user may not see
is a warning.

Exit codes: 0 nothing is wrong; 78 something is.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print {"ok", "checks": [{"name", "outcome": "ok", "warning" or "wrong", "text", "fix"}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    /// It works, with less protection or less certainty than it could.
    Warning,
    /// It does not work, or protects nobody.
    Wrong,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    text: String,
    /// What mends it.
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, text: text.into(), fix: None }
    }

    fn warning(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warning, text: text.into(), fix: Some(fix.into()) }
    }

    fn wrong(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Wrong, text: text.into(), fix: Some(fix.into()) }
    }
}

pub(super) fn main(args: &Args) -> ExitCode {
    let checks = match Settings::load(args.settings.command_line()) {
        Ok(settings) => {
            let mut checks = vec![Check::ok("configuration", "every key is known and every value is good")];
            checks.extend(judge::all(&settings, &Facts::gather(&settings)));
            checks
        }
        // Without settings nobody knows what to look at.
        Err(error) => vec![Check::wrong("configuration", one_line(&error), "cryftgo-tee config check says all of it")],
    };
    let well = checks.iter().all(|check| check.outcome != Outcome::Wrong);
    let printed = print(&if args.json { as_json(well, &checks) } else { as_text(Colour::of_stdout(), &checks) });
    if well { printed } else { ExitCode::from(exit::CONFIG) }
}

fn as_json(well: bool, checks: &[Check]) -> String {
    let checks: Vec<_> = checks
        .iter()
        .map(|Check { name, outcome, text, fix }| {
            let outcome = match outcome {
                Outcome::Ok => "ok",
                Outcome::Warning => "warning",
                Outcome::Wrong => "wrong",
            };
            serde_json::json!({ "name": name, "outcome": outcome, "text": text, "fix": fix })
        })
        .collect();
    json(&serde_json::json!({ "ok": well, "checks": checks }))
}

fn as_text(colour: Colour, checks: &[Check]) -> String {
    let mut lines = Vec::new();
    for Check { name, outcome, text, fix } in checks {
        let (word, paint) = match outcome {
            Outcome::Ok => ("ok     ", Paint::Green),
            Outcome::Warning => ("WARNING", Paint::Yellow),
            Outcome::Wrong => ("WRONG  ", Paint::Red),
        };
        lines.push(format!("{} {name:<15} {}", colour.paint(paint, word), sanitise(text)));
        lines.extend(fix.as_ref().map(|fix| format!("        → {}", sanitise(fix))));
    }
    let count = |wanted| checks.iter().filter(|check| check.outcome == wanted).count();
    lines.push(match (count(Outcome::Wrong), count(Outcome::Warning)) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, warnings) => format!("nothing is wrong; {warnings} to consider"),
        (wrong, warnings) => format!("{wrong} wrong, {warnings} to consider"),
    });
    lines.join("\n")
}
