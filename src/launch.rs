//! Launch: from an appraised image to a process that is known to run it, and nothing else.

mod child;
mod environment;
mod orphans;
mod output;
pub mod sockets;
mod status;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use contract::{Digest, defaults, exit};

pub use child::{Child, Stopped};
pub use environment::ChildEnvironment;
pub use orphans::{Forked, forked_by, is_headless};
pub use output::Output;
pub use status::NotConfined;

use crate::appraise::Appraised;
use crate::config::ImageKind;
use crate::fault::{Fault, Severity};
use crate::measure::{self, Image, ImageFacts, MeasureError};
use crate::sys::{Program, RunAs, SpawnError};

/// The sidecar could not be launched, or is not what was launched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum LaunchError {
    #[error("find the user {user:?} that the sidecar runs as (launch.user)")]
    FindUser { user: String, source: io::Error },
    #[error("there is no user {user:?} for the sidecar to run as (launch.user)")]
    NoUser { user: String },
    #[error("the sidecar may not run as root (launch.user)")]
    RootUser,
    #[error("open a pipe and a journal stream for the sidecar's own lines")]
    Output(#[source] io::Error),
    #[error("start the sidecar")]
    Spawn(#[from] SpawnError),
    #[error("the sidecar ended before it was ready: {0}")]
    EndedEarly(Stopped),
    #[error("wait for the sidecar's end")]
    Wait(#[source] io::Error),
    #[error("measure the running image")]
    Measure(#[from] MeasureError),
    #[error(
        "the verifier may not look at pid {pid}: it needs CAP_SYS_PTRACE, in AmbientCapabilities= and in \
         CapabilityBoundingSet= of its unit"
    )]
    NotAllowed { pid: u32, source: MeasureError },
    #[error("the running image is {found}, but {expected} was appraised")]
    OtherImage { expected: Digest, found: Digest },
    #[error("the running image is not the sealed copy that was launched")]
    Unsealed,
    #[error("read the seals of the running image")]
    ReadSeals(#[source] io::Error),
    #[error("read /proc/{pid}/status", pid = .0)]
    ReadStatus(u32, #[source] io::Error),
    #[error("the sidecar is not confined")]
    NotConfined(#[from] NotConfined),
}

impl Fault for LaunchError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::OtherImage { .. } | Self::Unsealed | Self::NotConfined(_) => exit::INTEGRITY,
            Self::FindUser { .. } | Self::NoUser { .. } | Self::RootUser | Self::NotAllowed { .. } => exit::CONFIG,
            Self::EndedEarly(_) => exit::UNAVAILABLE,
            Self::Output(_) => exit::IO,
            Self::Spawn(_) | Self::Wait(_) | Self::ReadSeals(_) | Self::ReadStatus(..) => exit::OS,
            Self::Measure(error) => error.exit_code(),
        }
    }

    /// At a start. A sidecar that is not confined is no evidence of an attack then: a kernel that withholds a step of the
    /// launch looks the same, and so does an operator who traces the service. It is looked at right after its exec, and is
    /// refused before it is attested. [`Self::severity_once_confined`] is the same question about one that runs.
    fn severity(&self) -> Severity {
        match self {
            Self::OtherImage { .. } | Self::Unsealed => Severity::Tampering,
            Self::Measure(error) => error.severity(),
            Self::FindUser { .. }
            | Self::NoUser { .. }
            | Self::RootUser
            | Self::Output(_)
            | Self::Spawn(_)
            | Self::EndedEarly(_)
            | Self::Wait(_)
            | Self::NotAllowed { .. }
            | Self::ReadSeals(_)
            | Self::ReadStatus(..)
            | Self::NotConfined(_) => Severity::Slip,
        }
    }
}

impl LaunchError {
    /// In a sidecar that runs. It was found to be confined at its start, and nothing that it may do by itself gives a
    /// privilege back or attaches a debugger: somebody with more rights than it has did that.
    pub fn severity_once_confined(&self) -> Severity {
        match self {
            Self::NotConfined(_) => Severity::Tampering,
            Self::FindUser { .. }
            | Self::NoUser { .. }
            | Self::RootUser
            | Self::Output(_)
            | Self::Spawn(_)
            | Self::EndedEarly(_)
            | Self::Wait(_)
            | Self::Measure(_)
            | Self::NotAllowed { .. }
            | Self::OtherImage { .. }
            | Self::Unsealed
            | Self::ReadSeals(_)
            | Self::ReadStatus(..) => self.severity(),
        }
    }

    /// The same error, of a process that is known to live: then what cannot be opened is what may not be seen.
    #[must_use]
    pub fn of_a_living(self, pid: u32) -> Self {
        match self {
            Self::Measure(MeasureError::Open { path, source })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                Self::NotAllowed { pid, source: MeasureError::Open { path, source } }
            }
            error => error,
        }
    }

    /// Whether a look at a process that is gone would fail like this. That something else than the image was
    /// found is never absence.
    pub const fn may_be_absence(&self) -> bool {
        match self {
            Self::Measure(_) | Self::ReadSeals(_) | Self::ReadStatus(..) => true,
            Self::FindUser { .. }
            | Self::NoUser { .. }
            | Self::RootUser
            | Self::Output(_)
            | Self::Spawn(_)
            | Self::EndedEarly(_)
            | Self::Wait(_)
            | Self::NotAllowed { .. }
            | Self::OtherImage { .. }
            | Self::Unsealed
            | Self::NotConfined(_) => false,
        }
    }
}

