//! What there is to judge: read here, and nowhere else.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::super::error::CommandError;
use super::unit::Unit;
use super::{signer, tpm};
use crate::appraise::{self, Accepted, Verdict};
use crate::cli::standing::{Known, Mark};
use crate::clock;
use crate::config::{ImageKind, Settings};
use crate::measure::{self, Progress};
use crate::sys::probe;
use crate::text::one_line;

/// Everything that is judged.
pub(super) struct Facts {
    /// Whether sealed images can be had, with the seal on their mode or without; or why not.
    pub(super) sealing: Result<bool, String>,
    /// `vm.memfd_noexec`; none where the kernel has no such policy.
    pub(super) memfd_noexec: Option<u32>,
    pub(super) pidfd: bool,
    pub(super) pass_pidfd: bool,
    /// How many user namespaces an unprivileged process may make.
    pub(super) user_namespaces: Option<u64>,
    /// The verifier's unit; none where no systemd runs.
    pub(super) unit: Option<Result<Unit, String>>,
    pub(super) socket: Result<Option<Node>, String>,
    /// The binary: what accepts it; or why it may not run.
    pub(super) binary: Result<String, String>,
    pub(super) appraisal: Option<Result<String, String>>,
    pub(super) signer: signer::Found,
    pub(super) clock: Clock,
    /// Whether journald keeps what it has over a reboot; none where there is no journald.
    pub(super) journal: Option<bool>,
    pub(super) mark: Mark,
    /// None where there is no TPM.
    pub(super) tpm: Result<Option<tpm::Found>, String>,
    /// Whether the sidecar's user is there; none where it runs as the verifier's.
    pub(super) user: Option<(String, bool)>,
    pub(super) folders: Vec<(PathBuf, Result<Option<Node>, String>)>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) mode: u32,
    pub(super) socket: bool,
}

/// The wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) now: u64,
    /// When this program was written to disk: nothing can be earlier.
    pub(super) installed: u64,
    /// Whether it is kept in time, where somebody says.
    pub(super) synchronised: Option<bool>,
}

impl Facts {
    pub(super) fn gather(settings: &Settings) -> Self {
        let systemd = super::unit::is_there();
        let binary = measured(settings);
        let unit = systemd.then(|| Unit::read("cryftgo-tee.service"));
        let known = unit.as_ref().and_then(|unit| unit.as_ref().ok());
        let tpm = tpm::look(&settings.tpm, node(&settings.tpm.device), known);
        Self {
            sealing: measure::can_seal().map_err(|error| error.to_string()),
            memfd_noexec: number("/proc/sys/vm/memfd_noexec").and_then(|value| value.try_into().ok()),
            pidfd: probe::has_pidfd(),
            pass_pidfd: probe::has_pass_pidfd(),
            user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unit,
            socket: node(&settings.socket),
            appraisal: binary.is_ok().then(|| appraised(settings)),
            binary,
            signer: signer::Found::gather(settings),
            clock: Clock {
                now: clock::now(),
                installed: fs::metadata("/proc/self/exe").map_or(0, |exe| exe.mtime().try_into().unwrap_or_default()),
                synchronised: if systemd { super::unit::clock_synchronised() } else { None },
            },
            journal: Path::new("/run/systemd/journal/socket").exists().then(|| Path::new("/var/log/journal").is_dir()),
            mark: Known::read(settings).mark,
            tpm,
            user: settings
                .user
                .as_ref()
                .map(|name| (name.clone(), User::from_name(name).is_ok_and(|user| user.is_some()))),
            folders: [&settings.identity_dir, &settings.state_dir].map(|path| (path.clone(), node(path))).into(),
        }
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn node(path: &Path) -> Result<Option<Node>, String> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(|error| error.to_string())?,
    };
    let user = User::from_uid(metadata.uid().into()).ok().flatten();
    let group = Group::from_gid(metadata.gid().into()).ok().flatten();
    Ok(Some(Node {
        owner: user.map_or_else(|| metadata.uid().to_string(), |user| user.name),
        group: group.map_or_else(|| metadata.gid().to_string(), |group| group.name),
        mode: metadata.mode() & 0o7777,
        socket: metadata.file_type().is_socket(),
    }))
}

/// Whether the binary and every folder above it are safe and it is a program; its digest.
fn measured(settings: &Settings) -> Result<String, String> {
    let digest = measure::on_disk(&settings.binary, settings.check_path).map_err(|error| one_line(&error))?;
    Ok(digest.to_string())
}

/// What accepts it.
fn appraised(settings: &Settings) -> Result<String, String> {
    let failed = |error: &CommandError| one_line(error);
    let (references, _) =
        appraise::read(&settings.trust, &settings.state_dir).map_err(|error| failed(&error.into()))?;
    // The file itself: a kernel that gives no sealed image is told of elsewhere.
    let image = measure::seal(&settings.binary, ImageKind::Fd, settings.check_path, &Progress::default());
    let image = image.map_err(|error| failed(&error.into()))?;
    let signed =
        appraise::detached(&image, &settings.binary, &settings.trust).map_err(|error| failed(&error.into()))?;
    match appraise::decide(image.digest(), &references, &signed) {
        Verdict::Accept(Accepted::By(reference)) => Ok(reference.origin),
        Verdict::Accept(Accepted::WithoutReference | Accepted::Unenforced) => Ok(String::new()),
        Verdict::Refuse(refusal) => Err(one_line(&refusal)),
    }
}
