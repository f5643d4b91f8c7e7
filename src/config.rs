//! Configuration: layers are merged, every key is known, and what comes out has its final type.
//!
//! Precedence: flag, environment, `/run`, `/etc`, `/usr/lib`, default.

mod environment;
mod inspect;
pub mod keys;
mod layers;
mod settings;
mod sidecar;
mod values;

use std::io;
use std::path::PathBuf;

use contract::exit;

use crate::fault::{Fault, Severity};
pub use inspect::{Effective, Inspection, inspect, inspect_files};
pub use layers::CommandLine;
pub use settings::{
    Handoff, ImageKind, Mappings, OnAuditFailure, OnMismatch, Require, RestartBudget, Settings, SignerReload, TpmMode,
    TpmSettings, Transport, TrustSettings,
};
pub use sidecar::SidecarSettings;
pub use values::parse_time;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder that is there cannot be read.
    #[error("read configuration {path}", path = path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not TOML.
    #[error("parse {path}: {reason}", path = path.display())]
    Syntax {
        /// Which one.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A file holds a key that there is not.
    #[error("unknown key {key:?} in {path}{hint}", path = path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, dotted.
        key: String,
        /// The key that may have been meant.
        hint: String,
    },
    /// The environment holds a name that looks like a setting and is none.
    #[error("unknown setting {name} in the environment{hint}")]
    UnknownVariable {
        /// The name.
        name: String,
        /// The name that may have been meant.
        hint: String,
    },
    /// The environment holds a restriction that the sidecar would not get to see.
    #[error("{name} in the environment is not passed on to the sidecar, so it would restrict nobody: set {key}")]
    NotPassedOn {
        /// The variable.
        name: &'static str,
        /// The setting that does it.
        key: &'static str,
    },
    /// A variable is not text.
    #[error("{name} in the environment is not UTF-8")]
    NotText {
        /// The name.
        name: String,
    },
    /// A value is not one that the setting takes.
    #[error("{key} from {origin}: {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Where the value stands.
        origin: String,
        /// What was expected.
        reason: String,
    },
}

impl Fault for ConfigError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. }
            | Self::Syntax { .. }
            | Self::UnknownKey { .. }
            | Self::UnknownVariable { .. }
            | Self::NotPassedOn { .. }
            | Self::NotText { .. }
            | Self::Value { .. } => exit::CONFIG,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Read { .. }
            | Self::Syntax { .. }
            | Self::UnknownKey { .. }
            | Self::UnknownVariable { .. }
            | Self::NotPassedOn { .. }
            | Self::NotText { .. }
            | Self::Value { .. } => Severity::Slip,
        }
    }
}

impl Settings {
    /// Reads flags, environment, files and defaults.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key and where its value stands.
    pub fn load(command_line: &CommandLine) -> Result<Self, ConfigError> {
        environment::refuse_unknown(std::env::vars_os().map(|(name, _)| name))?;
        Self::load_with(command_line, |name| environment::read(name, std::env::var_os(name)))
    }

    /// The same for a client of a running sidecar, which need not have what only a server needs.
    ///
    /// # Errors
    /// As for [`Settings::load`].
    pub fn load_for_client(command_line: &CommandLine) -> Result<Self, ConfigError> {
        environment::refuse_unknown(std::env::vars_os().map(|(name, _)| name))?;
        let layers = layers::read(command_line, |name| environment::read(name, std::env::var_os(name)))?;
        settings::validate(&layers, settings::User::Client)
    }

    /// [`Settings::load`] with an environment of the caller's.
    ///
    /// # Errors
    /// As there.
    pub fn load_with(
        command_line: &CommandLine,
        variable: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        settings::validate(&layers::read(command_line, variable)?, settings::User::Verifier)
    }
}

/// The folder of the verifier's state, where nobody says another.
pub fn default_state_dir() -> PathBuf {
    keys::KEYS.iter().find(|key| key.path == "state_dir").map(|key| PathBuf::from(key.default)).unwrap_or_default()
}

/// `; did you mean …?`, where a key is near.
fn hint(unknown: &str) -> String {
    let letters = |text: &str| text.replace(['.', '-', '_'], "").to_ascii_lowercase();
    let wanted = letters(unknown);
    let near = |key: &&keys::Key| {
        let known = letters(key.path);
        known == wanted || key.path.rsplit('.').next() == Some(unknown)
    };
    keys::KEYS.iter().find(near).map(|key| format!("; did you mean {:?}?", key.path)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