/// The listening sockets that the child inherits (DESIGN: the gate).
#[derive(Debug, Clone, Copy)]
pub struct Handoff<'a> {
    /// The public one, on which the child accepts once it is admitted.
    pub api: BorrowedFd<'a>,
    /// The private one, on which it is attested; none where the sidecar does not know of it.
    pub control: Option<BorrowedFd<'a>>,
}

/// Looks up the user that the sidecar runs as; none means the verifier's own.
///
/// # Errors
/// [`LaunchError::NoUser`] or [`LaunchError::FindUser`].
pub fn find_user(name: Option<&str>) -> Result<Option<RunAs>, LaunchError> {
    let Some(name) = name else { return Ok(None) };
    let found = nix::unistd::User::from_name(name)
        .map_err(|error| LaunchError::FindUser { user: name.to_owned(), source: error.into() })?;
    let user = found.ok_or_else(|| LaunchError::NoUser { user: name.to_owned() })?;
    if user.uid.is_root() {
        return Err(LaunchError::RootUser);
    }
    Ok(Some(RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

/// Runs an appraised image. Must be called on the main thread: the child dies with the thread that forked.
///
/// # Errors
/// [`LaunchError`]; no process is left behind.
pub fn launch(
    image: &Appraised<Image>,
    environment: &ChildEnvironment,
    handoff: Handoff<'_>,
    run_as: Option<RunAs>,
) -> Result<Child, LaunchError> {
    let argv = [CString::from(c"cryfttee")];
    let api = (defaults::API_FD_NAME, handoff.api);
    let control = handoff.control.map(|control| (defaults::CONTROL_FD_NAME, control));
    let sockets: Vec<_> = [api].into_iter().chain(control).collect();
    let (writer, output) = Output::open().map_err(LaunchError::Output)?;
    let program = Program {
        image: image.get().as_fd(),
        argv: &argv,
        environment: environment.entries(),
        sockets: &sockets,
        output: Some(writer.as_fd()),
        run_as,
    };
    Child::spawn(&program, output)
}

/// Looks at the process itself before anything it says is trusted: it runs the image that was appraised,
/// the image is still sealed, and the process holds no privilege. Gives the image that was looked at.
///
/// # Errors
/// [`LaunchError`].
pub fn verify_running(pid: u32, image: ImageFacts, run_as: Option<RunAs>) -> Result<File, LaunchError> {
    // One handle: the seals that are read are those of the bytes that were hashed.
    let running = measure::open_running(pid)?;
    let found = measure::digest_of_running(pid, &running)?;
    if found != image.digest {
        return Err(LaunchError::OtherImage { expected: image.digest, found });
    }
    if image.kind == ImageKind::Sealed {
        match measure::lost_seals(&running) {
            Ok(false) => {}
            Ok(true) => return Err(LaunchError::Unsealed),
            // A file on disk, which cannot have any.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Err(LaunchError::Unsealed),
            Err(error) => return Err(LaunchError::ReadSeals(error)),
        }
    }
    status::check_threads(pid, run_as)?;
    Ok(running)
}
