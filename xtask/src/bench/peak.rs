//! What measuring costs in memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{BenchError, Measured};
use crate::stage::Stage;

/// The largest file that is measured at all.
const SIZE: u64 = 1024 * 1024 * 1024;
/// How often the peak is read while the program runs.
const LOOK: Duration = Duration::from_millis(2);

/// Peak memory of `cryftgo-tee measure` on a file of 1 GiB.
pub(super) fn of_measuring(stage: &Stage) -> Result<Measured, BenchError> {
    let path = stage.folder.path().join("gib");
    // Sparse: its pages are read as any others, and the disk is spared.
    let made = std::fs::File::create(&path).and_then(|file| file.set_len(SIZE));
    made.map_err(|source| BenchError::File { operation: "make", path: path.clone(), source })?;
    let program = &stage.binaries.verifier;
    let Watched { peak, looks, .. } = watch(Command::new(program).arg("measure").arg(&path))?;
    let how = format!("VmHWM of cryftgo-tee measure on a sparse file of 1 GiB, the last of {looks} looks");
    Ok(Measured { values: vec![peak], how })
}

/// What a run took.
pub(super) struct Watched {
    /// Peak memory, MiB.
    pub(super) peak: f64,
    /// How often it was read.
    pub(super) looks: u32,
    pub(super) seconds: f64,
}

/// Runs a program to its end, and reads its peak on the way.
pub(super) fn watch(command: &mut Command) -> Result<Watched, BenchError> {
    let program = command.get_program().to_owned();
    let failed = |source| BenchError::Run { program: program.clone(), source };
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().map_err(failed)?;
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut looks) = (f64::NAN, 0);
    // Not by the rusage of its end: that holds the peak of this program, too, of which it was a copy before exec.
    let ended = loop {
        let kib = std::fs::read_to_string(&status).ok().and_then(|text| high_water_kib(&text));
        if let Some(kib) = kib {
            (peak, looks) = (kib / 1024.0, looks + 1);
        }
        if let Some(ended) = child.try_wait().map_err(failed)? {
            break ended;
        }
        std::thread::sleep(LOOK);
    };
    let seconds = began.elapsed().as_secs_f64();
    if !ended.success() {
        return Err(BenchError::RunFailed { program, status: ended, said: String::new() });
    }
    Ok(Watched { peak, looks, seconds })
}

/// `VmHWM:`, which a process that is ending has no more.
fn high_water_kib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kib() {
        assert_eq!(high_water_kib("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2048.0));
        assert_eq!(high_water_kib("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
