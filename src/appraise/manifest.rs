//! The release manifest: `{version, expires, releases: [{version, hash, signature?}], revoked: [hash]}`, signed
//! with minisign by a threshold of different keys.
//!
//! `version` counts up and never down, and the clock has a floor: both are remembered, and only after every
//! check passed, so that a refused manifest changes nothing.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use contract::{Digest, exit};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use super::signature::{self, Examined};
use crate::config::TrustSettings;
use crate::fault::{Fault, Severity};
use crate::{clock, durable};

/// Ten thousand releases.
const MAX_MANIFEST: u64 = 1024 * 1024;
const MAX_FLOOR: u64 = 4096;
const FLOOR: &str = "trust.json";

/// A manifest as it was signed. Unknown and repeated members are refused: what was signed must have one
/// reading.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Counts up with every manifest.
    pub version: u64,
    /// `2027-01-01T00:00:00Z`: from then on it is not believed.
    pub expires: String,
    /// What may run.
    pub releases: Vec<Release>,
    /// What may not run, whoever else says it may.
    #[serde(default)]
    pub revoked: Vec<Digest>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version, as the release names it.
    pub version: String,
    /// The digest of its binary.
    pub hash: Digest,
    /// The maker's own signature over the binary, for readers; the manifest's signatures vouch for the digest.
    #[serde(default)]
    pub signature: Option<String>,
}

/// What must never go back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// The highest manifest version that was believed.
    pub manifest_version: u64,
    /// The latest time that was seen, in seconds since 1970.
    pub last_known_time: u64,
}

/// Why a manifest is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the finding")]
pub enum ManifestFault {
    #[error("it is signed by {signers} of the {threshold} different trusted keys that are needed{}", list(.examined))]
    TooFewSigners { signers: usize, threshold: u32, examined: Vec<Examined> },
    #[error("it is not a manifest: {0}")]
    Shape(String),
    #[error("expires is {0:?}, expected a time like 2027-01-01T00:00:00Z")]
    Expires(String),
    #[error("it expired at {expires}; the time is at least {now}")]
    Expired { expires: String, now: String },
    #[error("its version is {found}, but version {seen} was believed before: it was rolled back")]
    RolledBack { found: u64, seen: u64 },
    #[error("it has no release {wanted:?} (trust.version)")]
    UnknownVersion { wanted: String },
    #[error("it lists {0} as a release and as revoked")]
    Contradiction(Digest),
}

fn list(examined: &[Examined]) -> String {
    let bad: Vec<String> = examined
        .iter()
        .filter_map(|one| Some(format!("; {}: {}", one.path.display(), one.outcome.as_ref().err()?)))
        .collect();
    if examined.is_empty() { "; there is no signature file beside it".to_owned() } else { bad.concat() }
}

/// A manifest could not be read, or is not believed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum ManifestError {
    #[error("read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("read what was believed before, {path}", path = path.display())]
    ReadFloor { path: PathBuf, source: io::Error },
    #[error("{path} is damaged ({reason}): without it a rollback cannot be told", path = path.display())]
    DamagedFloor { path: PathBuf, reason: String },
    #[error("remember what is believed, {path}", path = path.display())]
    WriteFloor { path: PathBuf, source: io::Error },
    #[error("the manifest {path} is refused", path = path.display())]
    Refused { path: PathBuf, source: ManifestFault },
}

impl Fault for ManifestError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => exit::INTEGRITY,
            Self::DamagedFloor { .. } => exit::DATA,
            Self::Read { .. } | Self::ReadFloor { .. } | Self::WriteFloor { .. } => exit::IO,
        }
    }

    /// A manifest that expired looks like one that somebody held back.
    fn severity(&self) -> Severity {
        match self {
            Self::Read { .. }
            | Self::ReadFloor { .. }
            | Self::DamagedFloor { .. }
            | Self::WriteFloor { .. }
            | Self::Refused { .. } => Severity::Slip,
        }
    }
}

/// One check of a manifest, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// What was found, or why that is not enough.
    pub outcome: Result<String, ManifestFault>,
}

/// A manifest that passed every check.
#[derive(Debug)]
pub struct Believed {
    /// It.
    pub manifest: Manifest,
    /// What to remember.
    pub floor: Floor,
}

/// Reads and checks a manifest. Changes nothing on disk.
///
/// # Errors
/// [`ManifestError`].
pub fn read(path: &Path, settings: &TrustSettings, floor: Floor) -> Result<Believed, ManifestError> {
    let now = clock::now().max(floor.last_known_time);
    let (checks, manifest) = examine(path, settings, floor, now)?;
    let refused = |source| ManifestError::Refused { path: path.to_owned(), source };
    for check in checks {
        check.outcome.map_err(refused)?;
    }
    let manifest = manifest.ok_or_else(|| refused(ManifestFault::Shape("it was not parsed".to_owned())))?;
    let floor = Floor { manifest_version: manifest.version, last_known_time: now };
    Ok(Believed { manifest, floor })
}

