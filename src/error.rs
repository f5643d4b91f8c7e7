//! One variant per stage, and the exit code of each.

use contract::exit;

use crate::watch::lifecycle::IllegalTransition;
use crate::{appraise, attest, config, identity, launch, lock, measure, notify, run, sidecar, tpm, watch};

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
    #[error("set up the node's identity")]
    Identity(#[from] identity::IdentityError),
    #[error("watch the sidecar")]
    Watch(#[from] watch::Finding),
    #[error("reload")]
    Reload(#[from] run::ReloadError),
    #[error("follow the lifecycle")]
    Lifecycle(#[from] IllegalTransition),
    #[error("the sidecar's restart budget is used up")]
    Budget(#[from] watch::OverBudget),
    #[error("notify systemd")]
    Notify(#[from] notify::NotifyError),
    #[error("record in the audit trail")]
    Audit(#[source] std::io::Error),
    #[error("find the current folder")]
    CurrentFolder(#[source] std::io::Error),
    #[error("start a thread to measure on")]
    Thread(#[source] std::io::Error),
    #[error("set up signal handling")]
    Signals(#[source] std::io::Error),
}

impl Error {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::CONFIG,
            Self::Sockets(error) => error.exit_code(),
            Self::Measure(error) => error.exit_code(),
            Self::Reference(error) => error.exit_code(),
            // A mark that cannot be read keeps the service down like one that can.
            Self::Appraise(_) | Self::Locked(_) => exit::INTEGRITY,
            Self::Watch(finding) => finding.exit_code(),
            Self::Launch(error) => error.exit_code(),
            Self::Sidecar(error) => error.exit_code(),
            Self::Attest(error) => error.exit_code(),
            Self::Identity(error) => error.exit_code(),
            Self::Reload(error) => error.exit_code(),
            Self::Lifecycle(_) => exit::INTERNAL,
            Self::Budget(_) => exit::CRASH_BUDGET,
            Self::Notify(_) | Self::Audit(_) | Self::CurrentFolder(_) | Self::Tpm(_) => exit::IO,
            Self::Signals(_) | Self::Thread(_) => exit::OS,
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
            Self::Identity(_) => "identity",
            Self::Watch(_) => "watch",
            Self::Reload(_) => "reload",
            Self::Lifecycle(_) => "lifecycle",
            Self::Budget(_) => "restart",
            Self::Notify(_) => "notify",
            Self::Signals(_) => "signals",
            Self::Thread(_) | Self::CurrentFolder(_) => "measure",
            Self::Audit(_) => "audit",
        }
    }

    /// Whether this is tampering, found beyond doubt, which locks the service (FAULTS: lock); everything else
    /// that is refused may be an operator's slip, and a corrected configuration is enough to go on.
    pub const fn is_tampering(&self) -> bool {
        match self {
            Self::Appraise(refusal) => matches!(
                refusal,
                appraise::Refusal::Unknown { .. }
                    | appraise::Refusal::BrokenSignature { .. }
                    | appraise::Refusal::NoProgram { .. }
            ),
            Self::Launch(error) => {
                matches!(error, launch::LaunchError::OtherImage { .. } | launch::LaunchError::Unsealed)
            }
            Self::Attest(error) => error.is_tampering(),
            Self::Sidecar(error)
            | Self::Identity(
                identity::IdentityError::Generate { source: error, .. } | identity::IdentityError::Prove(error),
            ) => {
                matches!(error, sidecar::SidecarError::Forged { .. })
            }
            Self::Watch(finding) => finding.is_tampering(),
            _ => false,
        }
    }

    /// Whether another try may go well: the signer or the sidecar is away, and nothing was found to be wrong.
    pub fn may_pass(&self) -> bool {
        self.exit_code() == exit::UNAVAILABLE
    }

    /// The failure and its causes in one line, outermost first.
    pub fn one_line(&self) -> String {
        one_line(self)
    }
}

/// An error and its causes, separated by colons, without control characters: some of it may be text that
/// the sidecar chose.
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    crate::audit::sanitise(&line)
}

#[cfg(test)]
mod tests;
