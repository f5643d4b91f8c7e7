//! The three-way state: the image that runs, the file on disk, and the reference values.

use std::path::PathBuf;

use contract::Digest;

use crate::appraise::{self, Accepted, Detached, References, Refusal, Verdict};
use crate::config::{ImageKind, TrustSettings};
use crate::measure::{self, PathCheck, Progress};
use crate::text::one_line;

/// What the next start would find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDisk {
    /// The file is the image that runs, and would be accepted again.
    Verified,
    /// The file is another one, and would be accepted: a reload or a restart takes it.
    UpgradeStaged {
        /// Of the file.
        digest: Digest,
        /// What accepts it.
        reference: String,
    },
    /// The file is another one, and would be refused.
    TamperPending {
        /// Of the file.
        digest: Digest,
        /// Why it would be refused.
        why: String,
    },
    /// The image that runs is no longer accepted: its reference value was taken back, or it was revoked.
    Withdrawn {
        /// Why it would be refused now.
        why: String,
    },
    /// There is no file that could be started, or no reference values that could be read.
    Unusable {
        /// What is in the way.
        why: String,
    },
}

/// Where to look, and what was accepted at the start.
#[derive(Debug, Clone)]
pub struct DiskCheck {
    /// The binary.
    pub path: PathBuf,
    /// How its path is checked.
    pub check_path: PathCheck,
    /// The policy.
    pub trust: TrustSettings,
    /// Where what must not be forgotten stands.
    pub state_dir: PathBuf,
    /// The image that runs.
    pub running: Digest,
    /// The first digest that was accepted in this run.
    pub first: Digest,
}

impl DiskCheck {
    /// Looks and decides. Reads files: for a thread of its own. Changes nothing on disk.
    pub fn look(&self) -> OnDisk {
        let (mut references, _floor) = match appraise::read(&self.trust, &self.state_dir) {
            Ok(read) => read,
            Err(error) => return OnDisk::Unusable { why: format!("read reference values: {}", one_line(&error)) },
        };
        references.hold_on_to(self.first);
        match measure::on_disk(&self.path, self.check_path) {
            Ok(digest) => decide(self.running, digest, &references, |digest| self.signed(digest)),
            Err(error) => OnDisk::Unusable { why: one_line(&error) },
        }
    }

    /// What the signatures beside the file say of it. Of a sealed copy, and only where it is the one that was
    /// measured: a file can show one content to the hash and another to the signature.
    fn signed(&self, measured: Digest) -> Detached {
        if self.trust.keys.is_empty() {
            return Detached::Nothing;
        }
        let image = measure::seal(&self.path, ImageKind::Sealed, self.check_path, &Progress::default());
        match image {
            Ok(image) if image.digest() == measured => {
                appraise::detached(&image, &self.path, &self.trust).unwrap_or(Detached::Nothing)
            }
            Ok(_) | Err(_) => Detached::Nothing,
        }
    }
}

/// The decision, without I/O.
fn decide(
    running: Digest,
    on_disk: Digest,
    references: &References,
    signed: impl FnOnce(Digest) -> Detached,
) -> OnDisk {
    // A signature is looked at only where nothing else decides: it costs a copy of the file.
    let verdict = |digest| match appraise::decide(digest, references, &Detached::Nothing) {
        Verdict::Refuse(Refusal::Unknown { .. } | Refusal::NoReference { .. }) => {
            appraise::decide(digest, references, &signed(digest))
        }
        verdict => verdict,
    };
    match (verdict(on_disk), on_disk == running) {
        (Verdict::Accept(_), true) => OnDisk::Verified,
        (Verdict::Refuse(refusal), true) => OnDisk::Withdrawn { why: refusal.to_string() },
        (Verdict::Accept(accepted), false) => {
            OnDisk::UpgradeStaged { digest: on_disk, reference: accepted_by(&accepted) }
        }
        (Verdict::Refuse(refusal), false) => OnDisk::TamperPending { digest: on_disk, why: refusal.to_string() },
    }
}

fn accepted_by(accepted: &Accepted) -> String {
    match accepted {
        Accepted::By(reference) => reference.origin.clone(),
        Accepted::WithoutReference => "no reference value, and none demanded".to_owned(),
        Accepted::Unenforced => "trust.require = \"never\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appraise::ReferenceValue;
    use crate::config::Require;

    const RUNNING: Digest = Digest::new([1; 32]);
    const OTHER: Digest = Digest::new([2; 32]);

    fn state(on_disk: Digest, require: Require, accepted: &[Digest], revoked: &[Digest]) -> OnDisk {
        let value = |digest: &Digest| ReferenceValue { digest: *digest, origin: "pin".to_owned() };
        let values = accepted.iter().map(value).collect();
        let references = References { require, expected: false, values, revoked: revoked.to_vec() };
        decide(RUNNING, on_disk, &references, |_| Detached::Nothing)
    }

    #[test]
    fn every_combination_of_running_image_file_and_reference_values_has_its_state() {
        use Require::{Always, Auto, Never};
        assert_eq!(state(RUNNING, Always, &[RUNNING], &[]), OnDisk::Verified);
        let staged = OnDisk::UpgradeStaged { digest: OTHER, reference: "pin".to_owned() };
        assert_eq!(state(OTHER, Always, &[RUNNING, OTHER], &[]), staged);
        // The package of an upgrade replaces the pin together with the file.
        assert_eq!(state(OTHER, Always, &[OTHER], &[]), staged);
        assert!(matches!(state(OTHER, Always, &[RUNNING], &[]), OnDisk::TamperPending { digest: OTHER, .. }));
        assert!(matches!(state(OTHER, Auto, &[RUNNING], &[]), OnDisk::TamperPending { .. }));
        assert!(matches!(state(RUNNING, Always, &[OTHER], &[]), OnDisk::Withdrawn { .. }));
        assert!(matches!(state(RUNNING, Always, &[RUNNING], &[RUNNING]), OnDisk::Withdrawn { .. }));
        assert!(matches!(state(OTHER, Never, &[], &[OTHER]), OnDisk::TamperPending { .. }));
        assert!(matches!(state(OTHER, Never, &[], &[]), OnDisk::UpgradeStaged { .. }));
    }

    #[test]
    fn a_signature_beside_the_new_file_stages_it() {
        let references =
            References { require: Require::Always, expected: true, values: Vec::new(), revoked: Vec::new() };
        let signed = |digest| Detached::Signed(ReferenceValue { digest, origin: "cryfttee.minisig".to_owned() });
        let found = decide(RUNNING, OTHER, &references, signed);
        assert_eq!(found, OnDisk::UpgradeStaged { digest: OTHER, reference: "cryfttee.minisig".to_owned() });
    }
}
