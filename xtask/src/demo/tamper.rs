//! One byte flipped, and the verifier does not start it.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

use contract::{Digest, exit};

use super::report::Refusal;
use crate::stage::{Stage, Unit, UnitError};

/// Why the refusal could not be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum TamperError {
    #[error("{operation} {}: {source}", path.display())]
    Copy { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("tampered sidecar: {0}")]
    Unit(#[from] UnitError),
    #[error("claim not kept: a sidecar with a flipped byte was started and became READY")]
    Accepted,
    #[error("claim not kept: the verifier ended with {status}, expected exit code 77: {said}")]
    OtherEnd { status: std::process::ExitStatus, said: String },
    #[error("claim not kept: a refused start left an identity behind in {}", .0.display())]
    LeftIdentity(PathBuf),
}

/// Runs the verifier on a copy of the sidecar with one byte changed and the genuine digest pinned.
pub(super) fn flip_one_byte(stage: &Stage, genuine: Digest) -> Result<Refusal, TamperError> {
    let original = &stage.binaries.sidecar;
    let copy = stage.folder.path().join("cryfttee-tampered");
    let failed = |operation, path: &PathBuf| {
        let path = path.clone();
        move |source| TamperError::Copy { operation, path, source }
    };
    let mut bytes = std::fs::read(original).map_err(failed("read", original))?;
    let mode = std::fs::metadata(original).map_err(failed("look at", original))?.permissions().mode();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    // Executable by its owner alone: nothing but the changed byte may be the reason for the refusal.
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(&copy);
    let mut made = made.map_err(failed("make", &copy))?;
    std::io::Write::write_all(&mut made, &bytes).map_err(failed("write", &copy))?;
    drop(made);

    let mut unit = Unit::start(&stage.unit("tamper", &copy, genuine))?;
    let (status, was_ready) = unit.wait_end(&stage.interrupt)?;
    let detail = unit.last_line();
    if was_ready {
        return Err(TamperError::Accepted);
    }
    match status.code() {
        Some(code) if code == i32::from(exit::INTEGRITY) => {
            let identity = unit.state.join("staking/node_id");
            if identity.exists() {
                return Err(TamperError::LeftIdentity(identity));
            }
            Ok(Refusal { exit_code: code, detail })
        }
        _ => Err(TamperError::OtherEnd { status, said: detail }),
    }
}
