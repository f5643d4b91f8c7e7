//! What an error of a stage means for the service: the one thing that every stage has to say of each of its errors.
//!
//! Each implementation stands beside its error and matches every variant by name, so that a new one cannot be built before
//! somebody decided whether it locks.

use contract::exit;

/// Whether an error is evidence of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It may be an operator's slip, a fault of the host, or something that passes: it refuses, and a corrected
    /// configuration is enough to go on.
    Slip,
    /// Beyond doubt, the service was tampered with: it is locked until an operator clears it (FAULTS: lock).
    Tampering,
}

/// What an error means for the service.
pub trait Fault {
    /// Exit code of the contract.
    fn exit_code(&self) -> u8;

    /// Whether it locks the service.
    fn severity(&self) -> Severity;

    /// Whether another try may go well: the signer or the sidecar is away, and nothing was found to be wrong. It follows
    /// from the exit code, so that the restarts of this service and those of systemd agree.
    fn may_pass(&self) -> bool {
        self.exit_code() == exit::UNAVAILABLE
    }

    /// Whether it is tampering, found beyond doubt.
    fn is_tampering(&self) -> bool {
        self.severity() == Severity::Tampering
    }
}

/// An error without a type of its own, with this exit code: nothing that the operating system refuses is tampering.
#[derive(Debug, Clone, Copy)]
pub struct Plain(pub u8);

impl Fault for Plain {
    fn exit_code(&self) -> u8 {
        self.0
    }

    fn severity(&self) -> Severity {
        Severity::Slip
    }
}
