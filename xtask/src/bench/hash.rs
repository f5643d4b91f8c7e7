//! How fast the verifier's hash is beside OpenSSL's.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::{BenchError, Measured, median};
use crate::stage::Stage;

/// The piece in which both hash: what `openssl speed` calls a 16 KiB block.
const PIECE: usize = 16 * 1024;
/// Runs of each kind, in turns.
const RUNS: usize = 5;
/// How many pieces one run of ours hashes: 256 MiB.
const PIECES: usize = 16 * 1024;

/// Bytes per second of the `sha2` crate, which the verifier hashes with, over those of OpenSSL.
pub(super) fn against_openssl(stage: &Stage) -> Result<Measured, BenchError> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        stage.interrupt.check()?;
        ours.push(sha2_speed());
        theirs.push(openssl_speed()?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let how = format!(
        "medians of {RUNS} runs in turns, 16 KiB pieces in memory: {:.2} GB/s by the sha2 crate, {:.2} GB/s by \
         `openssl speed -evp sha256`",
        ours / 1e9,
        theirs / 1e9
    );
    Ok(Measured { values: vec![ours / theirs], how })
}

fn sha2_speed() -> f64 {
    let piece = vec![0x5a; PIECE];
    let from = Instant::now();
    // As openssl speed does it: one digest for each piece.
    for _ in 0..PIECES {
        black_box(Sha256::digest(black_box(&piece)));
    }
    (PIECE * PIECES) as f64 / from.elapsed().as_secs_f64()
}

fn openssl_speed() -> Result<f64, BenchError> {
    let output = Command::new("openssl")
        .args(["speed", "-mr", "-elapsed", "-seconds", "1", "-bytes", &PIECE.to_string(), "-evp", "sha256"])
        .output()
        .map_err(BenchError::OpenSsl)?;
    // The machine-readable line: "+F:<index>:<name>:<bytes per second>".
    let text = String::from_utf8_lossy(&output.stdout);
    let speed =
        text.lines().filter(|line| line.starts_with("+F:")).find_map(|line| line.rsplit(':').next()?.parse().ok());
    speed.ok_or_else(|| BenchError::OpenSslFailed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
