//! Client and signer on cores of their own.

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::BenchError;

/// While it lives, this process runs on the first core and the signer on the last. Dropping it lets this process
/// run anywhere again; the signer ends with its measurement.
pub(super) struct Apart(CpuSet);

impl Apart {
    /// `None` on a machine with one core.
    pub(super) fn keep(signer: u32) -> Result<Option<Self>, BenchError> {
        let pid = Pid::from_raw(i32::try_from(signer).unwrap_or_default());
        pin(pid).map_err(|errno| BenchError::Watch { pid: signer, source: errno.into() })
    }
}

fn pin(signer: Pid) -> Result<Option<Apart>, Errno> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core) == Ok(true));
    let (Some(first), Some(last)) = (cores.next(), cores.next_back()) else { return Ok(None) };
    let only = |core| {
        let mut set = CpuSet::new();
        set.set(core).map(|()| set)
    };
    sched_setaffinity(signer, &only(last)?)?;
    sched_setaffinity(this, &only(first)?)?;
    Ok(Some(Apart(allowed)))
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It was this very set before, so it is a good one; a failure would only make what follows slower.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}
