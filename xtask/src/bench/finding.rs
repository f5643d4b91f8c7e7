//! How soon a sidecar is dead once something was found in it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contract::wire::{Attestation, path};

use super::detect::message;
use super::sys::Watched;
use super::{BenchError, Measured, sign, start};
use crate::stage::{self, Heard, Stage, Unit};

/// Sidecars that are tampered with.
const FINDINGS: usize = 100;
/// The time between re-checks here: it delays the finding, and not what follows it.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a finding may take, and a death after it.
const PATIENCE: Duration = Duration::from_secs(15);

/// From the finding's line to the sidecar's end, 99th percentile in milliseconds.
pub(super) fn to_death(stage: &Stage) -> Result<Measured, BenchError> {
    let folder = stage.folder.path().join("finding");
    let sidecar = start::padded_in(stage, &folder, "cryfttee", start::RELEASED_MIB)?;
    let pin = stage::digest_of(&sidecar)?;
    let (mut deaths, mut since_tampering) = (Vec::new(), Vec::new());
    for number in 0..FINDINGS {
        stage.interrupt.check()?;
        // A folder of its own for each: the last one's verifier is locked.
        let mut settings = stage.unit(&format!("f{number}"), &sidecar, pin);
        settings.watch_interval = Some(INTERVAL);
        let (mut unit, heard) = Unit::start_heard(&settings)?;
        unit.wait_ready(&stage.interrupt, |_, _| {})?;
        let pid = stage::get(&unit.socket, path::ATTESTATION)?.json::<Attestation>()?.pid;
        let failed = |source| BenchError::Watch { pid, source };
        let process = Watched::process(pid).map_err(failed)?;
        let tampered = Instant::now();
        patch_text(pid)?;
        let found = await_finding(&heard, tampered)?;
        if !process.wait(PATIENCE).map_err(failed)? {
            return Err(BenchError::Outlived { pid, what: "a finding" });
        }
        let dead = Instant::now();
        deaths.push(dead.saturating_duration_since(found).as_secs_f64() * 1000.0);
        since_tampering.push((dead - tampered).as_secs_f64() * 1000.0);
        let (status, _) = unit.wait_end(&stage.interrupt)?;
        if status.code() != Some(i32::from(contract::exit::INTEGRITY)) {
            let said = unit.last_line();
            return Err(BenchError::RunFailed { program: "cryftgo-tee, after a finding,".into(), status, said });
        }
        // The evidence that the verifier keeps is as large as the sidecar.
        drop(unit);
        let folder = settings.folder;
        std::fs::remove_dir_all(&folder).map_err(|source| BenchError::File {
            operation: "remove",
            path: folder,
            source,
        })?;
        if number % 20 == 19 {
            eprintln!("  {} of {FINDINGS} findings", number + 1);
        }
    }
    let p99 = sign::percentile(&mut deaths, 99);
    let how = format!(
        "{FINDINGS} sidecars of 15 MiB, each with one byte of its code written through /proc/PID/mem; from the line \
         \"Finding: \" on the verifier's stderr to the end of the process as its pidfd tells it: median {:.1} ms, longest \
         {:.1} ms; from the write to the end, with an interval of {} ms: median {:.0} ms, longest {:.0} ms; the verifier ended \
         with {} each time; load average {}",
        sign::percentile(&mut deaths, 50),
        sign::percentile(&mut deaths, 100),
        INTERVAL.as_millis(),
        sign::percentile(&mut since_tampering, 50),
        sign::percentile(&mut since_tampering, 100),
        contract::exit::INTEGRITY,
        sign::load_average(),
    );
    Ok(Measured { values: vec![p99], how })
}

/// Writes the first byte of the sidecar's code over itself: the code stays as good as it was, and is no longer the
/// file's. The write goes through the kernel, so no stop of the process gives it away.
fn patch_text(pid: u32) -> Result<(), BenchError> {
    let maps = PathBuf::from(format!("/proc/{pid}/maps"));
    let failed = |operation, path: &PathBuf| {
        let path = path.clone();
        move |source| BenchError::File { operation, path, source }
    };
    let text = std::fs::read_to_string(&maps).map_err(failed("read", &maps))?;
    let place = first_code(&text).ok_or(io::ErrorKind::InvalidData.into()).map_err(failed("find code in", &maps))?;
    let memory = PathBuf::from(format!("/proc/{pid}/mem"));
    let file = OpenOptions::new().read(true).write(true).open(&memory).map_err(failed("open", &memory))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).map_err(failed("read", &memory))?;
    file.write_all_at(&byte, place).map_err(failed("write", &memory))
}

/// Where the first executable mapping begins: `55d0-55e0 r-xp …`.
fn first_code(maps: &str) -> Option<u64> {
    let line = maps.lines().find(|line| line.split(' ').nth(1).is_some_and(|mode| mode.contains('x')))?;
    u64::from_str_radix(line.split('-').next()?, 16).ok()
}

fn await_finding(heard: &Heard, from: Instant) -> Result<Instant, BenchError> {
    while let Some(line) = heard.next(from + PATIENCE) {
        if message(&line.text).starts_with("Finding: ") {
            return Ok(line.at);
        }
    }
    Err(BenchError::Unable(format!(
        "the verifier said no \"Finding: …\" within {} s after code of the sidecar was written to: it does not look at \
         mappings, or does not tell",
        PATIENCE.as_secs()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_where_the_first_executable_mapping_begins() {
        let maps = "5000-6000 r--p 0 00:01 5 /x\n6000-7000 r-xp 1000 00:01 5 /x\n";
        assert_eq!(first_code(maps), Some(0x6000));
        assert_eq!(first_code("5000-6000 r--p 0 00:01 5 /x\n"), None);
    }
}