/// Makes every check that can be made, in order; the manifest is there when it could be parsed.
///
/// # Errors
/// [`ManifestError::Read`].
pub fn examine(
    path: &Path,
    settings: &TrustSettings,
    floor: Floor,
    now: u64,
) -> Result<(Vec<Check>, Option<Manifest>), ManifestError> {
    let failed = |source| ManifestError::Read { path: path.to_owned(), source };
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    // Read once: what is verified is what is parsed, whatever happens to the file.
    let bytes = durable::read(path, MAX_MANIFEST).and_then(|bytes| bytes.ok_or_else(missing)).map_err(failed)?;
    let content = in_memory(&bytes).map_err(failed)?;
    let examined = signature::examine(path, &content, &settings.keys).map_err(failed)?;
    Ok(judge(&bytes, examined, settings, floor, now))
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"manifest", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// The decision, without I/O. Signatures first: nothing is parsed that nobody vouches for.
fn judge(
    bytes: &[u8],
    examined: Vec<Examined>,
    settings: &TrustSettings,
    floor: Floor,
    now: u64,
) -> (Vec<Check>, Option<Manifest>) {
    let mut checks = vec![Check { name: "signatures", outcome: check_signers(examined, settings) }];
    if checks[0].outcome.is_err() {
        return (checks, None);
    }
    let manifest: Manifest = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            checks.push(Check { name: "shape", outcome: Err(ManifestFault::Shape(error.to_string())) });
            return (checks, None);
        }
    };
    let shape = format!("{} releases, {} revoked", manifest.releases.len(), manifest.revoked.len());
    checks.push(Check { name: "shape", outcome: Ok(shape) });
    checks.push(Check { name: "expiry", outcome: check_expiry(&manifest, now) });
    checks.push(Check { name: "version", outcome: check_rollback(&manifest, floor) });
    checks.push(Check { name: "revocation", outcome: check_revoked(&manifest) });
    checks.push(Check { name: "release", outcome: check_selection(&manifest, settings) });
    (checks, Some(manifest))
}

fn check_signers(examined: Vec<Examined>, settings: &TrustSettings) -> Result<String, ManifestFault> {
    let signers = signature::signers(&examined, &settings.keys);
    let threshold = settings.threshold;
    // A threshold of nothing would be met by nobody's signature.
    if signers == 0 || signers < usize::try_from(threshold).unwrap_or(usize::MAX) {
        return Err(ManifestFault::TooFewSigners { signers, threshold, examined });
    }
    let files: Vec<String> =
        examined.iter().filter(|one| one.outcome.is_ok()).map(|one| one.path.display().to_string()).collect();
    Ok(format!("{signers} of {threshold} needed: {}", files.join(", ")))
}

fn check_expiry(manifest: &Manifest, now: u64) -> Result<String, ManifestFault> {
    let expires =
        clock::parse_utc(&manifest.expires).ok_or_else(|| ManifestFault::Expires(manifest.expires.clone()))?;
    if now >= expires {
        return Err(ManifestFault::Expired { expires: manifest.expires.clone(), now: clock::utc(now) });
    }
    Ok(format!("{}, in {} days", manifest.expires, (expires - now) / 86_400))
}

fn check_rollback(manifest: &Manifest, floor: Floor) -> Result<String, ManifestFault> {
    if manifest.version < floor.manifest_version {
        return Err(ManifestFault::RolledBack { found: manifest.version, seen: floor.manifest_version });
    }
    Ok(format!("{}, the highest so far was {}", manifest.version, floor.manifest_version))
}

fn check_revoked(manifest: &Manifest) -> Result<String, ManifestFault> {
    match manifest.releases.iter().find(|release| manifest.revoked.contains(&release.hash)) {
        Some(both) => Err(ManifestFault::Contradiction(both.hash)),
        None => Ok("no release is also revoked".to_owned()),
    }
}

fn check_selection(manifest: &Manifest, settings: &TrustSettings) -> Result<String, ManifestFault> {
    match &settings.version {
        None => Ok("any that it lists".to_owned()),
        Some(wanted) if manifest.releases.iter().any(|release| release.version == *wanted) => Ok(wanted.clone()),
        Some(wanted) => Err(ManifestFault::UnknownVersion { wanted: wanted.clone() }),
    }
}

impl Floor {
    /// What an earlier start remembered; zeros where there was none.
    ///
    /// # Errors
    /// [`ManifestError`]; a damaged file is never "nothing".
    pub fn load(state_dir: &Path) -> Result<Self, ManifestError> {
        let path = state_dir.join(FLOOR);
        let bytes = durable::read(&path, MAX_FLOOR)
            .map_err(|source| ManifestError::ReadFloor { path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|error| ManifestError::DamagedFloor { path, reason: error.to_string() })
    }

    /// Remembers it.
    ///
    /// # Errors
    /// [`ManifestError::WriteFloor`].
    pub fn save(&self, state_dir: &Path) -> Result<(), ManifestError> {
        let path = state_dir.join(FLOOR);
        let text = serde_json::to_string(self).expect("two numbers are plain data");
        durable::make_folder(state_dir)
            .and_then(|()| durable::write(&path, format!("{text}\n").as_bytes()))
            .map_err(|source| ManifestError::WriteFloor { path, source })
    }
}

#[cfg(test)]
mod tests;
