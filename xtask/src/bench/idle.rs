//! What the verifier costs while nothing happens.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::start::{RELEASED_MIB, padded_in};
use super::{BenchError, Measured};
use crate::stage::{self, Stage, Unit};

/// Re-checks that are waited for before memory is looked at.
const RECHECKS: u32 = 4;
/// Longer than two of the verifier's default intervals: no ping within it means that none comes.
const PING_PATIENCE: Duration = Duration::from_secs(30);

/// PSS after READY and some re-checks at the default interval, and CPU time over those intervals, with a sidecar as large
/// as the released one.
pub(super) fn memory_and_time(stage: &Stage) -> Result<Measured, BenchError> {
    let sidecar = padded_in(stage, stage.folder.path(), "cryfttee-idle", RELEASED_MIB)?;
    let pin = stage::digest_of(&sidecar)?;
    let mut unit = Unit::start(&stage.unit("idle", &sidecar, pin))?;
    unit.wait_ready(&stage.interrupt, |_, _| {})?;
    // The first ping ends the first interval; what the start itself cost is behind us then.
    unit.wait_watchdog(PING_PATIENCE, &stage.interrupt)?;
    let (from, spent_before) = (Instant::now(), cpu_time(unit.pid())?);
    for _ in 0..RECHECKS {
        unit.wait_watchdog(PING_PATIENCE, &stage.interrupt)?;
    }
    let (wall, spent) = (from.elapsed(), cpu_time(unit.pid())? - spent_before);
    let pss = pss_mib(unit.pid())?;
    unit.stop()?;
    let percent = 100.0 * spent.as_secs_f64() / wall.as_secs_f64();
    let how = format!(
        "a sidecar of {RELEASED_MIB} MiB; Pss of /proc/PID/smaps_rollup after READY and {} re-checks; CPU time of the \
         process over {:.1} s, which hold {RECHECKS} re-checks at the default interval",
        RECHECKS + 1,
        wall.as_secs_f64()
    );
    Ok(Measured { values: vec![pss, percent], how })
}

/// The sidecar's or the verifier's share of memory, from `smaps_rollup`.
pub(super) fn pss_mib(pid: u32) -> Result<f64, BenchError> {
    let path = PathBuf::from(format!("/proc/{pid}/smaps_rollup"));
    let text = std::fs::read_to_string(&path).map_err(|source| BenchError::File {
        operation: "read",
        path: path.clone(),
        source,
    })?;
    let kib = text.lines().find_map(|line| {
        let value = line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?;
        value.trim().parse::<f64>().ok()
    });
    kib.map(|kib| kib / 1024.0).ok_or(BenchError::NoPss(path))
}

/// User and system time of all threads, ended ones too.
pub(super) fn cpu_time(pid: u32) -> Result<Duration, BenchError> {
    let raw = i32::try_from(pid).unwrap_or_default();
    let clock = clock_getcpuclockid(Pid::from_raw(raw)).and_then(clock_gettime);
    clock.map(Duration::from).map_err(|source| BenchError::CpuTime { pid, source })
}
