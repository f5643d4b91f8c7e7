//! Drop-in folders: which of their files count.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What editors and package managers leave beside a file. A pin in one of them is one that was taken back.
fn left_over(path: &Path) -> bool {
    const ENDINGS: [&str; 10] =
        ["~", ".bak", ".orig", ".swp", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave", ".rpmnew", ".rpmorig"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The files of a drop-in folder that end in `.extension`, or all where it is empty, by name; none where
/// there is no folder. Hidden files, and what editors and package managers leave behind, are passed over.
///
/// # Errors
/// The folder is there and cannot be listed.
pub fn list_folder(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let wanted = extension.is_empty() || path.extension().is_some_and(|found| found == extension);
        if wanted && !hidden && !left_over(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
