//! What `state.json` says of a sidecar under watch.

use std::time::Duration;

use super::Verifier;
use super::guard::{Guarded, interval};
use super::start::Sidecar;
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
                signer.reachable = guarded.watch.signer_answers();
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
    state.signer = Some(SignerState { url: sanitise(&without_secrets(&settings.web3signer_url)), reachable: true });
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

/// A URL as everybody may read it: without user, password and query.
pub(crate) fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_opens_it() {
        for (url, shown) in [
            ("http://localhost:9000", "http://localhost:9000"),
            ("https://user:p@ss@signer:9000/a@b?token=x#y", "https://signer:9000/a@b"),
            ("http://u@h", "http://h"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
