//! What ends the service: one variant per stage, and each stage says what its own error means.

use std::time::Duration;

use contract::exit;

use super::reload::ReloadError;
use crate::fault::{Fault, Plain, Severity};
use crate::lifecycle::IllegalTransition;
use crate::{appraise, attest, config, identity, launch, lock, measure, notify, sidecar, text, tpm, watch};

/// Why the verifier stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the stage of its name")]
pub enum Error {
    #[error("configuration")]
    Config(#[from] config::ConfigError),
    #[error("take the sockets")]
    Sockets(#[from] launch::sockets::SocketError),
    #[error("measure the sidecar")]
    Measure(#[from] measure::MeasureError),
    #[error("read reference values")]
    Reference(#[from] appraise::ReferenceError),
    #[error("the service is locked")]
    Locked(#[from] lock::LockError),
    #[error("appraise the sidecar")]
    Appraise(#[from] appraise::Refusal),
    #[error("extend a PCR of the TPM")]
    Tpm(#[from] tpm::TpmError),
    #[error("launch the sidecar")]
    Launch(#[from] launch::LaunchError),
    #[error("talk to the sidecar")]
    Sidecar(#[from] sidecar::SidecarError),
    #[error("attest the sidecar")]
    Attest(#[from] attest::AttestError),
    #[error("use the signer")]
    Signer(#[from] identity::SignerFault),
    #[error("waited {within:?} for the signer")]
    Waited { within: Duration, source: identity::SignerFault },
    #[error("set up the node's identity")]
    Identity(#[from] identity::IdentityError),
    #[error("watch the sidecar")]
    Watch(#[from] watch::Finding),
    #[error("reload")]
    Reload(#[from] ReloadError),
    #[error("follow the lifecycle")]
    Lifecycle(#[from] IllegalTransition),
    #[error("the sidecar's restart budget is used up")]
    Budget(#[from] watch::OverBudget),
    #[error("notify systemd")]
    Notify(#[from] notify::NotifyError),
    #[error("record in the audit trail")]
    Audit(#[source] std::io::Error),
    #[error("start a thread to measure on")]
    Thread(#[source] std::io::Error),
    #[error("set up signal handling")]
    Signals(#[source] std::io::Error),
}

impl Error {
    /// What each stage says of its own error. What has no type of its own is an error of the operating system's.
    fn of_stage(&self) -> &dyn Fault {
        match self {
            Self::Config(error) => error,
            Self::Sockets(error) => error,
            Self::Measure(error) => error,
            Self::Reference(error) => error,
            Self::Locked(error) => error,
            Self::Appraise(refusal) => refusal,
            Self::Tpm(error) => error,
            Self::Launch(error) => error,
            Self::Sidecar(error) => error,
            Self::Attest(error) => error,
            Self::Signer(fault) | Self::Waited { source: fault, .. } => fault,
            Self::Identity(error) => error,
            Self::Watch(finding) => finding,
            Self::Reload(error) => error,
            Self::Lifecycle(error) => error,
            Self::Budget(error) => error,
            Self::Notify(error) => error,
            Self::Audit(_) => &Plain(exit::IO),
            Self::Thread(_) | Self::Signals(_) => &Plain(exit::OS),
        }
    }

    /// The stage's name, for the audit trail.
    pub const fn step(&self) -> &'static str {
        match self {
            Self::Config(_) => "configure",
            Self::Sockets(_) => "sockets",
            Self::Measure(_) => "measure",
            Self::Reference(_) | Self::Appraise(_) => "appraise",
            Self::Locked(_) => "lock",
            Self::Tpm(_) => "tpm",
            Self::Launch(_) => "launch",
            Self::Attest(_) => "attest",
            Self::Sidecar(_) => "signer",
            Self::Signer(fault) | Self::Waited { source: fault, .. } => fault.step(),
            Self::Identity(_) => "identity",
            Self::Watch(_) => "watch",
            Self::Reload(_) => "reload",
            Self::Lifecycle(_) => "lifecycle",
            Self::Budget(_) => "restart",
            Self::Notify(_) => "notify",
            Self::Signals(_) => "signals",
            Self::Thread(_) => "measure",
            Self::Audit(_) => "audit",
        }
    }

    /// Whether a look at a process that is gone would end like this: then its end is the reason.
    pub const fn may_be_absence(&self) -> bool {
        match self {
            Self::Launch(error) => error.may_be_absence(),
            Self::Watch(finding) => finding.may_be_absence(),
            Self::Config(_)
            | Self::Sockets(_)
            | Self::Measure(_)
            | Self::Reference(_)
            | Self::Locked(_)
            | Self::Appraise(_)
            | Self::Tpm(_)
            | Self::Sidecar(_)
            | Self::Attest(_)
            | Self::Signer(_)
            | Self::Waited { .. }
            | Self::Identity(_)
            | Self::Reload(_)
            | Self::Lifecycle(_)
            | Self::Budget(_)
            | Self::Notify(_)
            | Self::Audit(_)
            | Self::Thread(_)
            | Self::Signals(_) => false,
        }
    }

    /// Whether the signer did not come in all the time it was given: the start is tried for ever, each try that long.
    pub fn waited_in_vain(&self) -> bool {
        match self {
            Self::Waited { source, .. } => source.may_pass(),
            Self::Config(_)
            | Self::Sockets(_)
            | Self::Measure(_)
            | Self::Reference(_)
            | Self::Locked(_)
            | Self::Appraise(_)
            | Self::Tpm(_)
            | Self::Launch(_)
            | Self::Sidecar(_)
            | Self::Attest(_)
            | Self::Signer(_)
            | Self::Identity(_)
            | Self::Watch(_)
            | Self::Reload(_)
            | Self::Lifecycle(_)
            | Self::Budget(_)
            | Self::Notify(_)
            | Self::Audit(_)
            | Self::Thread(_)
            | Self::Signals(_) => false,
        }
    }

    /// The failure and its causes in one line, outermost first.
    pub fn one_line(&self) -> String {
        text::one_line(self)
    }
}

impl Fault for Error {
    fn exit_code(&self) -> u8 {
        self.of_stage().exit_code()
    }

    fn severity(&self) -> Severity {
        self.of_stage().severity()
    }

    fn may_pass(&self) -> bool {
        self.of_stage().may_pass()
    }
}

#[cfg(test)]
mod tests;
