//! Reference values: where they stand and how they are read.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contract::{Digest, exit};

use super::manifest::{self, Believed, Floor, ManifestError, Release};
use super::signature::{self, NoCount};
use crate::config::{ImageKind, Require, TrustSettings};
use crate::fault::{Fault, Severity};
use crate::measure::Image;
use crate::{dropins, durable};

/// A digest that may run, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceValue {
    /// The digest.
    pub digest: Digest,
    /// File and line, or the setting.
    pub origin: String,
}

impl fmt::Display for ReferenceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.digest, self.origin)
    }
}

/// All reference values, and whether one is demanded.
#[derive(Debug, Clone)]
pub struct References {
    /// When one is demanded.
    pub require: Require,
    /// Keys or a manifest are configured, so whoever did that expects them to decide.
    pub expected: bool,
    /// What is known to be good.
    pub values: Vec<ReferenceValue>,
    /// What may not run, whoever else says it may.
    pub revoked: Vec<Digest>,
}

impl References {
    /// Makes the first measurement of this run the reference for all later ones, where there is no other:
    /// a file that was replaced behind a crash is then refused.
    pub fn hold_on_to(&mut self, digest: Digest) {
        if self.values.is_empty() && !self.expected && self.require != Require::Never {
            self.values.push(ReferenceValue { digest, origin: "first measurement of this run".to_owned() });
        }
    }
}

/// Reference values could not be read. Nothing is then accepted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum ReferenceError {
    #[error("list pins: read configuration {path}", path = path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("release manifest")]
    Manifest(#[from] ManifestError),
    #[error("read the signatures of {path}", path = path.display())]
    Signatures { path: PathBuf, source: io::Error },
    #[error("{path} decides what runs, but {why}: root must own it, and nobody else write to it", path = path.display())]
    Unsafe { path: PathBuf, why: String },
    #[error("read pins from {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}, line {line}: expected a digest and a name, as sha256sum prints them, found {found:?}", path = path.display())]
    Line { path: PathBuf, line: usize, found: String },
}

impl Fault for ReferenceError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Unsafe { .. } => exit::INTEGRITY,
            Self::Read { source, .. }
                if matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge) =>
            {
                exit::DATA
            }
            Self::Line { .. } => exit::DATA,
            Self::Manifest(error) => error.exit_code(),
            Self::List { .. } | Self::Read { .. } | Self::Signatures { .. } => exit::IO,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Manifest(error) => error.severity(),
            Self::List { .. }
            | Self::Signatures { .. }
            | Self::Unsafe { .. }
            | Self::Read { .. }
            | Self::Line { .. } => Severity::Slip,
        }
    }
}

/// Reads every reference value that the settings name. Changes nothing on disk: what a manifest has to be
/// remembered for comes back beside them, for [`Floor::save`].
///
/// # Errors
/// [`ReferenceError`], which names file and line. One bad line refuses them all: a list that is half read
/// may lack the very line that matters.
pub fn read(settings: &TrustSettings, state_dir: &Path) -> Result<(References, Option<Floor>), ReferenceError> {
    let from_settings = settings.pins.iter();
    let mut values: Vec<ReferenceValue> =
        from_settings.map(|digest| ReferenceValue { digest: *digest, origin: "trust.pins".to_owned() }).collect();
    values.extend(read_folders(&settings.pins_d)?);
    let expected = settings.manifest.is_some() || !settings.keys.is_empty();
    let mut references = References { require: settings.require, expected, values, revoked: Vec::new() };
    let Some(path) = &settings.manifest else { return Ok((references, None)) };
    let Believed { manifest, floor } = manifest::read(path, settings, Floor::load(state_dir)?)?;
    let may_run = |release: &&Release| settings.version.as_ref().is_none_or(|wanted| release.version == *wanted);
    references.values.extend(manifest.releases.iter().filter(may_run).map(|release| ReferenceValue {
        digest: release.hash,
        origin: format!("{}, version {}, release {}", path.display(), manifest.version, release.version),
    }));
    references.revoked = manifest.revoked;
    Ok((references, Some(floor)))
}

/// Reads the reference values for libraries.
///
/// # Errors
/// [`ReferenceError`], as for those of the sidecar.
pub fn read_libraries(settings: &TrustSettings) -> Result<Vec<ReferenceValue>, ReferenceError> {
    read_folders(&settings.libraries_d)
}

fn read_folders(folders: &[PathBuf]) -> Result<Vec<ReferenceValue>, ReferenceError> {
    let mut values = Vec::new();
    for folder in folders {
        check_safe(folder)?;
        let listed = dropins::list_folder(folder, "");
        for path in listed.map_err(|source| ReferenceError::List { path: folder.clone(), source })? {
            check_safe(&path)?;
            let text = read_bounded(&path).map_err(|source| ReferenceError::Read { path: path.clone(), source })?;
            values.extend(parse(&path, &text)?);
        }
    }
    Ok(values)
}

/// What the signature files beside a binary say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detached {
    /// Nothing that counts.
    Nothing,
    /// Enough trusted keys signed exactly this image.
    Signed(ReferenceValue),
    /// A trusted key signed something else under this name: the binary or the signature was changed.
    Broken(PathBuf),
}

