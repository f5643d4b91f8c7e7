//! The root file systems that the containers boot, bootstrapped once and kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What is in a root file system besides what Debian calls essential. rpm is for trying the `.rpm` packages; what comes
/// after it for hosts that send their journals to one another.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,rpm,systemd-journal-remote,openssl,iproute2";
/// Says which packages a root file system was made with, so that a changed list makes a new one.
const STAMP: &str = ".made-with";

/// The Debian releases whose systemd the units are written for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Suite {
    /// Debian 12, systemd 252
    Bookworm,
    /// Debian 13, systemd 257
    Trixie,
}

impl Suite {
    pub(super) const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        })
    }
}

/// The root file system of `suite`, made if it is not there. Errors: debootstrap's last words.
pub(super) fn bootstrapped(suite: Suite, target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("rootfs");
    fs::create_dir_all(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    // Always in this order.
    let _alone = (lock(suite, Lane::Main, target)?, lock(suite, Lane::Beside, target)?);
    let root = folder.join(suite.to_string());
    if fs::read_to_string(root.join(STAMP)).is_ok_and(|made_with| made_with == PACKAGES) {
        return Ok(root);
    }
    // Under the lock, so that what an interrupted run left behind can be told from what another run is making.
    let partial = folder.join(format!(".{suite}.partial"));
    remove(&partial)?;
    remove(&root)?;
    println!("bootstrapping {suite} into {} (once; about a minute)", root.display());
    let start = Instant::now();
    bootstrap(suite, &partial, &folder.join(format!("{suite}.log")))?;
    fs::write(partial.join(STAMP), PACKAGES).map_err(|error| format!("write the stamp of {suite}: {error}"))?;
    fs::rename(&partial, &root).map_err(|error| format!("put {} in place: {error}", root.display()))?;
    println!("bootstrapped {suite} in {:.0} s", start.elapsed().as_secs_f32());
    Ok(root)
}

/// In which of two rows a scenario waits for its turn.
#[derive(Clone, Copy)]
pub(super) enum Lane {
    Main,
    /// That of scenarios which may run beside one of the others.
    Beside,
}

/// Held while a root file system is booted, and both while it is made: a tree that is being booted must not be replaced. A
/// second `cargo xtask test` waits.
pub(super) fn lock(suite: Suite, lane: Lane, target: &Path) -> Result<File, String> {
    let lane = match lane {
        Lane::Main => "",
        Lane::Beside => "-beside",
    };
    let path = target.join(format!("rootfs/.{suite}{lane}.lock"));
    let file = File::create(&path).map_err(|error| format!("open {}: {error}", path.display()))?;
    file.lock().map_err(|error| format!("lock {}: {error}", path.display()))?;
    Ok(file)
}

fn bootstrap(suite: Suite, into: &Path, log: &Path) -> Result<(), String> {
    let describe = |error: std::io::Error| format!("write {}: {error}", log.display());
    let output = File::create(log).map_err(describe)?;
    let errors = output.try_clone().map_err(describe)?;
    let path = std::env::var("PATH").unwrap_or_default();
    // In a mount namespace of its own: the /proc that debootstrap mounts in the tree goes with it, even when it is
    // interrupted, and removing a partial tree never reaches into the host's.
    let status = Command::new("unshare")
        .args(["--mount", "debootstrap"])
        // Root's PATH lacks the sbin folders after a plain `su`.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .args(["--variant=minbase", "--include", PACKAGES])
        .arg(suite.to_string())
        .arg(into)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status()
        .map_err(|error| format!("start unshare and debootstrap: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(log).unwrap_or_default();
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    Err(format!("debootstrap {suite} ended with {status}: {last} (all of it: {})", log.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
