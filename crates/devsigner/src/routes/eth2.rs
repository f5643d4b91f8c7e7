//! Web3Signer's eth2 calls: BLS.

use std::sync::Arc;

use contract::BlsPublicKey;
use hyper::HeaderMap;
use serde_json::json;

use super::{App, accept};
use crate::answer::{self, Answer, Refusal};
use crate::error_text::with_causes;
use crate::requests::{self, Eth2Sign};
use crate::slashing::SlashingError;
use crate::ssz::Root;
use crate::store::{LoadedBls, Store};
use crate::typed::{Typed, Vote};

pub(super) fn public_keys(store: &Store) -> Answer {
    answer::json(&store.list_bls())
}

pub(super) async fn sign(app: &App, identifier: &str, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Refusal> {
    let request = Eth2Sign::parse(body, &app.options)?;
    let loaded = find(&app.store, identifier)?;
    let signature = match request {
        Eth2Sign::Typed(Typed { vote: Some(_), .. }) if app.options.protects() && identifier.starts_with("0X") => {
            // Stock looks a vote's key up in its database too, which does not know this spelling.
            return Err(Refusal::malformed("the key of a vote starts with 0x, if with anything"));
        }
        Eth2Sign::Typed(Typed { root, vote: Some(vote) }) => {
            sign_vote(Arc::clone(&app.store), loaded.key.public(), vote, root).await?
        }
        // Signed here, on the thread that serves: a signature is 0.4 ms, the runtime has a thread for each core, and
        // idle ones take over what waits. Handing the thread's other work away first (`block_in_place`) was
        // measured: about a tenth more CPU for each signature and two to four times the memory at 128 clients, no
        // steady gain.
        request => loaded.key.sign(request.message()),
    };
    let signature = requests::hex_text(signature);
    Ok(if accept::wants_json(headers) {
        answer::json(&json!({ "signature": signature }))
    } else {
        answer::text(signature)
    })
}

/// It waits for the disk, so not on a thread that serves connections.
async fn sign_vote(store: Arc<Store>, public: BlsPublicKey, vote: Vote, root: Root) -> Result<[u8; 96], Refusal> {
    match tokio::task::spawn_blocking(move || store.sign_vote(&public, &vote, &root)).await {
        Ok(Ok(signature)) => signature.ok_or(Refusal::NoSuchKey),
        Ok(Err(error @ SlashingError::Refused(_))) => Err(Refusal::Unsafe(error.to_string())),
        Ok(Err(error)) => Err(Refusal::Failed(with_causes(&error))),
        Err(error) => Err(Refusal::Failed(error.to_string())),
    }
}

/// The key of a path. What is no key at all is a key that is not here.
pub(super) fn find(store: &Store, identifier: &str) -> Result<Arc<LoadedBls>, Refusal> {
    let public = BlsPublicKey::normalise(identifier).map_err(|_| Refusal::NoSuchKey)?;
    store.bls(&public).ok_or(Refusal::NoSuchKey)
}
