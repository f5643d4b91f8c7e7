//! `cryftgo-tee status`.

use std::process::ExitCode;

use contract::exit;
use contract::wire::StakingStatus;

use super::call::{CallError, ask, json};
use super::settings::SettingArgs;
use super::{fail, print};
use crate::audit::sanitise;
use crate::config::Settings;

pub(super) const AFTER_HELP: &str = "\
Example:
  $ cryftgo-tee status --json | jq .ready
  true

The running sidecar is asked over its public socket or address (cryfttee.transport).

Exit codes: 0 it is ready to sign; 69 it is not, or does not answer; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print {"ready", "sidecar": its answer to GET /v1/staking/status}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// What there is to say. One field for each that was asked.
struct Report {
    sidecar: StakingStatus,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let report = match collect(args) {
        Ok(report) => report,
        Err(error) => return fail(&error, error.exit_code()),
    };
    let printed = print(&if args.json { report.json() } else { report.text() });
    if report.is_ready() { printed } else { ExitCode::from(exit::UNAVAILABLE) }
}

fn collect(args: &Args) -> Result<Report, CallError> {
    let settings = Settings::load_for_client(args.settings.command_line())?;
    let sidecar = ask(&settings, async |client| client.status().await)?;
    Ok(Report { sidecar })
}

impl Report {
    /// It can sign. The sidecar's own word includes its signer's, but an old one's need not.
    const fn is_ready(&self) -> bool {
        self.sidecar.ready && self.sidecar.web3signer_connected
    }

    fn json(&self) -> String {
        json(&serde_json::json!({ "ready": self.is_ready(), "sidecar": self.sidecar }))
    }

    fn text(&self) -> String {
        let Self { sidecar } = self;
        let answers = if sidecar.web3signer_connected { "answers" } else { "does not answer" };
        let mut lines = vec![
            format!("sidecar       {}", if self.is_ready() { "ready to sign" } else { "NOT ready to sign" }),
            format!("Web3Signer    {answers} at {}", sanitise(&sidecar.web3signer_url)),
        ];
        lines.extend(listed("BLS keys", sidecar.bls_pubkeys.iter().map(ToString::to_string)));
        lines.extend(listed("TLS keys", sidecar.tls_pubkeys.iter().map(ToString::to_string)));
        lines.extend(listed("capabilities", sidecar.capabilities.iter().map(|text| sanitise(text))));
        lines.push(format!("module        {}", sanitise(&sidecar.module_version)));
        lines.join("\n")
    }
}

/// A line for each of the first few, and how many more there are.
fn listed(name: &str, items: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    const SHOWN: usize = 8;
    let more = items.len().saturating_sub(SHOWN);
    let mut lines: Vec<String> = items.take(SHOWN).collect();
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    if more > 0 {
        lines.push(format!("and {more} more; --json prints all"));
    }
    let name_once = std::iter::once(name).chain(std::iter::repeat(""));
    name_once.zip(lines).map(|(name, line)| format!("{name:<13} {line}")).collect()
}
