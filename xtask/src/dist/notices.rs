//! What is linked into a program, under which licence, and the notices that these licences want passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::tool;
use crate::stage::workspace;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    /// None: it is ours.
    source: Option<String>,
}

/// The list of crates in `package`, then their notices, each text once.
pub(super) fn of(package: &str) -> Result<String, String> {
    let linked = linked(package)?;
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).map_err(|error| format!("read what cargo metadata says: {error}"))?;
    let mut list = format!("Linked into {package}, besides its own code:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in metadata.packages {
        let id = format!("{} {}", one.name, one.version);
        if one.source.is_none() || !linked.contains(&id) {
            continue;
        }
        list.push_str(&format!("{id}: {}\n", one.license.as_deref().unwrap_or("see its notice below")));
        for text in files(one.manifest_path.parent().unwrap_or(Path::new("/")))? {
            texts.entry(text).or_default().push(id.clone());
        }
    }
    for (text, of) in texts {
        list.push_str(&format!("\n{}\n{}:\n\n{}\n", "-".repeat(72), of.join(", "), text.trim_end()));
    }
    Ok(list)
}

/// Name and version of every crate that is compiled in.
fn linked(package: &str) -> Result<BTreeSet<String>, String> {
    let tree = cargo(&["tree", "--locked", "--package", package, "--edges", "normal", "--prefix", "none"])?;
    // "name v1.2.3 (proc-macro)"
    let id = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
    };
    Ok(tree.lines().filter_map(id).collect())
}

fn cargo(arguments: &[&str]) -> Result<String, String> {
    tool::run(crate::stage::cargo().args(arguments).current_dir(workspace()))
}

fn files(folder: &Path) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for file in super::files(folder)? {
        let name = tool::name_of(&file).to_ascii_uppercase();
        if file.is_file()
            && ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"].iter().any(|start| name.starts_with(start))
        {
            let bytes = fs::read(&file).map_err(|error| format!("read {}: {error}", file.display()))?;
            texts.push(String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
    }
    Ok(texts)
}
