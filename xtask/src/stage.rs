//! What the demo and the figures run on: the built binaries, a private folder, the dev signers, and a
//! stand-in for systemd that starts the verifier the way systemd does.

use std::path::{Path, PathBuf};

mod binaries;
mod by_hand;
mod client;
mod folder;
mod heard;
mod helper;
mod interrupt;
mod notify;
mod process;
mod signer;
mod unit;

pub(crate) use binaries::{Binaries, BuildError, Profile, cargo, cargo_home, workspace};
pub(crate) use by_hand::ByHand;
pub(crate) use client::{CallError, get, post};
pub(crate) use folder::{Folder, FolderError};
pub(crate) use heard::Heard;
pub(crate) use helper::{PlaySystemdArgs, play_systemd};
pub(crate) use interrupt::{Interrupt, InterruptError, Interrupted};
pub(crate) use process::ProcessError;
pub(crate) use signer::{Signer, SignerError, SignerSettings, Signers};
pub(crate) use unit::{Event, Unit, UnitError, UnitSettings};

/// Everything that stands before the first verifier is started.
pub(crate) struct Stage {
    // Dropped in this order: the signers must be gone before their folder is removed.
    pub(crate) signers: Signers,
    pub(crate) folder: Folder,
    pub(crate) binaries: Binaries,
    pub(crate) interrupt: Interrupt,
}

/// Why there is no stage to run on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Interrupt(#[from] InterruptError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Signer(#[from] SignerError),
}

impl Stage {
    /// Builds the binaries, makes a private folder, and starts the dev signers in it, with `extensions` beyond stock.
    pub(crate) fn set(prefix: &str, profile: Profile, extensions: &[String]) -> Result<Self, StageError> {
        let binaries = Binaries::build(profile)?;
        // After the build: until here Ctrl-C must stop cargo, from here on it must stop what we started.
        let interrupt = Interrupt::listen()?;
        let folder = Folder::make(prefix, &binaries.target)?;
        let signers = Signers::start(&binaries.signer, folder.path(), extensions, &interrupt)?;
        Ok(Self { signers, folder, binaries, interrupt })
    }

    /// A unit that runs `sidecar` in the sub-folder `name`, trusting `pin` and nothing else.
    pub(crate) fn unit(&self, name: &str, sidecar: &Path, pin: contract::Digest) -> UnitSettings {
        UnitSettings {
            verifier: self.binaries.verifier.clone(),
            folder: self.folder.path().join(name),
            sidecar: sidecar.to_owned(),
            pin,
            signer: self.signers.settings(),
            watch_interval: None,
            flags: Vec::new(),
        }
    }
}

/// The last line of a log that says something, or an empty text.
fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// The bytes of `path` as a digest, computed here and not by the code on trial.
pub(crate) fn digest_of(path: &Path) -> Result<contract::Digest, DigestError> {
    use sha2::Digest as _;
    let bytes = std::fs::read(path).map_err(|source| DigestError { path: path.to_owned(), source })?;
    Ok(contract::Digest::new(sha2::Sha256::digest(bytes).into()))
}

/// A file could not be read for its digest.
#[derive(Debug, thiserror::Error)]
#[error("read {} for its digest: {source}", path.display())]
pub(crate) struct DigestError {
    path: PathBuf,
    source: std::io::Error,
}
