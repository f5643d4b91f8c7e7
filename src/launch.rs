//! Launch: from an appraised image to a process that is known to run it, and nothing else.

mod child;
mod environment;
mod orphans;
mod output;
pub mod sockets;
mod status;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use contract::{Digest, defaults, exit};

pub use child::{Child, Stopped};
pub use environment::ChildEnvironment;
pub use status::NotConfined;

use crate::appraise::Appraised;
use crate::config::ImageKind;
use crate::measure::{self, Image, ImageFacts, MeasureError};
use crate::sys::{self, Program, RunAs, SpawnError};

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
    #[error("open a journal stream for the sidecar's own lines")]
    Output(#[source] io::Error),
    #[error("start the sidecar")]
    Spawn(#[from] SpawnError),
    #[error("the sidecar ended before it was ready: {0}")]
    EndedEarly(Stopped),
    #[error("wait for the sidecar's end")]
    Wait(#[source] io::Error),
    #[error("measure the running image")]
    Measure(#[from] MeasureError),
    #[error("the running image is {found}, but {expected} was appraised")]
    OtherImage { expected: Digest, found: Digest },
    #[error("the running image has lost its seals")]
    Unsealed,
    #[error("read the seals of the running image")]
    ReadSeals(#[source] io::Error),
    #[error("read /proc/{pid}/status", pid = .0)]
    ReadStatus(u32, #[source] io::Error),
    #[error("the sidecar is not confined")]
    NotConfined(#[from] NotConfined),
}

impl LaunchError {
    /// Exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OtherImage { .. } | Self::Unsealed | Self::NotConfined(_) => exit::INTEGRITY,
            Self::FindUser { .. } | Self::NoUser { .. } | Self::RootUser => exit::CONFIG,
            Self::EndedEarly(_) => exit::UNAVAILABLE,
            Self::Output(_) => exit::IO,
            Self::Spawn(_) | Self::Wait(_) | Self::ReadSeals(_) | Self::ReadStatus(..) => exit::OS,
            Self::Measure(error) => error.exit_code(),
        }
    }
}

impl LaunchError {
    /// Whether a look at a process that is gone would fail like this. That something else than the image was
    /// found is never absence.
    pub const fn may_be_absence(&self) -> bool {
        matches!(self, Self::Measure(_) | Self::ReadSeals(_) | Self::ReadStatus(..))
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
    let output = output::for_sidecar().map_err(LaunchError::Output)?;
    let program = Program {
        image: image.get().as_fd(),
        argv: &argv,
        environment: environment.entries(),
        sockets: &sockets,
        output: output.as_ref().map(AsFd::as_fd),
        run_as,
    };
    let spawned = sys::spawn(&program)?;
    Child::hold(spawned)
}

/// Looks at the process itself before anything it says is trusted: it runs the image that was appraised,
/// the image is still sealed, and the process holds no privilege.
///
/// # Errors
/// [`LaunchError`].
pub fn verify_running(pid: u32, image: ImageFacts, run_as: Option<RunAs>) -> Result<(), LaunchError> {
    // One handle: the seals that are read are those of the bytes that were hashed.
    let running = measure::open_running(pid)?;
    let found = measure::digest_of_running(pid, &running)?;
    if found != image.digest {
        return Err(LaunchError::OtherImage { expected: image.digest, found });
    }
    if image.kind == ImageKind::Sealed && measure::lost_seals(&running).map_err(LaunchError::ReadSeals)? {
        return Err(LaunchError::Unsealed);
    }
    let status = status::read(pid).map_err(|source| LaunchError::ReadStatus(pid, source))?;
    Ok(status::check(&status, run_as)?)
}
