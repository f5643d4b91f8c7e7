//! `cargo xtask demo`: the whole system on this machine, each step shown as it happens.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use contract::wire::{Attestation, StakingStatus, path};
use contract::{Bytes, Digest, NodeId};

use crate::stage::{self, CallError, DigestError, Profile, Stage, StageError, Unit, UnitError};

mod report;
mod say;
mod signatures;
mod tamper;
mod vote;

use report::{Report, SignedData, SignedMessage};
use say::Say;
use signatures::SignatureError;
use tamper::TamperError;
use vote::Vote;

/// Time between re-checks in the demo: short, so that one can be seen.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// What the client has signed, beside a vote.
const DATA: &[u8] = b"cryftgo-tee demo: a TLS payload";

/// Run the whole system for a few seconds and show each step: no root, no systemd, loopback only.
///
/// Builds the programs, plays systemd's part (listening socket, notify socket, watchdog), starts a
/// development signer for each kind of key, as strict as a stock Web3Signer, and runs the verifier: it
/// measures the sidecar, launches exactly the measured bytes, attests it and sets up keys. Then a client
/// signs through the socket and both signatures are verified with other libraries. Last, one byte of a copy of the sidecar is flipped, and the verifier refuses it.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object as the last line of stdout; what is for people goes to stderr.
    #[arg(long)]
    json: bool,
    /// Keep serving until Ctrl-C, so that you can try the socket yourself.
    #[arg(long)]
    stay: bool,
    /// Have both signers do what a stock Web3Signer does not, by name: raw, proofs, digest, generate, clear-errors
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    extensions: Vec<String>,
}

