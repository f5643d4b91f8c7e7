//! One launch: the intent is noted, the PCR extended, and that noted. Killed between any two of them, the next start knows by
//! the value of the PCR how far it came.

use std::path::Path;

use contract::Digest;

use super::{AT_MOST, Log, Tpm, TpmError, extended};
use crate::clock;

/// How it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// What the PCR has now.
    pub value: Digest,
    /// Why the log cannot account for all that was extended before, where it cannot.
    pub unaccounted: Option<&'static str>,
}

/// Extends a digest into a PCR of the TPM at `device`, and keeps the log of it. Waits for both: not for a thread that must not
/// stand still.
///
/// # Errors
/// [`TpmError`].
pub fn extend(device: &Path, log: &Path, pcr: u8, digest: Digest) -> Result<Extended, TpmError> {
    let failed = |source| TpmError::Log { path: log.to_owned(), source };
    let boot_id = clock::boot_id().map_err(failed)?;
    let mut tpm = Tpm::open(device, AT_MOST)?;
    let before = tpm.pcr(pcr)?;
    let (mut kept, damaged) = match Log::read(log, pcr) {
        Ok(Some(kept)) => (kept, false),
        Ok(None) => (Log::new(boot_id, pcr, before), false),
        // A damaged one must not keep everything down. That what it had is lost shows in the new one's baseline.
        Err(_) => (Log::new(boot_id, pcr, before), true),
    };
    let accounted = kept.intend(digest, clock::utc(clock::now()), before);
    kept.write(log).map_err(failed)?;
    tpm.extend(pcr, digest)?;
    let value = tpm.pcr(pcr)?;
    if value == before {
        return Err(TpmError::NotExtended(pcr));
    }
    kept.done();
    kept.write(log).map_err(failed)?;
    let unaccounted = if damaged {
        Some("the log of this boot was damaged and begins anew")
    } else if !accounted {
        Some("something else extended it since the last launch")
    } else if value != extended(before, digest) {
        Some("something else extended it at the same time")
    } else {
        None
    };
    Ok(Extended { value, unaccounted })
}
