//! Appraisal: may this measurement run? A pure decision over reference values.

pub mod manifest;
mod reference;
mod signature;

use contract::{Digest, exit};

use crate::config::Require;
use crate::fault::{Fault, Severity};
use crate::measure::Image;

pub use reference::{Detached, ReferenceError, ReferenceValue, References, detached, read, read_libraries};
pub use signature::{Examined, NoCount, TrustedKey};

/// Something that was accepted by [`appraise`], and by nothing else: only that can be launched.
#[derive(Debug)]
pub struct Appraised<T> {
    inner: T,
    accepted: Accepted,
}

impl<T> Appraised<T> {
    /// Why it was accepted.
    pub const fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// What was accepted.
    pub const fn get(&self) -> &T {
        &self.inner
    }
}

/// Why a measurement may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// A reference value names it.
    By(ReferenceValue),
    /// There is no reference value and none was demanded.
    WithoutReference,
    /// Reference values are not enforced (`trust.require = "never"`), and none names it.
    Unenforced,
}

/// Why a measurement may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One was demanded and there is none.
    #[error(
        "no reference value for {measured}, and the configuration demands one (trust.require, or trust.keys); \
         compare the digest with your release's and put it into pins.d"
    )]
    NoReference {
        /// What was measured.
        measured: Digest,
    },
    /// A manifest revokes it.
    #[error("{measured} is revoked by the release manifest")]
    Revoked {
        /// What was measured.
        measured: Digest,
    },
    /// A trusted key signed another binary under this name.
    #[error("{measured} is not what a trusted key signed: {} does not verify", .signature.display())]
    BrokenSignature {
        /// What was measured.
        measured: Digest,
        /// The signature file.
        signature: std::path::PathBuf,
    },
    /// Reference values name a program, and what stands there is none.
    #[error("reference values are there, but what stands in the binary's place is not even a program: {reason}")]
    NoProgram {
        /// What it is.
        reason: String,
    },
    /// There are some, and none names it.
    #[error("{measured} is not among the reference values: {}", list(.known))]
    Unknown {
        /// What was measured.
        measured: Digest,
        /// What would have been accepted.
        known: Vec<ReferenceValue>,
    },
}

impl Fault for Refusal {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoReference { .. }
            | Self::Revoked { .. }
            | Self::BrokenSignature { .. }
            | Self::NoProgram { .. }
            | Self::Unknown { .. } => exit::INTEGRITY,
        }
    }

    /// A reference value that is missing, and a release that was revoked after it was installed, are for an operator to mend.
    fn severity(&self) -> Severity {
        match self {
            Self::Unknown { .. } | Self::BrokenSignature { .. } | Self::NoProgram { .. } => Severity::Tampering,
            Self::NoReference { .. } | Self::Revoked { .. } => Severity::Slip,
        }
    }
}

fn list(known: &[ReferenceValue]) -> String {
    /// Enough to see what is wrong; a release list has many.
    const SHOWN: usize = 3;
    let mut names: Vec<String> = known.iter().take(SHOWN).map(ToString::to_string).collect();
    if known.len() > SHOWN {
        names.push(format!("and {} more", known.len() - SHOWN));
    }
    names.join(", ")
}

/// Accepts an image, or says why not. `signed` is what the signatures beside the binary say of this very image.
///
/// # Errors
/// [`Refusal`].
pub fn appraise(image: Image, references: &References, signed: &Detached) -> Result<Appraised<Image>, Refusal> {
    match decide(image.digest(), references, signed) {
        Verdict::Accept(accepted) => Ok(Appraised { inner: image, accepted }),
        Verdict::Refuse(refusal) => Err(refusal),
    }
}

/// The outcome of an appraisal.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may run.
    Accept(Accepted),
    /// It may not.
    Refuse(Refusal),
}