/// Why the demo could not show what it claims.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error("as a client: {0}")]
    Call(#[from] CallError),
    #[error("claim not kept: the sidecar attests {attested}, but the file is {measured}")]
    OtherBinary { attested: Digest, measured: Digest },
    #[error("claim not kept: the signer is ready, but lists no {0} key")]
    NoKey(&'static str),
    #[error("read what the verifier saved as {name}: {source}")]
    Saved { name: &'static str, source: std::io::Error },
    #[error("claim not kept: the verifier saved {name} as {saved:?}, expected {expected:?}")]
    OtherIdentity { name: &'static str, saved: String, expected: String },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Tamper(#[from] TamperError),
    #[error("claim not kept: after SIGTERM the verifier ended with {0}")]
    UncleanStop(std::process::ExitStatus),
    #[error("claim not kept: the verifier stopped without saying STOPPING=1")]
    SilentStop,
    #[error("claim not kept: the sidecar (pid {0}) is still there after the stop")]
    LeftBehind(u32),
    #[error("the verifier ended by itself ({status}): {said}")]
    EndedWhileServing { status: std::process::ExitStatus, said: String },
    #[error("print the report: {0}")]
    Print(#[source] std::io::Error),
}

/// Runs the demo; the exit code is 0 only if every step was as claimed.
pub(crate) fn run(args: DemoArgs) -> ExitCode {
    let say = Say::new(args.json);
    match show(&args, &say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say.failed(&error);
            ExitCode::FAILURE
        }
    }
}

fn show(args: &DemoArgs, say: &Say) -> Result<(), DemoError> {
    say.heading("Build");
    say.note("cargo build --release: cryftgo-tee (the verifier), cryfttee (the sidecar), cryfttee-devsigner");
    let stage = Stage::set("demo-", Profile::Release, &args.extensions)?;
    say.note(&format!("everything below lives in {} and goes when this ends", stage.folder.path().display()));
    let signers = [("eth2", "BLS keys", &stage.signers.eth2), ("eth1", "the secp256k1 key", &stage.signers.eth1)];
    for (kind, has, signer) in signers {
        say.note(&format!("development signer (in place of Web3Signer {kind}, has {has}): {}", signer.url));
    }
    say.note(&match args.extensions.as_slice() {
        [] => "both as strict as a stock Web3Signer: typed requests only, and no key is made by them".to_owned(),
        on => format!("extensions that a stock Web3Signer does not have: {}", on.join(", ")),
    });

    say.heading("Start, as systemd would: listening socket, NOTIFY_SOCKET, watchdog");
    let genuine = stage::digest_of(&stage.binaries.sidecar)?;
    let mut settings = stage.unit("node", &stage.binaries.sidecar, genuine);
    settings.watch_interval = Some(WATCH_INTERVAL);
    let mut unit = Unit::start(&settings)?;
    let ready = unit.wait_ready(&stage.interrupt, |after, status| say.step(after, status))?;
    say.step(ready, "READY");

    say.heading("Use, as a client of the public socket would");
    let attestation: Attestation = stage::get(&unit.socket, path::ATTESTATION)?.json()?;
    if attestation.core_binary_hash != genuine {
        return Err(DemoError::OtherBinary { attested: attestation.core_binary_hash, measured: genuine });
    }
    say.good("attestation", "the sidecar names the hash that this command computed from the file");
    let report = sign(&unit, genuine, ready, say)?.with_signers(&stage.signers, &args.extensions);
    unit.wait_watchdog(WATCH_INTERVAL * 20, &stage.interrupt)?;
    say.good("re-check", "the running binary was measured again, and only then the watchdog was fed");

    say.heading("Tamper: one byte of a copy of the sidecar flipped, the genuine hash pinned");
    let refusal = tamper::flip_one_byte(&stage, genuine)?;
    say.good("refused", &format!("exit code {}, no READY, no key touched", refusal.exit_code));
    say.note(&refusal.detail);
    let mut report = Report { tamper: refusal, ..report };

    if args.stay {
        report.socket = Some(unit.socket.clone());
        say.table(&report.rows());
        say.invitation(&unit.socket, &report);
        if args.json {
            report.print().map_err(DemoError::Print)?;
        }
        serve(&mut unit, &stage)?;
    }

    say.heading("Stop");
    let stopped = stop(unit, attestation.pid)?;
    say.good("stopped", &format!("{:.1} ms after SIGTERM, exit code 0, sidecar gone", millis(stopped)));
    if !args.stay {
        say.table(&report.rows());
        if args.json {
            report.print().map_err(DemoError::Print)?;
        }
    }
    Ok(())
}

/// Signs with both keys, verifies with other libraries, and checks what the verifier saved.
fn sign(unit: &Unit, core_binary_hash: Digest, ready: Duration, say: &Say) -> Result<Report, DemoError> {
    let status: StakingStatus = stage::get(&unit.socket, path::STATUS)?.json()?;
    let bls_pubkey = *status.bls_pubkeys.first().ok_or(DemoError::NoKey("BLS"))?;
    let tls_pubkey = *status.tls_pubkeys.first().ok_or(DemoError::NoKey("TLS"))?;
    let node_id = NodeId::of(&tls_pubkey);
    let identity = [
        ("bls_pubkey", bls_pubkey.to_string()),
        ("tls_pubkey", tls_pubkey.to_string()),
        ("node_id", node_id.to_string()),
    ];
    for (name, expected) in identity {
        let saved = std::fs::read_to_string(unit.state.join("staking").join(name));
        let saved = saved.map_err(|source| DemoError::Saved { name, source })?.trim_end().to_owned();
        if saved != expected {
            return Err(DemoError::OtherIdentity { name, saved, expected });
        }
    }
    say.good("identity", &format!("{node_id}, saved with both public keys"));

    let (body, root) = (Vote::DEMO.body(), Vote::DEMO.signing_root());
    let asked = Instant::now();
    let signature = signatures::sign_bls(&unit.socket, &bls_pubkey, &body)?;
    say.good("bls/sign", &format!("ATTESTATION, typed, signed in {:.1} ms", millis(asked.elapsed())));
    signatures::check_bls(&bls_pubkey, &root, &signature)?;
    say.good(
        "",
        "verified with bls12_381_plus (signed with blst) over the signing root computed here; another is refused",
    );
    let bls = SignedMessage { message: Bytes(root.to_vec()), signature };

    let asked = Instant::now();
    let signature = signatures::sign_tls(&unit.socket, &tls_pubkey, DATA)?;
    say.good("tls/sign", &format!("payload signed in {:.1} ms", millis(asked.elapsed())));
    signatures::check_tls(&tls_pubkey, DATA, &signature)?;
    say.good("", "verified with libsecp256k1 (signed with k256); the key is recovered from it; other data is refused");
    let tls = SignedData { data: Bytes(DATA.to_vec()), signature };

    let ready_ms = millis(ready);
    Ok(Report {
        node_id,
        bls_pubkey,
        tls_pubkey,
        core_binary_hash,
        ready_ms,
        bls,
        tls,
        tamper: report::Refusal::default(),
        web3signer_url: String::new(),
        web3signer_eth1_url: String::new(),
        extensions: Vec::new(),
        socket: None,
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Serves until the user has had enough. An end of the verifier is an error.
fn serve(unit: &mut Unit, stage: &Stage) -> Result<(), DemoError> {
    while !stage.interrupt.noted() {
        for event in unit.look()? {
            if let stage::Event::Ended(status) = event {
                return Err(DemoError::EndedWhileServing { status, said: unit.last_line() });
            }
        }
    }
    Ok(())
}

/// Stops the verifier and makes sure that nothing is left of it.
fn stop(unit: Unit, sidecar: u32) -> Result<Duration, DemoError> {
    let stopped = unit.stop()?;
    if !stopped.status.success() {
        return Err(DemoError::UncleanStop(stopped.status));
    }
    if !stopped.announced {
        return Err(DemoError::SilentStop);
    }
    if std::path::Path::new("/proc").join(sidecar.to_string()).exists() {
        return Err(DemoError::LeftBehind(sidecar));
    }
    Ok(stopped.took)
}
