//! The sentences of the story: events from what the stages returned, and the STATUS of a service that works.

use std::time::Duration;

use contract::Digest;
use contract::wire::{Attestation, StakingStatus};

use super::guard::Guarded;
use super::start::Sidecar;
use crate::appraise::{Accepted, Appraised};
use crate::audit::Event;
use crate::clock;
use crate::config::{ImageKind, Settings};
use crate::identity::{Identity, Origin};
use crate::measure::Image;
use crate::watch::OnDisk;

pub(super) fn measured(settings: &Settings, image: &Image, took: Duration) -> Event {
    Event::Measured {
        path: settings.binary.clone(),
        digest: image.digest(),
        size: image.size(),
        took,
        sealed: image.kind() == ImageKind::Sealed,
    }
}

pub(super) fn appraised(image: &Appraised<Image>) -> Event {
    let digest = image.get().digest();
    match image.accepted() {
        Accepted::By(reference) => Event::Appraised { digest, reference: reference.origin.clone() },
        Accepted::WithoutReference => Event::Unreferenced { digest, enforced: true },
        Accepted::Unenforced => Event::Unreferenced { digest, enforced: false },
    }
}

/// What accepted an image, in words; none where nothing was demanded.
pub(super) fn reference(image: &Appraised<Image>) -> Option<String> {
    match image.accepted() {
        Accepted::By(reference) => Some(reference.origin.clone()),
        Accepted::WithoutReference | Accepted::Unenforced => None,
    }
}

pub(super) fn signer_ready(signer: &StakingStatus) -> Event {
    Event::SignerReady {
        url: signer.web3signer_url.clone(),
        bls_keys: signer.bls_pubkeys.len(),
        tls_keys: signer.tls_pubkeys.len(),
    }
}

pub(super) fn key(kind: &'static str, pubkey: String, origin: &Origin) -> Event {
    match origin {
        Origin::Generated => Event::KeyGenerated { kind, pubkey },
        Origin::Adopted(how) => Event::KeyAdopted { kind, pubkey, how: how.clone() },
        Origin::Known => Event::KeyKnown { kind, pubkey },
    }
}

/// `NodeID-… · cryfttee 0.1.0 verified, sha256:0123456789ab…`
pub(super) fn ready(identity: &Identity, evidence: &Attestation, digest: &Digest) -> String {
    format!("{} · cryfttee {} verified, {}", identity.node_id, evidence.cryfttee_version, shorten(digest))
}

/// Enough to compare by eye; the whole digest is in the audit trail.
fn shorten(digest: &Digest) -> String {
    const SHOWN: usize = "sha256:".len() + 12;
    format!("{}…", &digest.to_string()[..SHOWN])
}

impl Guarded {
    /// STATUS after a check.
    pub(super) fn status(&self, took: Duration) -> String {
        let at = clock::utc(clock::now());
        format!("{} · check {} at {at} took {} ms", self.status_now(), self.checks, took.as_millis())
    }

    /// STATUS: what is wrong first, since `systemctl status` cuts the line at the right.
    pub(super) fn status_now(&self) -> String {
        let Sidecar { identity, evidence, digest, .. } = &self.sidecar;
        let wrong = [
            self.alert.as_ref().map(|finding| format!("ALERT, tampering: {finding}")),
            self.degraded.as_ref().map(|why| format!("degraded: {why}")),
            short(&self.on_disk),
            self.refused.clone(),
        ];
        wrong.into_iter().flatten().chain([ready(identity, evidence, digest)]).collect::<Vec<_>>().join(" · ")
    }
}

fn short(on_disk: &OnDisk) -> Option<String> {
    match on_disk {
        OnDisk::Verified => None,
        OnDisk::UpgradeStaged { digest, .. } => {
            Some(format!("upgrade staged: {}, systemctl reload cryftgo-tee takes it", shorten(digest)))
        }
        OnDisk::TamperPending { digest, .. } => {
            Some(format!("TAMPER PENDING: {} on disk would be refused", shorten(digest)))
        }
        OnDisk::Withdrawn { why } => Some(format!("the running image would be refused: {why}")),
        OnDisk::Unusable { why } => Some(format!("nothing on disk could be started: {why}")),
    }
}

/// The event of a new state of the disk.
pub(super) fn on_disk(sidecar: &Sidecar, on_disk: &OnDisk) -> Event {
    let (running, path) = (sidecar.digest, sidecar.settings.binary.clone());
    match on_disk.clone() {
        OnDisk::Verified => Event::VerifiedAgain { digest: running },
        OnDisk::UpgradeStaged { digest, reference } => Event::UpgradeStaged { digest, reference },
        OnDisk::TamperPending { digest, why } => Event::TamperPending { digest, running, why },
        OnDisk::Withdrawn { why } => Event::ReferenceWithdrawn { digest: running, why },
        OnDisk::Unusable { why } => Event::DiskUnusable { path, why },
    }
}
