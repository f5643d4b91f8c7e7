//! The scenarios: each is a script in `tests/systemd` whose name is the claim that it tests.

use std::path::PathBuf;

/// One claim and the script that tries it.
pub(super) struct Scenario {
    /// The claim, in words joined by underscores.
    pub(super) name: String,
}

/// Where the scripts stand; the container sees this folder as `/scenarios`.
pub(super) fn folder() -> PathBuf {
    super::host::workspace().join("tests/systemd")
}

/// All scenarios by name. Errors: the folder cannot be read, or is empty, which would pass without having tried anything.
pub(super) fn all() -> Result<Vec<Scenario>, String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("read {}: {error}", folder.display()))?;
    let mut all: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_suffix(".sh").map(|name| Scenario { name: name.to_owned() })
        })
        .collect();
    if all.is_empty() {
        return Err(format!("no scenario in {}", folder.display()));
    }
    all.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(all)
}
