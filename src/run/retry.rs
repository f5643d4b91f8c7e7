//! A start that waited for the signer in vain is tried for ever, each try that long: systemd's limit of starts is for those
//! that fail fast, or slowly for another reason. Only root can reset it, so the verifier leaves a mark and the unit's
//! `ExecStartPre=` takes it away.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the mark in `RuntimeDirectory=`. The units have it too.
const MARK: &str = "waited-for-signer";

/// Leaves the mark; without a service manager nobody would look at it. If it cannot be written, the start counts like any
/// other.
pub(super) fn leave_mark() {
    let Some(path) = mark(std::env::var_os("RUNTIME_DIRECTORY").as_deref()) else { return };
    if let Err(cause) = fs::write(&path, "") {
        tracing::warn!(%cause, "write {}: this start counts towards StartLimitBurst=", path.display());
    }
}

/// The unit has one runtime directory; of several, systemd lists them with colons between.
fn mark(directories: Option<&OsStr>) -> Option<PathBuf> {
    let directories = directories?.to_str()?;
    let first = directories.split(':').next().filter(|first| Path::new(first).is_absolute())?;
    Some(Path::new(first).join(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_in_the_units_first_runtime_directory_and_nowhere_without_one() {
        let of = |text: &str| mark(Some(OsStr::new(text)));
        assert_eq!(of("/run/cryftgo-tee"), Some(PathBuf::from("/run/cryftgo-tee/waited-for-signer")));
        assert_eq!(of("/run/a:/run/b"), Some(PathBuf::from("/run/a/waited-for-signer")));
        assert_eq!(of(""), None);
        assert_eq!(of("relative"), None);
        assert_eq!(mark(None), None);
    }

    #[test]
    fn the_unit_takes_away_the_mark_that_is_left() {
        let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/cryftgo-tee.service"));
        let unit = unit.expect("the unit");
        let line = unit.lines().find(|line| line.starts_with("ExecStartPre=")).expect("a line");
        assert!(line.contains(MARK) && line.contains("systemctl reset-failed") && line.ends_with(" %n"), "{line}");
    }
}
