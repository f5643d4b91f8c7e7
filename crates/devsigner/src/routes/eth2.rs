//! Web3Signer's eth2 calls: BLS.

use std::sync::Arc;

use contract::BlsPublicKey;
use hyper::HeaderMap;
use hyper::header::ACCEPT;
use serde_json::json;

use crate::answer::{self, Answer, Refusal};
use crate::requests::{self, Eth2Sign};
use crate::store::{LoadedBls, Store};

pub(super) fn public_keys(store: &Store) -> Answer {
    answer::json(&store.all_bls().iter().map(|loaded| loaded.key.public()).collect::<Vec<_>>())
}

pub(super) fn sign(store: &Store, identifier: &str, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Refusal> {
    let Eth2Sign::Raw(message) = Eth2Sign::parse(body)?;
    // Signed here, on the thread that serves: a signature is 0.4 ms, the runtime has a thread for each core, and
    // idle ones take over what waits. Handing the thread's other work away first (`block_in_place`) was measured:
    // about a tenth more CPU for each signature and two to four times the memory at 128 clients, no steady gain.
    let signature = requests::hex_text(find(store, identifier)?.key.sign(&message));
    Ok(if accepts_json(headers) { answer::json(&json!({ "signature": signature })) } else { answer::text(signature) })
}

/// The key of a path. What is no key at all is a key that is not here.
pub(super) fn find(store: &Store, identifier: &str) -> Result<Arc<LoadedBls>, Refusal> {
    let public = BlsPublicKey::normalise(identifier).map_err(|_| Refusal::NoSuchKey)?;
    store.bls(&public).ok_or(Refusal::NoSuchKey)
}

/// Only a client that names JSON gets it: `*/*`, which curl sends, gets the text, as with Web3Signer.
fn accepts_json(headers: &HeaderMap) -> bool {
    let named = |range: &str| {
        let kind = range.split_once(';').map_or(range, |(kind, _)| kind);
        kind.trim().eq_ignore_ascii_case("application/json")
    };
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(named))
}