/// A signature over the binary itself, `PATH.minisig`, as a reference value.
///
/// Only for a sealed image: a file can show one content to the hash and another to the signature.
///
/// # Errors
/// [`ReferenceError::Signatures`].
pub fn detached(image: &Image, path: &Path, settings: &TrustSettings) -> Result<Detached, ReferenceError> {
    if settings.keys.is_empty() || image.kind() != ImageKind::Sealed {
        return Ok(Detached::Nothing);
    }
    let examined = signature::examine(path, image.content(), &settings.keys)
        .map_err(|source| ReferenceError::Signatures { path: path.to_owned(), source })?;
    let signers = signature::signers(&examined, &settings.keys);
    if signers > 0 && signers >= usize::try_from(settings.threshold).unwrap_or(usize::MAX) {
        let good = examined.iter().filter(|one| one.outcome.is_ok());
        let files: Vec<String> = good.map(|one| one.path.display().to_string()).collect();
        return Ok(Detached::Signed(ReferenceValue { digest: image.digest(), origin: files.join(", ") }));
    }
    let broken = examined.into_iter().find(|one| matches!(one.outcome, Err(NoCount::Broken(_))));
    Ok(broken.map_or(Detached::Nothing, |one| Detached::Broken(one.path)))
}

/// Whoever can write a list of pins decides what runs, so the list must be as safe as the binary.
fn check_safe(path: &Path) -> Result<(), ReferenceError> {
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(|source| ReferenceError::Read { path: path.to_owned(), source })?,
    };
    let own = nix::unistd::geteuid().as_raw();
    let unsafe_because = |why: String| Err(ReferenceError::Unsafe { path: path.to_owned(), why });
    match (metadata.uid(), metadata.mode() & 0o7777) {
        (uid, _) if uid != 0 && uid != own => unsafe_because(format!("it belongs to uid {uid}")),
        (_, mode) if mode & 0o022 != 0 => unsafe_because(format!("others may write to it (mode {mode:04o})")),
        _ => Ok(()),
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    /// Ten thousand pins.
    const MAX: u64 = 1024 * 1024;
    let bytes = durable::read(path, MAX)?.ok_or(io::ErrorKind::NotFound)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))
}

/// Lines as `sha256sum` prints them: digest, space, space or `*`, name. The name is for people. Empty lines
/// and lines that start with `#` are comments.
fn parse(path: &Path, text: &str) -> Result<Vec<ReferenceValue>, ReferenceError> {
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let digits = line.split_whitespace().next().unwrap_or_default();
        let bad =
            |_| ReferenceError::Line { path: path.to_owned(), line: index + 1, found: line.chars().take(80).collect() };
        let digest = Digest::parse_lenient(digits).map_err(bad)?;
        values.push(ReferenceValue { digest, origin: format!("{}:{}", path.display(), index + 1) });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn settings(folder: &Path) -> TrustSettings {
        TrustSettings { pins_d: vec![folder.to_owned(), folder.join("absent")], ..TrustSettings::default() }
    }

    #[test]
    fn pins_are_read_in_every_spelling_with_file_and_line() {
        let folder = tempfile::tempdir().expect("folder");
        let upper = DIGITS.to_uppercase();
        let text = format!("# ours\n\n{DIGITS}  /usr/bin/cryfttee\n{upper} *cryfttee\nsha256:{DIGITS}\n");
        std::fs::write(folder.path().join("cryfttee"), text).expect("write");
        for left_over in [".cryfttee.swp", "cryfttee~", "cryfttee.dpkg-old", "cryfttee.rpmsave"] {
            std::fs::write(folder.path().join(left_over), "not a pin").expect("write");
        }
        let (references, _) = read(&settings(folder.path()), folder.path()).expect("good");
        assert_eq!(references.values.len(), 3);
        assert!(references.values.iter().all(|value| value.digest.to_string() == format!("sha256:{DIGITS}")));
        assert!(references.values[1].origin.ends_with("cryfttee:4"), "{}", references.values[1].origin);
    }

    #[test]
    fn one_bad_line_refuses_them_all_and_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("pins"), format!("{DIGITS}  good\n{}  short\n", &DIGITS[1..]))
            .expect("write");
        let error = read(&settings(folder.path()), folder.path()).expect_err("refused");
        assert!(error.to_string().contains("pins, line 2"), "{error}");
        assert_eq!(error.exit_code(), exit::DATA);
    }

    #[test]
    fn the_first_measurement_becomes_the_reference_only_where_there_is_none() {
        let first = Digest::new([1; 32]);
        let mut none = References { require: Require::Auto, expected: false, values: Vec::new(), revoked: Vec::new() };
        none.hold_on_to(first);
        none.hold_on_to(Digest::new([2; 32]));
        assert_eq!(none.values.len(), 1);
        assert_eq!(none.values[0].digest, first);
        let mut never =
            References { require: Require::Never, expected: false, values: Vec::new(), revoked: Vec::new() };
        never.hold_on_to(first);
        assert!(never.values.is_empty());
    }

    #[test]
    fn a_list_of_pins_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        for (name, mode) in [("", 0o777), ("", 0o775), ("pins", 0o666), ("pins", 0o660)] {
            let folder = tempfile::tempdir().expect("folder");
            std::fs::write(folder.path().join("pins"), format!("{DIGITS}  good\n")).expect("write");
            let changed = folder.path().join(name);
            std::fs::set_permissions(&changed, std::fs::Permissions::from_mode(mode)).expect("mode");
            let error = read(&settings(folder.path()), folder.path()).expect_err("refused");
            assert_eq!(error.exit_code(), exit::INTEGRITY, "{name:?} {mode:o}: {error}");
        }
    }

    #[test]
    fn a_list_of_pins_that_is_not_text_is_bad_data() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("pins"), b"# M\xfcller\n").expect("write");
        let error = read(&settings(folder.path()), folder.path()).expect_err("refused");
        assert_eq!(error.exit_code(), exit::DATA, "{error}");
    }
}
