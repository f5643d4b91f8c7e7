//! `GET /v1/staking/status`.

use std::sync::atomic::{AtomicBool, Ordering};

use contract::defaults::CAPABILITIES;
use contract::wire::{StakingStatus, v04};
use contract::{BlsPublicKey, TlsPublicKey};
use hyper::StatusCode;

use super::{Answer, json};
use crate::Sidecar;
use crate::aside::aside;
use crate::config::ExpectedKeys;
use crate::evidence::{MODULE, MODULE_CAPABILITIES, VERSION};
use crate::problem::{Code, Problem};
use crate::signer::SignerError;

/// How many keys are written at once: a millisecond's work.
const FEW: usize = 256;

/// What the signer has, or why that is not known.
enum Seen {
    Keys { bls: Option<Vec<BlsPublicKey>>, tls: Option<Vec<TlsPublicKey>>, makes_keys: bool },
    Away(String),
}

/// 200 whether or not the signer is there, because that is what was asked for; 502 where it answers nonsense, 504
/// where it answers its upcheck and then not its lists of keys.
pub(super) async fn answer(sidecar: &Sidecar) -> Result<Answer, Problem> {
    let seen = look(sidecar).await?;
    if let Seen::Keys { bls, tls, .. } = &seen {
        let (bls, tls) = (bls.as_deref().unwrap_or_default(), tls.as_deref().unwrap_or_default());
        sidecar.missing().report(sidecar.expected(), bls, tls);
    }
    let many = matches!(&seen, Seen::Keys { bls, tls, .. }
        if bls.as_ref().map_or(0, Vec::len) + tls.as_ref().map_or(0, Vec::len) > FEW);
    let url = sidecar.signer().url().to_string();
    aside(many, move || json(StatusCode::OK, &describe(url, seen)))
        .await
        .map_err(|error| Problem::new(Code::Internal, "the status could not be written").details(&error.to_string()))
}

async fn look(sidecar: &Sidecar) -> Result<Seen, Problem> {
    let signer = sidecar.signer();
    if let Err(why) = signer.upcheck().await {
        return Ok(Seen::Away(why));
    }
    let deadline = signer.status_deadline();
    let makes_keys = async { Ok(signer.makes_keys(sidecar.key_generation(), deadline).await) };
    match tokio::try_join!(signer.bls_keys(deadline), signer.tls_keys(deadline), makes_keys) {
        Ok((bls, tls, makes_keys)) => Ok(Seen::Keys { bls, tls, makes_keys }),
        Err(SignerError::Unavailable(cause)) => Ok(Seen::Away(format!("connect to Web3Signer: {cause}"))),
        Err(error) => Err(error.into()),
    }
}

fn describe(web3signer_url: String, seen: Seen) -> v04::Both<StakingStatus, v04::Status> {
    // A signer that does not serve a kind of key at all cannot sign with it, whatever the module could do.
    let (connected, last_error, bls, tls, makes_keys) = match seen {
        Seen::Keys { bls, tls, makes_keys } => (true, None, bls, tls, makes_keys),
        Seen::Away(why) => (false, Some(why), Some(Vec::new()), Some(Vec::new()), false),
    };
    let served = [bls.is_some(), tls.is_some(), makes_keys];
    let capabilities =
        CAPABILITIES.iter().zip(served).filter(|(_, served)| *served).map(|(name, _)| (*name).to_owned());
    v04::Both {
        contract: StakingStatus {
            ready: connected,
            web3signer_url,
            web3signer_connected: connected,
            bls_pubkeys: bls.unwrap_or_default(),
            tls_pubkeys: tls.unwrap_or_default(),
            module_version: VERSION.to_owned(),
            capabilities: capabilities.collect(),
            signers: Vec::new(),
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

/// Which of the expected keys the signer lacked when it was last asked, so that a change is told and a state is not
/// told again with every status.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    bls: AtomicBool,
    tls: AtomicBool,
}

impl Missing {
    fn report(&self, expected: &ExpectedKeys, bls: &[BlsPublicKey], tls: &[TlsPublicKey]) {
        tell("BLS", &self.bls, expected.bls.map(|key| (key.to_string(), bls.contains(&key))));
        tell("TLS", &self.tls, expected.tls.map(|key| (key.to_string(), tls.contains(&key))));
    }
}

fn tell(kind: &str, missing: &AtomicBool, expected: Option<(String, bool)>) {
    let Some((key, there)) = expected else { return };
    let before = missing.swap(!there, Ordering::Relaxed);
    match (before, there) {
        (false, false) => tracing::warn!("the {kind} key this node is known by is not in the signer: {key}"),
        (true, true) => tracing::info!("the {kind} key this node is known by is in the signer again: {key}"),
        (false, true) | (true, false) => {}
    }
}
