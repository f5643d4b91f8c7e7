//! What is about to be launched goes into a PCR of the TPM first, where there is one.

use std::io;

use contract::Digest;

use super::Verifier;
use super::error::Error;
use crate::audit::Event;
use crate::blocking;
use crate::config::{Settings, TpmMode};
use crate::text::one_line;
use crate::tpm::{self, Extended, TpmError};

impl Verifier<'_> {
    /// Extends the digest. That it fails is the reason not to go on only where a TPM is demanded.
    pub(super) async fn extend(&self, settings: &Settings, digest: Digest) -> Result<(), Error> {
        let used = &settings.tpm;
        if used.mode == TpmMode::Off {
            return Ok(());
        }
        match (extend(settings, digest).await, used.mode) {
            (Ok(Some(Extended { value, unaccounted })), _) => {
                self.extended.set(Some(digest));
                self.tpm_told.set(false);
                self.step(4, &Event::TpmExtended { digest, pcr: used.pcr, value, unaccounted });
                Ok(())
            }
            (Ok(None), TpmMode::Required) => Err(TpmError::Absent(used.device.clone()).into()),
            (Ok(None), TpmMode::Auto | TpmMode::Off) => Ok(()),
            (Err(error), TpmMode::Required) => Err(error.into()),
            (Err(error), TpmMode::Auto | TpmMode::Off) => {
                // Once, until it works again.
                if !self.tpm_told.replace(true) {
                    self.audit.record(&Event::TpmFailed { device: used.device.clone(), why: one_line(&error) });
                }
                Ok(())
            }
        }
    }

    /// After a reload that failed, so that the last of what was extended is again what serves.
    pub(super) async fn extend_again(&self, settings: &Settings, serves: Digest) {
        if self.extended.get().is_none_or(|last| last == serves) {
            return;
        }
        if let Err(error) = self.extend(settings, serves).await {
            self.audit.record(&Event::TpmFailed { device: settings.tpm.device.clone(), why: error.one_line() });
        }
    }
}

/// None where there is no TPM. A device that does not even give an error is left behind with its thread.
async fn extend(settings: &Settings, digest: Digest) -> Result<Option<Extended>, TpmError> {
    let used = settings.tpm.clone();
    let extended = blocking::run(move || match std::fs::metadata(&used.device) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => tpm::extend(&used.device, &used.log, used.pcr, digest).map(Some),
    });
    match tokio::time::timeout(2 * tpm::AT_MOST, extended).await {
        Ok(extended) => extended.map_err(TpmError::Thread)?,
        Err(_) => Err(TpmError::Late("anything")),
    }
}
