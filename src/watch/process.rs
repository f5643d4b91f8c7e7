//! What a look at the running sidecar may find, and what each of it means.

use std::io;
use std::path::PathBuf;

use contract::{Digest, exit};

use crate::fault::{Fault, Severity};
use crate::launch::LaunchError;
use crate::measure::mappings::LibraryError;

/// What is found in the sidecar that should not be there.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the finding")]
pub enum ProcessFinding {
    #[error(transparent)]
    Image(#[from] LaunchError),
    #[error("the running image is another file than the one that was launched")]
    OtherFile,
    #[error("pid {pid} executed its image once more: what it was launched with no longer holds")]
    ExecutedAnew { pid: u32 },
    #[error("the first thread of pid {pid} ended while others go on: its image can no longer be measured")]
    Headless { pid: u32 },
    #[error("identify the running image")]
    Identify(#[source] io::Error),
    #[error("read the mappings of pid {pid}")]
    ReadMappings { pid: u32, source: io::Error },
    #[error(transparent)]
    Mapping(#[from] MappingFinding),
    #[error("{path} was replaced before it was measured, as by an upgrade; the sidecar has to start again with the new one", path = path.display())]
    Outdated { path: PathBuf },
    #[error("measure the library {path} again", path = path.display())]
    MeasureLibrary { path: PathBuf, source: io::Error },
}

/// Something is executable, or runs, that nobody appraised.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the finding")]
pub enum MappingFinding {
    #[error("{range} is executable memory without a file behind it{JIT_HINT}")]
    Anonymous { range: String },
    #[error("{range} is executable and writable at once{JIT_HINT}")]
    Writable { range: String },
    #[error("there are more executable mappings than any sidecar needs")]
    TooMany,
    #[error(
        "the sidecar forked pid {pid} ({name:?}), and nobody measured what that runs; a sidecar with workers needs watch.mappings = \"report\""
    )]
    Forked { pid: u32, name: String },
    #[error("{kib} KiB of the program text of {path} were changed in memory", path = path.display())]
    Patched { path: PathBuf, kib: u64 },
    #[error("the mapped library {path} was {expected} and is {found} now", path = path.display())]
    LibraryChanged { path: PathBuf, expected: Digest, found: Digest },
    #[error("the executable mapping of {path} cannot be accounted for", path = path.display())]
    Unaccounted { path: PathBuf, source: LibraryError },
    #[error("the library {path} is {digest}, which is not among the reference values for libraries (trust.libraries_d)", path = path.display())]
    UnknownLibrary { path: PathBuf, digest: Digest },
}

impl Fault for MappingFinding {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Anonymous { .. }
            | Self::Writable { .. }
            | Self::TooMany
            | Self::Forked { .. }
            | Self::Patched { .. }
            | Self::LibraryChanged { .. }
            | Self::Unaccounted { .. }
            | Self::UnknownLibrary { .. } => exit::INTEGRITY,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Anonymous { .. }
            | Self::Writable { .. }
            | Self::TooMany
            | Self::Forked { .. }
            | Self::Patched { .. }
            | Self::LibraryChanged { .. }
            | Self::Unaccounted { .. }
            | Self::UnknownLibrary { .. } => Severity::Tampering,
        }
    }
}

const JIT_HINT: &str = "; a sidecar that compiles code while it runs needs watch.mappings = \"report\"";

impl MappingFinding {
    /// Whether a sidecar that is built that way shows it too: `watch.mappings = "report"` then tells it, and goes on.
    pub(super) const fn may_be_by_design(&self) -> bool {
        match self {
            Self::Anonymous { .. } | Self::Writable { .. } | Self::Forked { .. } => true,
            // Behind so many, anything could hide.
            Self::TooMany
            | Self::Patched { .. }
            | Self::LibraryChanged { .. }
            | Self::Unaccounted { .. }
            | Self::UnknownLibrary { .. } => false,
        }
    }

    /// What it is about, without what differs from one time to the next: addresses, pids, sizes.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Anonymous { .. } => "anonymous".to_owned(),
            Self::Writable { .. } => "writable".to_owned(),
            Self::TooMany => "too many".to_owned(),
            Self::Forked { name, .. } => format!("forked {name}"),
            Self::Patched { path, .. } => format!("patched {}", path.display()),
            Self::LibraryChanged { path, .. } => format!("changed {}", path.display()),
            Self::Unaccounted { path, .. } => format!("unaccounted {}", path.display()),
            Self::UnknownLibrary { path, .. } => format!("unknown {}", path.display()),
        }
    }
}

impl Fault for ProcessFinding {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Image(error) => error.exit_code(),
            Self::Mapping(finding) => finding.exit_code(),
            Self::OtherFile | Self::ExecutedAnew { .. } | Self::Headless { .. } => exit::INTEGRITY,
            Self::Identify(_) | Self::ReadMappings { .. } => exit::OS,
            Self::Outdated { .. } => exit::UNAVAILABLE,
            Self::MeasureLibrary { .. } => exit::IO,
        }
    }

    /// Tampering: the running sidecar is beyond doubt not what was appraised.
    fn severity(&self) -> Severity {
        match self {
            // Not as at a start: what is found here was in order then.
            Self::Image(error) => error.severity_once_confined(),
            Self::Mapping(finding) => finding.severity(),
            Self::OtherFile | Self::ExecutedAnew { .. } | Self::Headless { .. } => Severity::Tampering,
            Self::Identify(_) | Self::ReadMappings { .. } | Self::Outdated { .. } | Self::MeasureLibrary { .. } => {
                Severity::Slip
            }
        }
    }
}

impl ProcessFinding {
    /// Whether a look at a process that is gone would end like this.
    pub const fn may_be_absence(&self) -> bool {
        match self {
            Self::Image(error) => error.may_be_absence(),
            Self::Identify(_) | Self::ReadMappings { .. } => true,
            Self::OtherFile
            | Self::ExecutedAnew { .. }
            | Self::Headless { .. }
            | Self::Mapping(_)
            | Self::Outdated { .. }
            | Self::MeasureLibrary { .. } => false,
        }
    }

    /// Whether a new sidecar is all it takes.
    pub const fn is_mended_by_a_restart(&self) -> bool {
        match self {
            Self::Outdated { .. } => true,
            Self::Image(_)
            | Self::OtherFile
            | Self::ExecutedAnew { .. }
            | Self::Headless { .. }
            | Self::Identify(_)
            | Self::ReadMappings { .. }
            | Self::Mapping(_)
            | Self::MeasureLibrary { .. } => false,
        }
    }

    /// What it is about, for telling it once.
    pub fn about(&self) -> String {
        match self {
            Self::Mapping(finding) => finding.about(),
            finding => finding.to_string(),
        }
    }
}
