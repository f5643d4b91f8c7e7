//! What the scenarios try: the tree that the packages of this project install, and the packages themselves in two versions.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::dist::contents::{self, Programs};
use crate::dist::{self, Release, Tree, VERSION};
use crate::stage::{Binaries, cargo};

/// A sidecar with the faults that the genuine one cannot be made to show. No package has it.
const BAD_SIDECAR: &str = "usr/local/lib/cryftgo-tee-tests/bad-sidecar";

/// The version that comes after every other one.
const NEXT: &str = "9999";

/// What is staged. Containers see the tree as `/package` and copy it over their root, unless they install the packages.
pub(super) struct Package {
    pub(super) tree: PathBuf,
    /// `now/` and `next/`, each with a `.deb` and an `.rpm` of every package; `/packages` in a container.
    pub(super) packages: PathBuf,
}

impl Package {
    /// Stages the tree, with what tests need besides, and builds the packages.
    pub(super) fn stage(binaries: &Binaries) -> Result<Self, String> {
        let folder = binaries.target.join("systemd-tests");
        let tree = Tree::anew(folder.join("package"))?;
        let programs = Programs::of(binaries);
        let now = Release { version: VERSION, epoch: dist::epoch()?, quick: true };
        for entry in contents::packages(&programs, &now)?.iter().flat_map(|package| &package.entries) {
            tree.put(entry)?;
        }
        tree.copy(&bad_sidecar(&binaries.target)?, BAD_SIDECAR, 0o755)?;
        // This program itself, as the client. By its link in /proc: a build may have replaced the file meanwhile.
        tree.copy(Path::new("/proc/self/exe"), "usr/local/bin/xtask", 0o755)?;

        let packages = folder.join("packages");
        dist::build(&programs, &now, &packages.join("now"))?;
        let next = Release { version: NEXT, ..now };
        dist::build(&next_programs(&programs, &folder)?, &next, &packages.join("next"))?;
        Ok(Self { tree: tree.root().to_owned(), packages })
    }
}

/// Programs that do the same and have another hash: what follows the end of an ELF file is not looked at by anybody who
/// runs it.
fn next_programs(programs: &Programs, folder: &Path) -> Result<Programs, String> {
    let folder = folder.join("next");
    fs::create_dir_all(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    let next = |program: &Path| {
        let to = folder.join(program.file_name().unwrap_or_default());
        let describe = |error: std::io::Error| format!("make {}: {error}", to.display());
        fs::copy(program, &to).map_err(describe)?;
        let mut file = fs::OpenOptions::new().append(true).open(&to).map_err(describe)?;
        file.write_all(b"the next version").map_err(describe)?;
        Ok::<_, String>(to)
    };
    Ok(Programs {
        verifier: next(&programs.verifier)?,
        sidecar: next(&programs.sidecar)?,
        signer: next(&programs.signer)?,
    })
}

/// Builds the bad sidecar, an example of the root package, and says where it is.
fn bad_sidecar(target: &Path) -> Result<PathBuf, String> {
    let status = cargo()
        // The workspace, as for the other programs: with another selection most dependencies would be compiled again.
        .args(["build", "--release", "--locked", "--workspace", "--example", "bad-sidecar"])
        .current_dir(super::host::workspace())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("start cargo to build the bad sidecar: {error}"))?;
    if status.success() {
        Ok(target.join("release/examples/bad-sidecar"))
    } else {
        Err(format!("cargo build of the bad sidecar failed ({status}); its own message is above"))
    }
}
