//! Building what is run, and knowing where cargo put it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// The three programs of the system.
pub(crate) struct Binaries {
    pub(crate) verifier: PathBuf,
    pub(crate) sidecar: PathBuf,
    pub(crate) signer: PathBuf,
    /// Cargo's target folder, wherever the environment or the configuration put it.
    pub(crate) target: PathBuf,
}

/// How they are built; Cargo.toml has the two.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// In little time.
    Release,
    /// As they are packaged.
    Shipped,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Shipped => "shipped",
        }
    }

    const fn selection(self) -> &'static [&'static str] {
        match self {
            // That of `cargo xtask test`: with another one cargo would choose other features for the dependencies, and
            // compile most of them once more.
            Self::Release => &[],
            // What is not shipped need not be linked as a whole, and no feature is there for its sake.
            Self::Shipped => &["--exclude", "xtask"],
        }
    }
}

/// Why the programs are not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("start cargo to build the programs: {0}")]
    Start(#[source] std::io::Error),
    #[error("read what cargo says about the build: {0}")]
    Read(#[source] std::io::Error),
    #[error("cargo build failed ({0}); its own message is above")]
    Failed(std::process::ExitStatus),
    #[error("cargo built no program named {0}")]
    Missing(&'static str),
}

/// The one kind of cargo message that matters here.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    executable: Option<PathBuf>,
}

impl Binaries {
    /// Runs `cargo build` for the three programs, with cargo's progress on stderr.
    pub(crate) fn build(profile: Profile) -> Result<Self, BuildError> {
        Self::build_with(profile, None)
    }

    /// The same for packages: as they are shipped, with no path of this machine in the programs. Whoever sets RUSTFLAGS to just that for all that is
    /// built, as `.ci/run` does, compiles once.
    pub(crate) fn build_without_paths() -> Result<Self, BuildError> {
        let remaps = |flags: &std::ffi::OsString| flags.to_string_lossy().contains("--remap-path-prefix");
        let flags = std::env::var_os("RUSTFLAGS").filter(remaps).unwrap_or_else(|| {
            let [cargo_home, workspace] = [cargo_home(), workspace()].map(|folder| folder.display().to_string());
            format!("--remap-path-prefix={cargo_home}=/cargo --remap-path-prefix={workspace}=/source").into()
        });
        Self::build_with(Profile::Shipped, Some(flags))
    }

    fn build_with(profile: Profile, flags: Option<std::ffi::OsString>) -> Result<Self, BuildError> {
        let mut build = cargo()
            .args(["build", "--profile", profile.name(), "--locked", "--workspace", "--bins"])
            .args(profile.selection())
            .args(["--message-format", "json-render-diagnostics"])
            .envs(flags.map(|flags| ("RUSTFLAGS", flags)))
            .current_dir(workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BuildError::Start)?;
        let mut built = Vec::new();
        if let Some(messages) = build.stdout.take() {
            for line in BufReader::new(messages).lines() {
                let line = line.map_err(BuildError::Read)?;
                // Lines that are not artifacts are of no interest, whatever they look like.
                if let Ok(Artifact { reason, executable: Some(path) }) = serde_json::from_str(&line)
                    && reason == "compiler-artifact"
                {
                    built.push(path);
                }
            }
        }
        let status = build.wait().map_err(BuildError::Start)?;
        if !status.success() {
            return Err(BuildError::Failed(status));
        }
        let find = |name| {
            let found = built.iter().find(|path| path.file_name().is_some_and(|file| file == name));
            found.cloned().ok_or(BuildError::Missing(name))
        };
        let verifier = find("cryftgo-tee")?;
        // target/release/cryftgo-tee: two levels up. Asking cargo beats guessing at CARGO_TARGET_DIR.
        let target = verifier.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned();
        Ok(Self { verifier, sidecar: find("cryfttee")?, signer: find("cryfttee-devsigner")?, target })
    }
}

/// The folder of the workspace: xtask is always run through cargo, which says where its package is.
pub(crate) fn workspace() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package.and_then(|folder| folder.parent().map(Path::to_owned)).unwrap_or_else(|| PathBuf::from("."))
}

/// Where cargo keeps the sources of dependencies.
pub(crate) fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into())).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// Cargo, as a person would call it. Without what `cargo run` has set for this program: the build script of ring watches these
/// variables, and would compile ring, and all that stands on it, anew at every change between the two.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy();
        if known.starts_with("CARGO_PKG_") || known.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}
