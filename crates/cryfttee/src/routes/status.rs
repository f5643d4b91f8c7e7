//! `GET /v1/staking/status`.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use contract::defaults::{CAN_MAKE_KEYS, CAPABILITIES, DIGEST_SIGNING, POSSESSION_PROOFS, RAW_SIGNING};
use contract::wire::{StakingStatus, v04};
use contract::{BlsPublicKey, TlsPublicKey};
use hyper::StatusCode;

use super::{Answer, json};
use crate::Sidecar;
use crate::aside::aside;
use crate::config::ExpectedKeys;
use crate::evidence::{MODULE, MODULE_CAPABILITIES, VERSION};
use crate::problem::{Code, Problem};
use crate::signer::{Keys, Look};

/// How many keys are written at once: a millisecond's work.
const FEW: usize = 256;

/// 200 whatever the signer does, because that is what was asked for: `signers` says it of each process.
pub(super) async fn answer(sidecar: &Sidecar) -> Result<Answer, Problem> {
    let look = sidecar.signer().look(sidecar.key_generation()).await;
    sidecar.missing().report(&sidecar.node_keys().get(), look.bls.listed(), look.tls.listed());
    let many = look.bls.listed().map_or(0, <[_]>::len) + look.tls.listed().map_or(0, <[_]>::len) > FEW;
    let url = sidecar.signer().url().to_string();
    aside(many, move || json(StatusCode::OK, &describe(url, look)))
        .await
        .map_err(|error| Problem::new(Code::Internal, "the status could not be written").details(&error.to_string()))
}

fn describe(web3signer_url: String, look: Look) -> v04::Both<StakingStatus, v04::Status> {
    let last_error = look.trouble();
    let connected = last_error.is_none();
    v04::Both {
        contract: StakingStatus {
            ready: connected,
            web3signer_url,
            web3signer_connected: connected,
            capabilities: capabilities(&look),
            bls_pubkeys: listed(look.bls),
            tls_pubkeys: listed(look.tls),
            module_version: VERSION.to_owned(),
            signers: look.processes,
        },
        v04: v04::Status {
            cryfttee_version: VERSION.to_owned(),
            modules: vec![v04::StatusModule {
                id: MODULE.to_owned(),
                version: VERSION.to_owned(),
                min_cryfttee_version: VERSION.to_owned(),
                capabilities: MODULE_CAPABILITIES.map(str::to_owned).to_vec(),
                default_for: v04::DefaultFor { bls: true, tls: true },
                trusted: true,
                loaded: true,
                compatible: true,
                reason: None,
            }],
            web3_signer: v04::Reach { reachable: connected, last_error },
        },
    }
}

/// A signer that does not serve a kind of key at all cannot sign with it, whatever the module could do. One that was not
/// heard may well: that it is away is said elsewhere.
fn capabilities(look: &Look) -> Vec<String> {
    let [bls_signing, tls_signing, _] = CAPABILITIES;
    let all = [
        (bls_signing, look.bls != Keys::NotServed),
        (tls_signing, look.tls != Keys::NotServed),
        (CAN_MAKE_KEYS, look.makes_keys),
        (RAW_SIGNING, look.raw_signing),
        (DIGEST_SIGNING, look.digest_signing),
        (POSSESSION_PROOFS, look.possession_proofs),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

fn listed<K>(keys: Keys<K>) -> Vec<K> {
    match keys {
        Keys::Listed(keys) => keys,
        Keys::NotServed | Keys::Unknown => Vec::new(),
    }
}

/// Which of the expected keys the signer lacked when it was last asked, so that a change is told and a state is not
/// told again with every status.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    bls: AtomicBool,
    tls: AtomicBool,
}

impl Missing {
    /// A list that was not heard says nothing of a key.
    fn report(&self, node: &ExpectedKeys, bls: Option<&[BlsPublicKey]>, tls: Option<&[TlsPublicKey]>) {
        if let (Some(key), Some(listed)) = (node.bls, bls) {
            tell("BLS", &self.bls, &key, listed.contains(&key));
        }
        if let (Some(key), Some(listed)) = (node.tls, tls) {
            tell("TLS", &self.tls, &key, listed.contains(&key));
        }
    }
}

fn tell(kind: &str, missing: &AtomicBool, key: &impl Display, there: bool) {
    let before = missing.swap(!there, Ordering::Relaxed);
    match (before, there) {
        (false, false) => tracing::warn!("the {kind} key this node is known by is not in the signer: {key}"),
        (true, true) => tracing::info!("the {kind} key this node is known by is in the signer again: {key}"),
        (false, true) | (true, false) => {}
    }
}
