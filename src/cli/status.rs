//! `cryftgo-tee status`.

pub(super) mod text;

use std::process::ExitCode;
use std::time::Duration;

use contract::exit;
use contract::wire::StakingStatus;

use super::call::{CallError, ask, json};
use super::settings::SettingArgs;
use super::standing::{Known, Standing};
use super::{fail, print};
use crate::config::Settings;
use crate::text::one_line;
use text::Colour;

pub(super) const AFTER_HELP: &str = "\
Example:
  $ cryftgo-tee status --json | jq .ready
  true

What the verifier shows (state_file) is for every user. The running sidecar is asked as well, over its public socket or
address (cryfttee.transport), where this user may and where the service runs: asking never starts it. Where there is no
verifier on this host, --state-file= asks the sidecar alone.

Exit codes: 0 ready to sign; 69 not ready, or nothing current is known; 77 locked; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print {"ready", "standing", "why", "stale", "check_age_ms", "state": what the verifier shows, "sidecar": its answer
    /// to GET /v1/staking/status, "sidecar_error"}, null where unknown
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// What there is to say.
struct Report {
    known: Known,
    standing: Standing,
    sidecar: Option<StakingStatus>,
    /// Why there is no answer of the sidecar's.
    sidecar_error: Option<String>,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let report = match collect(args) {
        Ok(report) => report,
        Err(error) => return fail(&error, error.exit_code()),
    };
    let printed = print(&if args.json { report.json() } else { report.text(Colour::of_stdout()) });
    match report.standing.exit_code() {
        exit::OK => printed,
        code => ExitCode::from(code),
    }
}

fn collect(args: &Args) -> Result<Report, CallError> {
    let settings = Settings::load_for_client(args.settings.command_line())?;
    let known = Known::read(&settings);
    if settings.state_file.is_none() {
        // Then nobody else knows anything.
        let sidecar = ask(&settings, async |client| client.status().await)?;
        let standing = match is_ready(&sidecar) {
            true => Standing::Ready,
            false => Standing::NotReady("the sidecar says that it cannot sign".to_owned()),
        };
        return Ok(Report { known, standing, sidecar: Some(sidecar), sidecar_error: None });
    }
    let standing = known.standing();
    // A connection to the socket of a service that does not run would start it.
    if !known.current().is_some_and(|state| state.state.serves()) {
        return Ok(Report { known, standing, sidecar: None, sidecar_error: None });
    }
    Ok(match ask_soon(&settings) {
        Ok(sidecar) => {
            let standing = match standing {
                Standing::Ready if !is_ready(&sidecar) => {
                    Standing::NotReady("the sidecar says that it cannot sign".to_owned())
                }
                standing => standing,
            };
            Report { known, standing, sidecar: Some(sidecar), sidecar_error: None }
        }
        Err((may_ask, why)) => {
            let standing = match standing {
                Standing::Ready if may_ask => Standing::NotReady(format!("the sidecar does not answer: {why}")),
                standing => standing,
            };
            Report { known, standing, sidecar: None, sidecar_error: Some(why) }
        }
    })
}

/// Asks for the sidecar's answer, for no longer than somebody waits at a terminal. Else whether this user may ask at all, and
/// why there is no answer.
fn ask_soon(settings: &Settings) -> Result<StakingStatus, (bool, String)> {
    const AT_MOST: Duration = Duration::from_secs(5);
    let settings = Settings { request_timeout: settings.request_timeout.min(AT_MOST), ..settings.clone() };
    let mut may_ask = false;
    let asked = ask(&settings, async |client| {
        client.status().await.inspect_err(|error| may_ask = !error.is_about_the_caller())
    });
    asked.map_err(|error| (may_ask, one_line(&error)))
}

/// It can sign. The sidecar's own word includes its signer's, but an old one's need not.
const fn is_ready(sidecar: &StakingStatus) -> bool {
    sidecar.ready && sidecar.web3signer_connected
}

impl Report {
    fn json(&self) -> String {
        let Known { state, unfit, seen, .. } = &self.known;
        let age = state.as_ref().zip(seen.as_ref()).and_then(|(state, seen)| state.check_age(seen));
        json(&serde_json::json!({
            "ready": self.standing == Standing::Ready,
            "standing": self.standing.as_str(),
            "why": self.standing.why(),
            "stale": unfit,
            "check_age_ms": age,
            "state": state,
            "sidecar": self.sidecar,
            "sidecar_error": self.sidecar_error,
        }))
    }
}
