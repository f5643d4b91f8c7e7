//! What measuring costs in memory.

use std::process::{Command, Stdio};
use std::time::Duration;

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
    let failed = |source| BenchError::Run { program: program.into(), source };
    let mut child = Command::new(program).arg("measure").arg(&path).stdout(Stdio::null()).spawn().map_err(failed)?;
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
    if !ended.success() {
        return Err(BenchError::RunFailed { program: program.into(), status: ended, said: String::new() });
    }
    let how = format!("VmHWM of cryftgo-tee measure on a sparse file of 1 GiB, the last of {looks} looks");
    Ok(Measured { values: vec![peak], how })
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
