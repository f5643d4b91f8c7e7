//! `cryftgo-tee attest`.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use contract::wire::Attestation;
use contract::wire::attestation::HashSource;
use contract::{Digest, exit};
use serde::Serialize;

use super::call::{CallError, ask, json};
use super::settings::SettingArgs;
use super::{fail, print};
use crate::appraise::{self, Accepted, Detached, Verdict};
use crate::config::Settings;
use crate::measure;
use crate::sidecar::Peer;
use crate::text::{one_line, sanitise};

pub(super) const AFTER_HELP: &str = "\
Example:
  $ cryftgo-tee attest
  ok     nonce     the answer is to this question
  …

What this proves: that whoever answers on the public socket says the right things. Any program can say them, so by
itself that proves nothing. The verifier's own check does: it measured the file, launched those bytes, and believes
answers only from that process, by the kernel's credentials. Whether that check passed, and passes again and again, say
  journalctl -u cryftgo-tee   and   systemctl status cryftgo-tee

Exit codes: 0 nothing contradicts; 77 something does, or others could have written the reference values; 64 usage; 65 a
reference value is damaged; 69 no answer; 74 one cannot be read; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Send this nonce, 1 to 128 hex digits, instead of 32 random bytes
    #[arg(long, value_name = "HEX")]
    nonce: Option<String>,
    /// Print {"ok", "checks": [{"name", "outcome", "detail"}], "answered_by": {"pid", "uid"} or null, "evidence"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// How one comparison came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Wrong,
    /// There was nothing to compare with.
    Unknown,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    detail: String,
}

