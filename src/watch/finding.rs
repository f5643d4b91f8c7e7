//! What ends a watch, or is told where the policy only tells, and what each of them means.

use std::io;
use std::time::Duration;

use contract::exit;

use super::process::ProcessFinding;
use crate::fault::{Fault, Severity};
use crate::sidecar::SidecarError;

/// The running sidecar is not what was appraised, or can no longer be told to be: both end it, but only the first is
/// tampering. A host that stood still, or a disk that did, must not lock a validator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the finding")]
pub enum Finding {
    #[error(transparent)]
    Process(#[from] ProcessFinding),
    #[error("somebody else answered on the private socket")]
    Forged(#[source] SidecarError),
    #[error(
        "the public socket was shut down by the sidecar; no client can be accepted on it any more: systemctl restart cryfttee.socket cryftgo-tee"
    )]
    SocketShutDown,
    #[error("look at the public socket")]
    LookAtSocket(#[source] io::Error),
    #[error("start a thread to measure the running image on")]
    NoThread(#[source] io::Error),
    #[error("measuring the running image took longer than {0:?}")]
    TooSlow(Duration),
}

impl Fault for Finding {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Process(finding) => finding.exit_code(),
            Self::Forged(_) => exit::INTEGRITY,
            Self::SocketShutDown => exit::UNAVAILABLE,
            Self::TooSlow(_) | Self::NoThread(_) | Self::LookAtSocket(_) => exit::OS,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Process(finding) => finding.severity(),
            Self::Forged(_) => Severity::Tampering,
            Self::SocketShutDown | Self::TooSlow(_) | Self::NoThread(_) | Self::LookAtSocket(_) => Severity::Slip,
        }
    }
}

impl Finding {
    /// Whether it came from a check, which thereby was done, and in time.
    pub const fn is_of_a_check(&self) -> bool {
        match self {
            Self::Process(_) => true,
            Self::Forged(_) | Self::SocketShutDown | Self::TooSlow(_) | Self::NoThread(_) | Self::LookAtSocket(_) => {
                false
            }
        }
    }

    /// Whether a look at a process that is gone would end like this.
    pub const fn may_be_absence(&self) -> bool {
        match self {
            Self::Process(finding) => finding.may_be_absence(),
            Self::Forged(_) | Self::SocketShutDown | Self::TooSlow(_) | Self::NoThread(_) | Self::LookAtSocket(_) => {
                false
            }
        }
    }

    /// What it is about, for telling it once.
    pub fn about(&self) -> String {
        match self {
            Self::Process(finding) => finding.about(),
            Self::Forged(_) => "forged".to_owned(),
            finding => finding.to_string(),
        }
    }

    /// Whether a new sidecar is all it takes.
    pub const fn is_mended_by_a_restart(&self) -> bool {
        match self {
            Self::Process(finding) => finding.is_mended_by_a_restart(),
            Self::Forged(_) | Self::SocketShutDown | Self::TooSlow(_) | Self::NoThread(_) | Self::LookAtSocket(_) => {
                false
            }
        }
    }
}
