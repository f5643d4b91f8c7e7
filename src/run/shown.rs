//! What `state.json` says of a sidecar under watch.

use std::time::Duration;

use super::Verifier;
use super::guard::{Guarded, interval};
use super::start::Sidecar;
use crate::config::Settings;
use crate::signer_report::without_secrets;
use crate::state::{CheckState, DiskState, Moment, NodeState, SidecarState, SignerState, State};
use crate::text::sanitise;
use crate::watch::OnDisk;

impl Verifier<'_> {
    /// Shows who serves, and for which node.
    pub(super) fn show_sidecar(&self, sidecar: &Sidecar) {
        self.board.change(|state| of_sidecar(state, sidecar));
    }

    /// Shows what is known of it now.
    pub(super) fn show(&self, guarded: &Guarded) {
        self.board.change(|state| {
            of_sidecar(state, &guarded.sidecar);
            if let Some(signer) = &mut state.signer {
                let trouble = guarded.watch.signer_trouble();
                signer.reachable = trouble.is_none();
                signer.trouble = trouble.as_deref().map(sanitise);
            }
            state.requests = guarded.watch.requests();
            state.check.clone_from(&guarded.last_check);
            state.degraded = guarded.degraded.as_deref().map(sanitise);
            state.alert = guarded.alert.as_deref().map(sanitise);
            state.disk = Some(on_disk(&guarded.on_disk));
        });
    }
}

fn of_sidecar(state: &mut State, sidecar: &Sidecar) {
    let Sidecar { child, settings, digest, reference, evidence, identity, .. } = sidecar;
    state.sidecar = Some(SidecarState {
        pid: child.pid(),
        // Text of the sidecar's choice.
        version: sanitise(&evidence.cryfttee_version),
        digest: *digest,
        reference: reference.as_deref().map(sanitise),
    });
    let (node_id, bls_pubkey, tls_pubkey) = (identity.node_id, identity.bls, identity.tls);
    state.node = Some(NodeState { node_id, bls_pubkey, tls_pubkey });
    // It answered in the course of the start.
    state.signer = Some(signer(&urls(settings), None));
}

fn urls(settings: &Settings) -> String {
    let eth2 = without_secrets(&settings.web3signer_url);
    match &settings.sidecar.web3signer_eth1_url {
        Some(eth1) => format!("{eth2} (eth1: {})", without_secrets(eth1)),
        None => eth2,
    }
}

/// The signer, and what is wrong with it.
pub(super) fn signer(url: &str, trouble: Option<&str>) -> SignerState {
    SignerState { url: sanitise(url), reachable: trouble.is_none(), trouble: trouble.map(sanitise) }
}

/// A check that was done just now.
pub(super) fn checked(guarded: &Guarded, took: Duration) -> CheckState {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    CheckState {
        done: Moment::now(),
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        count: guarded.checks,
        interval_ms: millis(interval(&guarded.sidecar.settings)),
    }
}

fn on_disk(on_disk: &OnDisk) -> DiskState {
    let (state, digest, why) = match on_disk {
        OnDisk::Verified => ("verified", None, None),
        OnDisk::UpgradeStaged { digest, reference } => ("upgrade-staged", Some(*digest), Some(reference)),
        OnDisk::TamperPending { digest, why } => ("tamper-pending", Some(*digest), Some(why)),
        OnDisk::Withdrawn { why } => ("withdrawn", None, Some(why)),
        OnDisk::Unusable { why } => ("unusable", None, Some(why)),
    };
    DiskState { state: state.to_owned(), digest, why: why.map(|why| sanitise(why)) }
}
