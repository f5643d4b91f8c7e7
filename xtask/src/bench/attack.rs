//! The attacks in full. Their short forms are tests: `tests/race.rs`, `tests/bitflips.rs`, `tests/spawn.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cryftgo_tee::config::{ImageKind, Require};

use super::{BenchError, Measured};
use crate::attacks::bitflips::{self, Bits};
use crate::attacks::race::{self, End};
use crate::attacks::spawns;
use crate::stage::Stage;

/// Attempts that reach exec; those that measure the evil bytes come on top.
const LAUNCHES: u64 = 100_000;
/// Each bit of so many bytes.
const SMALL: usize = 16 * 1024;
/// Bits of the sidecar itself.
const OF_THE_SIDECAR: u64 = 10_000;
const SPAWNS: u64 = 100_000;

/// What runs while the file is rewritten.
pub(super) fn race(stage: &Stage) -> Result<Measured, BenchError> {
    let shown = Shown::new(stage, LAUNCHES);
    let tally =
        race::run(stage.folder.path(), ImageKind::Sealed, End::Launches(LAUNCHES), &|done| shown.goes_on(done))?;
    let how = format!(
        "a file that another thread rewrites all the time, in place and by rename, between two programs that differ \
         in one byte: {} attempts to measure, appraise and run it in {:.0} s; {} refused, {} good runs, {} blocked, \
         {} wrong",
        tally.attempts,
        shown.seconds(),
        tally.refused,
        tally.good,
        tally.blocked,
        tally.wrong
    );
    Ok(Measured { values: vec![tally.attempts as f64, tally.wrong as f64], how })
}

/// Whether any flipped bit is accepted.
pub(super) fn bitflips(stage: &Stage) -> Result<Measured, BenchError> {
    let small = bitflips::small_program(SMALL);
    let path = &stage.binaries.sidecar;
    let sidecar = std::fs::read(path);
    let sidecar = sidecar.map_err(|source| BenchError::File { operation: "read", path: path.clone(), source })?;
    let flip = |program: &[u8], bits, count| {
        let shown = Shown::new(stage, count);
        bitflips::run(stage.folder.path(), program, bits, Require::Always, &|done| shown.goes_on(done))
    };
    let from = Instant::now();
    let mut tally = flip(&small, Bits::All, SMALL as u64 * 8)?;
    tally += flip(&sidecar, Bits::Random { count: OF_THE_SIDECAR, seed: 1 }, OF_THE_SIDECAR)?;
    let how = format!(
        "each bit of a program of {SMALL} bytes, and {OF_THE_SIDECAR} bits of cryfttee ({} bytes), one at a time, \
         measured and appraised under a pin of the unflipped program, in {:.0} s: {} of {} accepted",
        sidecar.len(),
        from.elapsed().as_secs_f64(),
        tally.missed,
        tally.tried
    );
    Ok(Measured { values: vec![tally.tried as f64, tally.missed as f64], how })
}

/// Whether every child gets its own `LISTEN_PID`.
pub(super) fn spawns(stage: &Stage) -> Result<Measured, BenchError> {
    let shown = Shown::new(stage, SPAWNS);
    let tally = spawns::run(stage.folder.path(), SPAWNS, &|done| shown.goes_on(done))?;
    let how = format!(
        "children that tell their environment, started one after another while 8 threads allocate, in {:.0} s: {} of \
         {} wrong, none hung",
        shown.seconds(),
        tally.wrong,
        tally.spawns
    );
    Ok(Measured { values: vec![tally.spawns as f64, tally.wrong as f64], how })
}

/// Progress on stderr, a line for each tenth.
struct Shown<'a> {
    stage: &'a Stage,
    of: u64,
    tenths: AtomicU64,
    from: Instant,
}

impl<'a> Shown<'a> {
    fn new(stage: &'a Stage, of: u64) -> Self {
        Self { stage, of, tenths: AtomicU64::new(0), from: Instant::now() }
    }

    /// Shows how far it is. False once Ctrl-C has come.
    fn goes_on(&self, done: u64) -> bool {
        let tenths = done * 10 / self.of;
        if self.tenths.fetch_max(tenths, Ordering::Relaxed) < tenths {
            eprintln!("  {done} of {} after {:.0} s", self.of, self.seconds());
        }
        !self.stage.interrupt.noted()
    }

    fn seconds(&self) -> f64 {
        self.from.elapsed().as_secs_f64()
    }
}
