//! How fast the verifier measures a file beside OpenSSL.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{BenchError, Measured, median};
use crate::stage::Stage;

/// The size of the file that both hash.
const SIZE: usize = 256 * 1024 * 1024;
/// Runs of each kind, in turns.
const RUNS: usize = 7;

/// Throughput of `cryftgo-tee measure` over that of `openssl dgst -sha256`, on a file in the page cache.
pub(super) fn against_openssl(stage: &Stage) -> Result<Measured, BenchError> {
    let large = file(stage.folder.path(), "large", SIZE)?;
    let small = file(stage.folder.path(), "small", 1)?;
    let ours = |path: &Path| seconds(Command::new(&stage.binaries.verifier).arg("measure").arg(path));
    let theirs = |path: &Path| seconds(Command::new("openssl").args(["dgst", "-sha256"]).arg(path));
    // What a program needs to start is no part of its throughput: the time for one byte is taken off.
    let (mut our_net, mut their_net) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        stage.interrupt.check()?;
        our_net.push(ours(&large)? - ours(&small)?);
        their_net.push(theirs(&large)? - theirs(&small)?);
    }
    let (ours, theirs) = (median(our_net), median(their_net));
    let speed = |seconds: f64| SIZE as f64 / seconds / 1e9;
    let how = format!(
        "256 MiB in the page cache, medians of {RUNS} runs in turns: cryftgo-tee measure {:.2} GB/s, \
         openssl dgst -sha256 {:.2} GB/s; the time for a file of one byte is taken off both",
        speed(ours),
        speed(theirs)
    );
    Ok(Measured { values: vec![theirs / ours], how })
}

fn file(folder: &Path, name: &str, size: usize) -> Result<PathBuf, BenchError> {
    let path = folder.join(name);
    let failed = |source| BenchError::File { operation: "write", path: path.clone(), source };
    let mut file = std::fs::File::create(&path).map_err(failed)?;
    // Written in full: a hole would be read faster than data.
    file.write_all(&vec![0x5a; size]).map_err(failed)?;
    Ok(path)
}

fn seconds(command: &mut Command) -> Result<f64, BenchError> {
    let from = Instant::now();
    let program = command.get_program().to_owned();
    let output = command.stdout(Stdio::null()).stdin(Stdio::null()).output();
    let took = from.elapsed().as_secs_f64();
    let output = output.map_err(|source| BenchError::Run { program: program.clone(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(BenchError::RunFailed { program, status: output.status, said });
    }
    Ok(took)
}
