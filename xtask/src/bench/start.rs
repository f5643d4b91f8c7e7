//! What verification adds to the sidecar's own start.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contract::wire::{StakingStatus, path};
use contract::{Digest, env};

use super::{BenchError, Measured, median};
use crate::stage::{self, ByHand, Stage, Unit};

/// The size of the released sidecar that operators know.
pub(super) const RELEASED_MIB: u64 = 15;
/// A size that is large for a sidecar.
const LARGE_MIB: u64 = 50;
/// Runs of each kind, taken in turns so that both see the same machine.
const RUNS: usize = 15;
/// How long the sidecar alone may take to its first answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time from exec of the verifier to READY, over the time from exec of the sidecar to its first answer.
pub(super) fn ratio(stage: &Stage) -> Result<Measured, BenchError> {
    let starts = starts(stage, RELEASED_MIB)?;
    Ok(Measured { values: vec![starts.verified / starts.alone], how: starts.how })
}

/// The difference of the same two times, in milliseconds, with a large sidecar.
pub(super) fn overhead(stage: &Stage) -> Result<Measured, BenchError> {
    let starts = starts(stage, LARGE_MIB)?;
    Ok(Measured { values: vec![starts.verified - starts.alone], how: starts.how })
}

/// Medians in milliseconds.
struct Starts {
    verified: f64,
    alone: f64,
    how: String,
}

fn starts(stage: &Stage, mib: u64) -> Result<Starts, BenchError> {
    let sidecar = padded(stage, mib)?;
    let pin = stage::digest_of(&sidecar)?;
    let settings = stage.unit(&format!("start-{mib}"), &sidecar, pin);
    // The first start makes the keys; every later one finds them.
    let keys = {
        let mut unit = Unit::start(&settings)?;
        unit.wait_ready(&stage.interrupt, |_, _| {})?;
        let keys = stage::get(&unit.socket, path::STATUS)?.json::<StakingStatus>()?;
        unit.stop()?;
        keys
    };
    let (mut verified, mut alone, mut self_hashing) = (Vec::new(), Vec::new(), Vec::new());
    let mut steps = Vec::new();
    for _ in 0..RUNS {
        let mut unit = Unit::start(&settings)?;
        steps.clear();
        let step = |after, status: &str| steps.push(format!("{:.1} {}", millis(after), first_word(status)));
        verified.push(millis(unit.wait_ready(&stage.interrupt, step)?));
        unit.stop()?;
        alone.push(millis(by_hand(stage, &sidecar, &keys, Some(pin))?));
        self_hashing.push(millis(by_hand(stage, &sidecar, &keys, None)?));
    }
    let (verified, alone, self_hashing) = (median(verified), median(alone), median(self_hashing));
    let how = format!(
        "medians of {RUNS} runs in turns, sidecar padded to {mib} MiB, keys already there: {verified:.1} ms from exec of \
         the verifier to READY; {alone:.1} ms from exec of the sidecar alone, with the same environment, to its first \
         answer to GET {} ({self_hashing:.1} ms where it has no verified hash and hashes itself: ratio {:.2}); steps of the last run in ms: {}",
        path::STATUS,
        verified / self_hashing,
        steps.join(", ")
    );
    Ok(Starts { verified, alone, how })
}

/// A copy of the sidecar with zeroes after the ELF, which the loader does not look at.
fn padded(stage: &Stage, mib: u64) -> Result<PathBuf, BenchError> {
    padded_in(stage, stage.folder.path(), &format!("cryfttee-{mib}mib"), mib)
}

/// The same in another folder, which is made.
pub(super) fn padded_in(stage: &Stage, folder: &Path, name: &str, mib: u64) -> Result<PathBuf, BenchError> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder).map_err(|source| BenchError::File {
        operation: "make",
        path: folder.to_owned(),
        source,
    })?;
    let failed = |operation| {
        let path = path.clone();
        move |source| BenchError::File { operation, path, source }
    };
    let mut bytes = std::fs::read(&stage.binaries.sidecar).map_err(failed("read what becomes"))?;
    let size = usize::try_from(mib * 1024 * 1024).unwrap_or_default().max(bytes.len());
    bytes.resize(size, 0);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path);
    file.and_then(|mut file| file.write_all(&bytes)).map_err(failed("write"))?;
    Ok(path)
}

/// The sidecar on a socket of its own, until its first answer.
fn by_hand(
    stage: &Stage,
    sidecar: &Path,
    keys: &StakingStatus,
    verified: Option<Digest>,
) -> Result<Duration, BenchError> {
    let socket = stage.folder.path().join("alone.sock");
    let text = |key: Option<String>| key.unwrap_or_default();
    let bls = text(keys.bls_pubkeys.first().map(ToString::to_string));
    let tls = text(keys.tls_pubkeys.first().map(ToString::to_string));
    let hash = verified.map(|digest| digest.to_string());
    let signer = stage.signers.settings();
    let mut environment: Vec<(&str, &OsStr)> = vec![
        (env::API_TRANSPORT, "uds".as_ref()),
        (env::UDS_PATH, socket.as_os_str()),
        (env::WEB3SIGNER_URL, signer.url.as_ref()),
        (env::WEB3SIGNER_ETH1_URL, signer.eth1_url.as_deref().unwrap_or_default().as_ref()),
        (env::KEY_GENERATION, signer.key_generation.as_ref()),
        (env::EXPECTED_BLS_PUBKEY, bls.as_ref()),
        (env::EXPECTED_TLS_PUBKEY, tls.as_ref()),
    ];
    environment.extend(hash.as_deref().map(|hash| (env::VERIFIED_BINARY_HASH, OsStr::new(hash))));
    let mut alone = ByHand::start(sidecar, &environment, stage.folder.path())?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        // Refused or not there until it listens.
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            stage::get(&socket, path::STATUS)?.json::<StakingStatus>()?;
            return Ok(alone.since_exec(Instant::now())?);
        }
        stage.interrupt.check()?;
        std::thread::sleep(Duration::from_micros(100));
    }
    Err(BenchError::NoAnswer { within: PATIENCE, said: alone.last_line() })
}

/// The number of a step stands before its text.
fn first_word(status: &str) -> &str {
    status.split(' ').next().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