pub(super) fn main(args: &Args) -> ExitCode {
    match show(args) {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn show(args: &Args) -> Result<ExitCode, CallError> {
    let settings = Settings::load_for_client(args.settings.command_line())?;
    let nonce = match &args.nonce {
        Some(nonce) => given(nonce)?,
        None => crate::attest::nonce().map_err(CallError::Runtime)?,
    };
    let (evidence, answered_by) = ask(&settings, async |client| client.attestation_from(&nonce).await)?;
    let checks = [
        judge_nonce(&evidence, &nonce),
        judge_source(evidence.hash_source),
        judge_pid(evidence.pid, answered_by),
        judge_digest(evidence.core_binary_hash, &settings)?,
    ];
    let fine = checks.iter().all(|check| check.outcome != Outcome::Wrong);
    let printed = print(&if args.json {
        let by = answered_by.map(|Peer { pid, uid }| serde_json::json!({ "pid": pid, "uid": uid }));
        json(&serde_json::json!({ "ok": fine, "checks": checks, "answered_by": by, "evidence": evidence }))
    } else {
        text(&checks, fine)
    });
    Ok(if fine { printed } else { ExitCode::from(exit::INTEGRITY) })
}

fn text(checks: &[Check], fine: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for Check { name, outcome, detail } in checks {
        let word = match outcome {
            Outcome::Ok => "ok",
            Outcome::Wrong => "WRONG",
            Outcome::Unknown => "?",
        };
        lines.push(format!("{word:<6} {name:<9} {}", sanitise(detail)));
    }
    lines.push(if fine {
        "Nothing contradicts. That is what the answerer says of itself, and no proof: see --help.".to_owned()
    } else {
        "The answer CONTRADICTS what is known here. What the verifier found: journalctl -u cryftgo-tee".to_owned()
    });
    lines.join("\n")
}

/// A nonce of the user's goes into a URL, so it has to be what the sidecar takes.
fn given(nonce: &str) -> Result<String, CallError> {
    const LONGEST: usize = 128;
    if (1..=LONGEST).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(nonce.to_owned());
    }
    Err(CallError::Usage(format!("--nonce: expected 1 to {LONGEST} hex digits")))
}

fn judge_nonce(evidence: &Attestation, asked: &str) -> Check {
    let (outcome, detail) = match evidence.nonce.as_deref() {
        Some(nonce) if nonce == asked => (Outcome::Ok, "the answer is to this question".to_owned()),
        Some(other) => (Outcome::Wrong, format!("the answer is to another question, {other}: an old one, sent again")),
        None => (Outcome::Wrong, "the answer has none, so it may be an old one".to_owned()),
    };
    Check { name: "nonce", outcome, detail }
}

fn judge_source(source: HashSource) -> Check {
    let (outcome, detail) = match source {
        HashSource::Verified => (Outcome::Ok, "the sidecar says that a verifier gave it the digest"),
        HashSource::SelfReported => (Outcome::Wrong, "the sidecar hashed itself: no verifier launched it"),
    };
    Check { name: "source", outcome, detail: detail.to_owned() }
}

fn judge_pid(reported: u32, answered_by: Option<Peer>) -> Check {
    let (outcome, detail) = match answered_by {
        None => (Outcome::Unknown, format!("says pid {reported}; over TCP nobody knows who answers")),
        // The kernel writes 0 for a process that has no number here.
        Some(Peer { pid: 0, uid }) => {
            (Outcome::Unknown, format!("says pid {reported}; who answered (uid {uid}) is in another pid namespace"))
        }
        Some(Peer { pid, uid }) if pid == reported => {
            (Outcome::Ok, format!("pid {pid} (uid {uid}) answered, and names itself"))
        }
        Some(Peer { pid, uid }) => {
            (Outcome::Wrong, format!("pid {pid} (uid {uid}) answered, but the evidence is of pid {reported}"))
        }
    };
    Check { name: "pid", outcome, detail }
}

/// Holds the digest against the reference values, where this user may read them.
fn judge_digest(reported: Digest, settings: &Settings) -> Result<Check, CallError> {
    let unknown = |why: String| (Outcome::Unknown, format!("{reported}: {why}"));
    let (outcome, detail) = match appraise::read(&settings.trust, &settings.state_dir) {
        Err(error) if is_denied(&error) => {
            unknown(format!("this user may not read the reference values: {}", one_line(&error)))
        }
        // Damaged ones, or such as anybody could have written, must not look like none.
        Err(error) => return Err(error.into()),
        Ok((references, _)) => {
            let signed = signed(reported, settings);
            match appraise::decide(reported, &references, &signed) {
                Verdict::Accept(Accepted::By(reference)) => (Outcome::Ok, reference.to_string()),
                Verdict::Accept(Accepted::WithoutReference)
                | Verdict::Refuse(appraise::Refusal::NoReference { .. }) => {
                    unknown("there is no reference value".to_owned())
                }
                Verdict::Accept(Accepted::Unenforced) => {
                    unknown("no reference value names it, and trust.require = \"never\"".to_owned())
                }
                Verdict::Refuse(refusal) => (Outcome::Wrong, one_line(&refusal)),
            }
        }
    };
    Ok(Check { name: "digest", outcome, detail })
}

/// Whether something could not be read because this user may not.
fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    })
}

/// What the signatures beside the binary say, where the binary is what the sidecar says it is; it may have been
/// replaced by a newer one since.
pub(super) fn signed(reported: Digest, settings: &Settings) -> Detached {
    let binary: &Path = &settings.binary;
    if settings.trust.keys.is_empty() {
        return Detached::Nothing;
    }
    let image = measure::seal(binary, settings.image, settings.check_path, &measure::Progress::default());
    match image {
        Ok(image) if image.digest() == reported => {
            appraise::detached(&image, binary, &settings.trust).unwrap_or(Detached::Nothing)
        }
        _ => Detached::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_held_against_the_process_that_answered() {
        for (answered_by, outcome) in [
            (Some(Peer { pid: 7, uid: 1 }), Outcome::Ok),
            (Some(Peer { pid: 8, uid: 1 }), Outcome::Wrong),
            (Some(Peer { pid: 0, uid: 1 }), Outcome::Unknown),
            (None, Outcome::Unknown),
        ] {
            assert_eq!(judge_pid(7, answered_by).outcome, outcome, "{answered_by:?}");
        }
    }

    #[test]
    fn a_nonce_is_hex_and_bounded() {
        for good in ["0", "00ff", &"Af".repeat(64)] {
            assert_eq!(given(good).ok().as_deref(), Some(good));
        }
        for bad in ["", "0x00", "a b", "?", &"0".repeat(129)] {
            assert_eq!(given(bad).expect_err(bad).exit_code(), exit::USAGE);
        }
    }
}
