//! `cryftgo-tee evidence` and `cryftgo-tee evidence verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use contract::{Bytes, Digest, NodeId, exit};

use super::call::{CallError, client, json};
use super::node::{self, Found};
use super::settings::SettingArgs;
use super::{attest, fail, print};
use crate::config::{Settings, parse_time};
use crate::evidence::tpm::Found as Tpm;
use crate::evidence::{self, Document, Expected, GatherError, Outcome, Subject, canonical, gather, judge};
use crate::signed::{self, Kind, SignError};
use crate::text::{one_line, sanitise};
use crate::tpm::Key;
use crate::{appraise, clock, durable};

pub(super) const AFTER_HELP: &str = "\
Example:
  # cryftgo-tee evidence --nonce 8f1c09a2d4e67b35 --out evidence.json
  $ cryftgo-tee evidence verify evidence.json --nonce 8f1c09a2d4e67b35 --node-id NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2

The nonce is of whoever asks, and random. Run as root, on the host whose sidecar runs: the running image and all that it
executes are measured anew, and the result is signed with the node's TLS key. Where the service extends what it launches into
a TPM, the TPM quotes it, for this statement alone. docs/evidence.md says what that proves.

Exit codes: 0 made; 64 usage; 65 a file is damaged; 69 the sidecar or its signer does not answer; 71 and 74 the host cannot
be looked at; 78 configuration.";

const VERIFY_HELP: &str = "\
Example:
  $ cryftgo-tee evidence verify evidence.json --nonce 8f1c09a2d4e67b35 --node-id NodeID-0f715baf… --digest sha256:1f0c…

On any machine, by any user; no configuration is read. With --tpm-key, the quote in it must be of that TPM: docs/evidence.md.

Exit codes: 0 it holds; 77 something in it does not; 65 it is not evidence; 64 usage; 74 it cannot be read.";

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// What whoever asks sent: 16 to 128 hex digits
    #[arg(long, value_name = "HEX", required = true)]
    nonce: Option<String>,
    /// Write the document to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a document of another host holds
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The document; - is standard input
    file: PathBuf,
    /// The nonce that was sent
    #[arg(long, value_name = "HEX")]
    nonce: String,
    /// The node that was asked
    #[arg(long, value_name = "NODE-ID")]
    node_id: NodeId,
    /// What should run there
    #[arg(long, value_name = "DIGEST")]
    digest: Option<Digest>,
    /// How old the document may be
    #[arg(long, value_name = "TIME", default_value = "5m")]
    max_age: String,
    /// The key of that host's TPM, as noted before: a TPM2B_PUBLIC in hex, or a file with it
    #[arg(long, value_name = "HEX|FILE")]
    tpm_key: Option<String>,
    /// What the PCR has on that host before anything is launched; without this flag, zero
    #[arg(long, value_name = "DIGEST")]
    tpm_baseline: Option<Digest>,
    /// Refuse a document without a quote of a TPM, and one that does not account for every launch
    #[arg(long)]
    require_tpm: bool,
    /// Print {"ok", "checks": [{"name", "outcome", "detail"}], "statement"}
    #[arg(long)]
    json: bool,
}

/// Evidence cannot be made.
#[derive(Debug, thiserror::Error)]
enum EvidenceError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("look at the host")]
    Gather(#[from] GatherError),
    #[error("sign the evidence")]
    Sign(#[from] SignError),
}

impl EvidenceError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Call(error) => error.exit_code(),
            Self::Gather(GatherError::Gone(_)) => exit::UNAVAILABLE,
            Self::Gather(
                GatherError::Proc { .. }
                | GatherError::Measure(_)
                | GatherError::Library(_)
                | GatherError::Tpm(_)
                | GatherError::Read(..),
            ) => exit::IO,
            Self::Sign(error) => error.exit_code(),
        }
    }
}

pub(super) fn main(args: &Args) -> ExitCode {
    match &args.command {
        Some(Command::Verify(args)) => verify(args).unwrap_or_else(|error| fail(&error, error.exit_code())),
        None => make(args).unwrap_or_else(|error| fail(&error, error.exit_code())),
    }
}

