//! The scenarios: each is a script in `tests/systemd` whose name is the claim that it tests.

use std::path::{Path, PathBuf};

/// One claim and the script that tries it.
pub(super) struct Scenario {
    /// The claim, in words joined by underscores.
    pub(super) name: String,
    /// How often it is booted, on one file system that lasts: `# boots: 2` in the script. Its `BOOT` says which it is.
    pub(super) boots: u32,
    /// Whether it gets a TPM, at `/share/tpm.sock`: `# tpm: yes` in the script.
    pub(super) tpm: bool,
}

impl Scenario {
    /// Errors: the script cannot be read, or asks for no number of boots.
    fn read(script: &Path, name: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(script).map_err(|error| format!("read {}: {error}", script.display()))?;
        let boots = match text.lines().find_map(|line| line.strip_prefix("# boots: ")) {
            Some(number) => number.parse().map_err(|_| format!("{}: boots: {number}", script.display()))?,
            None => 1,
        };
        let tpm = text.lines().any(|line| line == "# tpm: yes");
        Ok(Self { name: name.to_owned(), boots, tpm })
    }
}

/// Where the scripts stand; the container sees this folder as `/scenarios`.
pub(super) fn folder() -> PathBuf {
    super::host::workspace().join("tests/systemd")
}

/// All scenarios by name. Errors: the folder cannot be read, or is empty, which would pass without having tried anything.
pub(super) fn all() -> Result<Vec<Scenario>, String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("read {}: {error}", folder.display()))?;
    let mut all = Vec::new();
    for entry in entries.flatten() {
        if let Some(name) = entry.file_name().to_str().and_then(|file| file.strip_suffix(".sh")) {
            all.push(Scenario::read(&entry.path(), name)?);
        }
    }
    if all.is_empty() {
        return Err(format!("no scenario in {}", folder.display()));
    }
    all.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(all)
}