/// The decision, without I/O. A revocation is stronger than any reference value.
pub fn decide(measured: Digest, references: &References, signed: &Detached) -> Verdict {
    if references.revoked.contains(&measured) {
        return Verdict::Refuse(Refusal::Revoked { measured });
    }
    let known = &references.values;
    let by_signature = match signed {
        Detached::Signed(value) => Some(value),
        Detached::Nothing | Detached::Broken(_) => None,
    };
    if let Some(value) = known.iter().chain(by_signature).find(|value| value.digest == measured) {
        return Verdict::Accept(Accepted::By(value.clone()));
    }
    if let (Detached::Broken(signature), Require::Auto | Require::Always) = (signed, references.require) {
        return Verdict::Refuse(Refusal::BrokenSignature { measured, signature: signature.clone() });
    }
    match (references.require, known.is_empty()) {
        (Require::Never, _) => Verdict::Accept(Accepted::Unenforced),
        (Require::Auto, true) if !references.expected => Verdict::Accept(Accepted::WithoutReference),
        (Require::Auto | Require::Always, true) => Verdict::Refuse(Refusal::NoReference { measured }),
        (Require::Auto | Require::Always, false) => {
            Verdict::Refuse(Refusal::Unknown { measured, known: known.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Digest = Digest::new([1; 32]);
    const OTHER: Digest = Digest::new([2; 32]);

    fn references(require: Require, digests: &[Digest]) -> References {
        let value = |digest: &Digest| ReferenceValue { digest: *digest, origin: "test".to_owned() };
        References { require, expected: false, values: digests.iter().map(value).collect(), revoked: Vec::new() }
    }

    fn accepts(require: Require, digests: &[Digest]) -> bool {
        matches!(decide(GOOD, &references(require, digests), &Detached::Nothing), Verdict::Accept(_))
    }

    #[test]
    fn every_policy_decides_every_case_as_written() {
        for (require, none, other, good) in [
            (Require::Auto, true, false, true),
            (Require::Always, false, false, true),
            (Require::Never, true, true, true),
        ] {
            assert_eq!(accepts(require, &[]), none, "{require:?}, no reference value");
            assert_eq!(accepts(require, &[OTHER]), other, "{require:?}, another one");
            assert_eq!(accepts(require, &[OTHER, GOOD]), good, "{require:?}, the right one");
        }
    }

    #[test]
    fn an_accepted_pin_is_named_even_where_none_is_enforced() {
        let verdict = decide(GOOD, &references(Require::Never, &[GOOD]), &Detached::Nothing);
        assert!(matches!(verdict, Verdict::Accept(Accepted::By(_))));
    }

    #[test]
    fn a_refusal_names_what_was_measured_and_what_was_expected() {
        let Verdict::Refuse(refusal) = decide(GOOD, &references(Require::Auto, &[OTHER; 5]), &Detached::Nothing) else {
            panic!("accepted")
        };
        let text = refusal.to_string();
        assert!(text.contains(&GOOD.to_string()) && text.contains(&OTHER.to_string()), "{text}");
        assert!(text.ends_with("and 2 more"), "{text}");
    }

    #[test]
    fn a_revoked_digest_is_refused_whoever_pins_or_signs_it_and_under_every_policy() {
        let signed = ReferenceValue { digest: GOOD, origin: "signature".to_owned() };
        for require in [Require::Auto, Require::Always, Require::Never] {
            let references = References { revoked: vec![GOOD], ..references(require, &[GOOD]) };
            let verdict = decide(GOOD, &references, &Detached::Signed(signed.clone()));
            assert_eq!(verdict, Verdict::Refuse(Refusal::Revoked { measured: GOOD }), "{require:?}");
        }
    }

    #[test]
    fn a_signature_over_the_binary_is_a_reference_value() {
        let signed = ReferenceValue { digest: GOOD, origin: "signature".to_owned() };
        let verdict = decide(GOOD, &references(Require::Always, &[OTHER]), &Detached::Signed(signed.clone()));
        assert_eq!(verdict, Verdict::Accept(Accepted::By(signed)));
    }

    #[test]
    fn with_keys_configured_auto_demands_a_reference_value() {
        let references = References { expected: true, ..references(Require::Auto, &[]) };
        assert_eq!(
            decide(GOOD, &references, &Detached::Nothing),
            Verdict::Refuse(Refusal::NoReference { measured: GOOD })
        );
    }

    #[test]
    fn a_signature_that_does_not_verify_is_its_own_refusal_unless_a_pin_accepts() {
        let broken = Detached::Broken("cryfttee.minisig".into());
        let verdict = decide(GOOD, &references(Require::Always, &[]), &broken);
        assert!(matches!(verdict, Verdict::Refuse(Refusal::BrokenSignature { .. })), "{verdict:?}");
        let verdict = decide(GOOD, &references(Require::Always, &[GOOD]), &broken);
        assert!(matches!(verdict, Verdict::Accept(Accepted::By(_))), "{verdict:?}");
    }
}
