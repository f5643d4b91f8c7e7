//! What ends a command that is not the service: it reads what a stage reads, and decides nothing.

use std::io;

use contract::exit;

use crate::appraise::ReferenceError;
use crate::config::ConfigError;
use crate::fault::Fault as _;
use crate::lock::LockError;
use crate::measure::MeasureError;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("configuration")]
    Config(#[from] ConfigError),
    #[error("measure the sidecar")]
    Measure(#[from] MeasureError),
    #[error("read reference values")]
    Reference(#[from] ReferenceError),
    #[error("the service is locked")]
    Locked(#[from] LockError),
    #[error("record in the audit trail")]
    Audit(#[source] io::Error),
    #[error("find the current folder")]
    CurrentFolder(#[source] io::Error),
}

impl CommandError {
    /// Exit code of the contract.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(error) => error.exit_code(),
            Self::Measure(error) => error.exit_code(),
            Self::Reference(error) => error.exit_code(),
            Self::Locked(error) => error.exit_code(),
            Self::Audit(_) | Self::CurrentFolder(_) => exit::IO,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::text::one_line;

    #[test]
    fn each_says_what_failed_and_ends_with_the_code_of_its_stage() {
        let gone = || io::Error::other("gone");
        let path = || PathBuf::from("/x");
        let rows: [(CommandError, u8, &str); 6] = [
            (
                ConfigError::NotText { name: "X".to_owned() }.into(),
                exit::CONFIG,
                "configuration: X in the environment is",
            ),
            (MeasureError::Empty { path: path() }.into(), exit::INTEGRITY, "measure the sidecar: /x is empty"),
            (
                ReferenceError::List { path: path(), source: gone() }.into(),
                exit::IO,
                "read reference values: list pins: read configuration /x: gone",
            ),
            (
                LockError::Remove { path: path(), source: gone() }.into(),
                exit::INTEGRITY,
                "the service is locked: remove the tamper mark /x: gone",
            ),
            (CommandError::Audit(gone()), exit::IO, "record in the audit trail: gone"),
            (CommandError::CurrentFolder(gone()), exit::IO, "find the current folder: gone"),
        ];
        for (error, exit_code, line) in rows {
            assert_eq!(error.exit_code(), exit_code, "{error:?}");
            assert!(one_line(&error).starts_with(line), "{}", one_line(&error));
        }
    }
}
