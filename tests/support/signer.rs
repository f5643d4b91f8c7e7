//! A sidecar that says of its signer what a test wants, and what it was asked for.

use std::fs;
use std::path::{Path, PathBuf};

use contract::wire::{SignerHealth, SignerProcess, SignerRole, SignerState, StakingStatus};

use super::support::Host;

pub(crate) const OTHER_BLS: &str =
    "0xa572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e";
pub(crate) const OTHER_TLS: &str = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

pub(crate) fn process(role: SignerRole, keys: usize) -> SignerProcess {
    SignerProcess {
        role,
        url: format!("http://localhost:{}", if role == SignerRole::Eth1 { 9001 } else { 9000 }),
        state: SignerState::Answers,
        why: String::new(),
        serves_bls: Some(role != SignerRole::Eth1),
        serves_tls: Some(role != SignerRole::Eth2),
        keys: keys as u64,
        health: SignerHealth::Up,
        failed_keys: 0,
        key_manager: None,
    }
}

/// Two stock processes that list these keys.
pub(crate) fn lists(bls: &[&str], tls: &[&str]) -> StakingStatus {
    StakingStatus {
        ready: true,
        web3signer_url: "http://localhost:9000".to_owned(),
        web3signer_connected: true,
        bls_pubkeys: bls.iter().map(|key| key.parse().expect("a key")).collect(),
        tls_pubkeys: tls.iter().map(|key| key.parse().expect("a key")).collect(),
        module_version: "0".to_owned(),
        capabilities: vec!["bls_signing".to_owned(), "tls_signing".to_owned()],
        signers: vec![process(SignerRole::Eth2, bls.len()), process(SignerRole::Eth1, tls.len())],
    }
}

pub(crate) fn with(mut status: StakingStatus, change: impl FnOnce(&mut StakingStatus)) -> StakingStatus {
    change(&mut status);
    status
}

/// One process of it did not load three key files.
pub(crate) fn failed(status: StakingStatus) -> StakingStatus {
    with(status, |status| (status.signers[0].health, status.signers[0].failed_keys) = (SignerHealth::Down, 3))
}

/// A host whose sidecar says what a file says.
pub(crate) struct Signer {
    pub(crate) host: Host,
}

impl Signer {
    pub(crate) fn new(status: &StakingStatus) -> Self {
        let signer = Self { host: Host::new() };
        signer.becomes(status);
        signer
    }

    fn status_file(&self) -> PathBuf {
        self.host.path("signer.json")
    }

    pub(crate) fn becomes(&self, status: &StakingStatus) {
        write(&self.status_file(), status);
    }

    /// What it lists once it has been asked to reload.
    pub(crate) fn lists_after_a_reload(&self, status: &StakingStatus) {
        write(&self.status_file().with_extension("reloaded"), status);
    }

    pub(crate) fn command(&self, flags: &[&str]) -> std::process::Command {
        let mut command = self.host.with_fault("");
        command.env("CRYFTTEE_STATUS_FILE", self.status_file()).env("CRYFTTEE_ASKED", self.host.path("asked"));
        command.args(flags);
        command
    }

    /// How often the sidecar was asked for something.
    pub(crate) fn asked(&self, what: &str) -> usize {
        fs::read_to_string(self.host.path("asked")).unwrap_or_default().lines().filter(|l| l.contains(what)).count()
    }

    pub(crate) fn saved(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.host.path("state/staking").join(name)).ok().map(|text| text.trim().to_owned())
    }

    pub(crate) fn assert_nothing_was_made_or_saved(&self) {
        assert_eq!(self.asked("generate"), 0, "no key is made");
        assert_eq!((self.saved("bls_pubkey"), self.saved("tls_pubkey"), self.saved("node_id")), (None, None, None));
    }
}

/// In one piece: the sidecar may read it at any time.
fn write(path: &Path, status: &StakingStatus) {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_string(status).expect("plain data")).expect("write");
    fs::rename(new, path).expect("rename");
}
