//! Attestation: the sidecar's evidence about itself, held against what was measured.

use std::io;

use contract::wire::Attestation;
use contract::wire::attestation::HashSource;
use contract::{Digest, exit};

use crate::fault::{Fault, Severity};
use crate::sidecar::{Client, SidecarError};
use crate::sys;

/// The evidence could not be had, or contradicts the measurement.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum AttestError {
    #[error("make a nonce")]
    Nonce(#[source] io::Error),
    #[error("ask for evidence")]
    Ask(#[from] SidecarError),
    #[error("the evidence is refused")]
    Refused(#[from] Discrepancy),
}

impl Fault for AttestError {
    /// Evidence that cannot be read is evidence that does not match.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Nonce(_) => exit::OS,
            Self::Ask(SidecarError::Shape { .. }) => exit::INTEGRITY,
            Self::Ask(error) => error.exit_code(),
            Self::Refused(discrepancy) => discrepancy.exit_code(),
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Nonce(_) => Severity::Slip,
            Self::Ask(error) => error.severity(),
            Self::Refused(discrepancy) => discrepancy.severity(),
        }
    }
}

/// What is wrong with a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Discrepancy {
    /// It speaks of another binary.
    #[error("it reports {reported}, but {measured} was measured")]
    Digest {
        /// By the sidecar.
        reported: Digest,
        /// By the verifier.
        measured: Digest,
    },
    /// The sidecar hashed itself although it was given a digest.
    #[error("the sidecar reports a digest of its own making")]
    SelfReported,
    /// It is an answer to somebody else's question, or an old one.
    #[error("it answers another nonce")]
    Nonce,
    /// Another process made it.
    #[error("it is of pid {reported}, but the sidecar is pid {launched}")]
    Pid {
        /// By the sidecar.
        reported: u32,
        /// By the verifier.
        launched: u32,
    },
}

impl Fault for Discrepancy {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Digest { .. } | Self::SelfReported | Self::Nonce | Self::Pid { .. } => exit::INTEGRITY,
        }
    }

    /// Tampering is that somebody else made it, or that the sidecar claims to be another binary. The rest, a sidecar of
    /// another make may get wrong.
    fn severity(&self) -> Severity {
        match self {
            Self::Digest { .. } | Self::Pid { .. } => Severity::Tampering,
            Self::SelfReported | Self::Nonce => Severity::Slip,
        }
    }
}

/// Asks with a fresh nonce and appraises the answer.
///
/// # Errors
/// [`AttestError`].
pub async fn attest(client: &Client, measured: Digest, pid: u32) -> Result<Attestation, AttestError> {
    let nonce = nonce().map_err(AttestError::Nonce)?;
    let evidence = client.attestation(&nonce).await?;
    judge(&evidence, measured, pid, &nonce)?;
    Ok(evidence)
}

/// 32 random bytes in hex.
///
/// # Errors
/// What `getrandom(2)` reports.
pub fn nonce() -> io::Result<String> {
    use std::fmt::Write as _;
    let mut bytes = [0; 32];
    sys::random(&mut bytes)?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// The decision, without I/O.
fn judge(evidence: &Attestation, measured: Digest, launched: u32, nonce: &str) -> Result<(), Discrepancy> {
    if evidence.nonce.as_deref() != Some(nonce) {
        return Err(Discrepancy::Nonce);
    }
    if evidence.core_binary_hash != measured {
        return Err(Discrepancy::Digest { reported: evidence.core_binary_hash, measured });
    }
    if evidence.hash_source != HashSource::Verified {
        return Err(Discrepancy::SelfReported);
    }
    if evidence.pid != launched {
        return Err(Discrepancy::Pid { reported: evidence.pid, launched });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURED: Digest = Digest::new([1; 32]);

    fn evidence() -> Attestation {
        Attestation {
            core_binary_hash: MEASURED,
            hash_source: HashSource::Verified,
            cryfttee_version: "0.1.0".to_owned(),
            manifest_hash: Digest::new([3; 32]),
            loaded_modules: Vec::new(),
            pid: 7,
            nonce: Some("abc".to_owned()),
            timestamp: 0,
        }
    }

    #[test]
    fn evidence_that_matches_is_accepted() {
        assert_eq!(judge(&evidence(), MEASURED, 7, "abc"), Ok(()));
    }

    #[test]
    fn each_discrepancy_is_found() {
        let other = Digest::new([2; 32]);
        let wrong = |change: fn(&mut Attestation)| {
            let mut evidence = evidence();
            change(&mut evidence);
            judge(&evidence, MEASURED, 7, "abc")
        };
        assert_eq!(
            wrong(|e| e.core_binary_hash = Digest::new([2; 32])),
            Err(Discrepancy::Digest { reported: other, measured: MEASURED })
        );
        assert_eq!(wrong(|e| e.hash_source = HashSource::SelfReported), Err(Discrepancy::SelfReported));
        assert_eq!(wrong(|e| e.nonce = Some("old".to_owned())), Err(Discrepancy::Nonce));
        assert_eq!(wrong(|e| e.nonce = None), Err(Discrepancy::Nonce));
        assert_eq!(wrong(|e| e.pid = 8), Err(Discrepancy::Pid { reported: 8, launched: 7 }));
    }

    #[test]
    fn no_two_nonces_are_the_same() {
        let (first, second) = (nonce().expect("random"), nonce().expect("random"));
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
    }
}