fn make(args: &Args) -> Result<ExitCode, EvidenceError> {
    let nonce = given(args.nonce.as_deref().unwrap_or_default())?;
    let settings = Settings::load_for_client(args.settings.command_line()).map_err(CallError::from)?;
    let node = match node::read(&settings)? {
        Found::Node(node, _) => node,
        Found::Nowhere(why) => return Err(CallError::NotThere(format!("no identity yet: {why}")).into()),
    };
    let tls = node.tls_pubkey.ok_or_else(|| CallError::NotThere("the node has no TLS key yet".to_owned()))?;
    let (references, _) = appraise::read(&settings.trust, &settings.state_dir).map_err(CallError::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CallError::Runtime)?;
    let client = client(&settings).map_err(CallError::from)?;
    let (attestation, peer) = runtime.block_on(client.attestation_from(&nonce)).map_err(CallError::from)?;
    let pid = peer.map(|peer| peer.pid).filter(|pid| *pid != 0).ok_or_else(|| {
        CallError::Usage("only a Unix socket on this very host says which process answers".to_owned())
    })?;
    let detached = |digest| attest::signed(digest, &settings);
    let subject = Subject {
        nonce: &nonce,
        pid,
        attestation: &attestation,
        tls,
        bls: node.bls_pubkey,
        references: &references,
        detached: &detached,
    };
    let statement = gather(&subject, &settings)?;
    let plain = |error: serde_json::Error| CallError::Data(error.to_string());
    let mut statement = serde_json::to_value(statement).map_err(plain)?;
    match evidence::tpm::measured(&statement, &settings)? {
        Tpm::Measured(measured) => statement["tpm"] = serde_json::to_value(measured).map_err(plain)?,
        Tpm::Nothing(why) => eprintln!("cryftgo-tee: without a quote of a TPM: {}", sanitise(&why)),
    }
    let signature = runtime.block_on(signed::sign(&client, &tls, Kind::Evidence, &canonical(&statement)))?;
    let text = json(&serde_json::json!({ "statement": statement, "signature": signature }));
    let Some(path) = &args.out else { return Ok(print(&text)) };
    let failed = |source| CallError::Read { what: format!("(write) {}", path.display()), source };
    durable::publish(path, format!("{text}\n").as_bytes()).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

fn given(nonce: &str) -> Result<String, CallError> {
    if (16..=128).contains(&nonce.len()) && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(nonce.to_owned());
    }
    Err(CallError::Usage("--nonce: expected 16 to 128 hex digits".to_owned()))
}

fn verify(args: &VerifyArgs) -> Result<ExitCode, CallError> {
    let max_age = parse_time(&args.max_age)
        .ok_or_else(|| CallError::Usage("--max-age: expected a time such as 5m or 90s".to_owned()))?;
    let expected = Expected {
        nonce: given(&args.nonce)?,
        node_id: args.node_id,
        digest: args.digest,
        max_age,
        now: clock::now(),
        tpm_key: args.tpm_key.as_deref().map(tpm_key).transpose()?,
        tpm_baseline: args.tpm_baseline,
        require_tpm: args.require_tpm,
    };
    let text = read(&args.file)?;
    let (document, statement) = Document::read(&text).map_err(|error| CallError::Data(one_line(&error)))?;
    let checks = judge(&document, &statement, &expected);
    let fine = checks.iter().all(|check| check.outcome != Outcome::Wrong);
    let printed = print(&if args.json {
        json(&serde_json::json!({ "ok": fine, "checks": checks, "statement": document.statement }))
    } else {
        as_text(&checks, fine)
    });
    Ok(if fine { printed } else { ExitCode::from(exit::INTEGRITY) })
}

/// In hex, or the file that has it, in hex or as it is.
fn tpm_key(given: &str) -> Result<Vec<u8>, CallError> {
    let key = match given.parse::<Bytes>() {
        Ok(Bytes(key)) if given.starts_with("0x") => key,
        _ => {
            let bytes = read(given.as_ref())?;
            let text = std::str::from_utf8(&bytes).ok().map(str::trim);
            let hex = text.filter(|text| text.starts_with("0x")).and_then(|text| text.parse::<Bytes>().ok());
            hex.map_or(bytes, |Bytes(key)| key)
        }
    };
    Key::read(&key).map_err(|error| CallError::Usage(format!("--tpm-key: {error}")))?;
    Ok(key)
}

fn as_text(checks: &[evidence::Check], fine: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for evidence::Check { name, outcome, detail } in checks {
        let word = match outcome {
            Outcome::Ok => "ok",
            Outcome::Wrong => "WRONG",
            Outcome::Unknown => "?",
        };
        lines.push(format!("{word:<6} {name:<10} {}", sanitise(detail)));
    }
    lines.push(if fine {
        "It holds. Proven: whoever can use the node's TLS key said this, in answer to this nonce. Not proven: that it is \
         true. The verifier on that host says it, and whoever is root there can lie."
            .to_owned()
    } else {
        "It does NOT hold.".to_owned()
    });
    let is_known = checks.iter().any(|check| check.name == "tpm-key" && check.outcome == Outcome::Ok);
    lines.extend((fine && is_known).then(|| {
        "Proven as well: in the TPM whose key was given, this digest is the last that was extended, and nothing that was \
         extended can be taken back before that host is started again."
            .to_owned()
    }));
    lines.join("\n")
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, CallError> {
    use std::io::{self, Read as _};
    const MAX: u64 = 4 * 1024 * 1024;
    let failed = |source| CallError::Read { what: path.display().to_string(), source };
    if path == std::path::Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().take(MAX).read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    let bytes = durable::read(path, MAX).map_err(failed)?;
    bytes.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}
