//! The sentences of the story: events from what the stages returned, and the STATUS of a service that works.

use std::time::Duration;

use contract::Digest;
use contract::wire::{Attestation, StakingStatus};

use super::{Accepted, Appraised, Event, Identity, Image, Origin, Settings};
use crate::clock;
use crate::config::ImageKind;

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

pub(super) fn signer_ready(signer: &StakingStatus) -> Event {
    Event::SignerReady {
        url: signer.web3signer_url.clone(),
        bls_keys: signer.bls_pubkeys.len(),
        tls_keys: signer.tls_pubkeys.len(),
    }
}

pub(super) fn key(kind: &'static str, pubkey: String, origin: Origin) -> Event {
    match origin {
        Origin::Generated => Event::KeyGenerated { kind, pubkey },
        Origin::Adopted { others } => Event::KeyAdopted { kind, pubkey, others },
        Origin::Known => Event::KeyKnown { kind, pubkey },
    }
}

/// `NodeID-… · cryfttee 0.1.0 verified, sha256:0123456789ab…`
pub(super) fn ready(identity: &Identity, evidence: &Attestation, digest: &Digest) -> String {
    /// Enough to compare by eye; the whole digest is in the audit trail.
    const SHOWN: usize = "sha256:".len() + 12;
    let digest = digest.to_string();
    format!("{} · cryfttee {} verified, {}…", identity.node_id, evidence.cryfttee_version, &digest[..SHOWN])
}

/// The same, with the last check.
pub(super) fn checked(
    identity: &Identity,
    evidence: &Attestation,
    digest: &Digest,
    checks: u64,
    took: Duration,
) -> String {
    let (checked, at) = (ready(identity, evidence, digest), clock::utc(clock::now()));
    format!("{checked} · check {checks} at {at} took {} ms", took.as_millis())
}
