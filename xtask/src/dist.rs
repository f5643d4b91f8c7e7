//! `cargo xtask dist`: the packages, in `target/dist/`.
//!
//! What a package holds is one list ([`contents`]); from it come the `.deb`, the `.rpm`, and the tree that the scenarios of
//! `cargo xtask test` run on. Packages are built by Debian's own tools: dpkg-deb and rpmbuild.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::stage::{Binaries, digest_of, workspace};

mod completions;
pub(crate) mod contents;
mod deb;
mod env_file;
mod lint;
mod man;
mod notices;
mod own_paths;
mod rpm;
mod template;
mod texts;
mod tool;
mod tree;

use contents::Programs;
pub(crate) use tree::Tree;

/// Build the packages (.deb and .rpm) into target/dist/, with SHA256SUMS.
///
/// The same sources and tools give the same bytes: times are those of SOURCE_DATE_EPOCH, or of the last commit. Needs
/// dpkg-dev and rpm (Debian packages).
///
/// Example: cargo xtask dist --check --lint
#[derive(clap::Args)]
pub(crate) struct DistArgs {
    /// Build every package a second time, and fail where one byte differs
    #[arg(long)]
    check: bool,
    /// Have lintian and rpmlint look at the packages, and fail where one has something to say
    #[arg(long)]
    lint: bool,
}

/// The version of the packages: that of the workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a set of packages is made from and for.
pub(crate) struct Release<'a> {
    pub(crate) version: &'a str,
    /// Seconds since 1970 that stand for "now" in everything that is written.
    pub(crate) epoch: u64,
    /// Compressed in little time rather than well, for tests.
    pub(crate) quick: bool,
}

pub(crate) fn run(args: DistArgs) -> ExitCode {
    match dist(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("cargo xtask dist: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn dist(args: &DistArgs) -> Result<(), String> {
    let binaries = Binaries::build_without_paths().map_err(|error| error.to_string())?;
    let programs = Programs::of(&binaries);
    own_paths::refuse(&programs)?;
    let release = Release { version: VERSION, epoch: epoch()?, quick: false };
    let into = binaries.target.join("dist");
    build(&programs, &release, &into)?;
    if args.check {
        let again = binaries.target.join("dist-again");
        build(&programs, &release, &again)?;
        same(&into, &again)?;
        println!("built twice: the same bytes");
    }
    for file in files(&into)? {
        let size = fs::metadata(&file).map_or(0, |metadata| metadata.len());
        println!("{:>9}  {}", size, file.display());
    }
    if args.lint { lint::run(&files(&into)?, &binaries.target) } else { Ok(()) }
}

/// Builds all packages into an empty `into`, and SHA256SUMS over them.
pub(crate) fn build(programs: &Programs, release: &Release<'_>, into: &Path) -> Result<(), String> {
    tool::anew(into)?;
    let work = into.with_extension("work");
    for package in contents::packages(programs, release)? {
        deb::build(&package, release, &work, into)?;
        rpm::build(&package, release, &work, into)?;
    }
    fs::remove_dir_all(&work).map_err(|error| format!("remove {}: {error}", work.display()))?;
    let mut sums = String::new();
    for file in files(into)? {
        sums.push_str(&format!("{}  {}\n", hex_of(&file)?, tool::name_of(&file)));
    }
    tool::write(&into.join("SHA256SUMS"), &sums)
}

/// The SHA-256 of a file, as sha256sum writes it.
pub(crate) fn hex_of(file: &Path) -> Result<String, String> {
    let digest = digest_of(file).map_err(|error| error.to_string())?.to_string();
    Ok(digest.strip_prefix("sha256:").unwrap_or(&digest).to_owned())
}

/// What is in a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("read {}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn same(left: &Path, right: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("read {}: {error}", path.display()));
    let names = |folder| files(folder).map(|all| all.iter().map(|file| tool::name_of(file)).collect::<Vec<_>>());
    if names(left)? != names(right)? {
        return Err(format!("{} and {} do not hold the same files", left.display(), right.display()));
    }
    for file in files(left)? {
        let name = tool::name_of(&file);
        if read(&file)? != read(&right.join(&name))? {
            return Err(format!("{name} was built twice and differs (the other one: {})", right.display()));
        }
    }
    Ok(())
}

/// `SOURCE_DATE_EPOCH`, or the time of the last commit.
pub(crate) fn epoch() -> Result<u64, String> {
    let (from, text) = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => ("SOURCE_DATE_EPOCH", text),
        Err(_) => {
            // As root in somebody's clone, git refuses without this.
            let git = ["-c", "safe.directory=*", "log", "-1", "--format=%ct"];
            let said = tool::output("git", &git, &workspace());
            ("the last commit", said.map_err(|reason| format!("{reason}; without git, set SOURCE_DATE_EPOCH"))?)
        }
    };
    text.trim().parse().map_err(|_| format!("{from} says {:?}, which is no number of seconds", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_that_differ_in_one_byte_or_one_file_are_not_the_same() {
        let (left, right) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let put = |folder: &tempfile::TempDir, name, text| fs::write(folder.path().join(name), text).expect("write");
        put(&left, "a.deb", "1");
        assert!(same(left.path(), right.path()).is_err_and(|reason| reason.contains("the same files")));
        put(&right, "a.deb", "2");
        assert!(same(left.path(), right.path()).is_err_and(|reason| reason.contains("a.deb")));
        put(&right, "a.deb", "1");
        assert_eq!(same(left.path(), right.path()), Ok(()));
    }
}
