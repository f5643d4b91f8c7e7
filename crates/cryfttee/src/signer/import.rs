//! The key manager's import: keys that are made here, for a signer that makes none.

use std::borrow::Cow;

use contract::BlsPublicKey;
use serde::Deserialize;
use tokio::time::Instant;

use super::SHORT;
use super::answer::Made;
use super::client::{Call, Client};
use super::error::SignerError;
use super::route::Route;
use crate::keystore::{MakeKeyError, NewKey};

/// Makes a BLS key and imports it, once: where the answer does not arrive, the key may be in the signer, and whoever
/// asks for its keys next finds it there.
pub(super) async fn bls(client: &Client, deadline: Instant) -> Result<(Made<BlsPublicKey>, [u8; 96]), SignerError> {
    // Tens of milliseconds of computing are no work for a thread that serves connections.
    let key = tokio::task::spawn_blocking(NewKey::make).await.map_err(MakeKeyError::from)??;
    // Apart: what is kept of a connection would keep the password. The buffer is wiped when the key is dropped.
    // A stock Web3Signer has the call if its key manager is enabled.
    let route = Route::KeyManager;
    let call = Call { method: "POST", route, path: route.path(), body: &key.import, limit: SHORT, deadline };
    match client.call_apart(call).await {
        Ok(answer) => imported(&answer)?,
        Err(error) if error.is_no_such_call() => {
            return Err(SignerError::NoExtension("its key manager API is not enabled (POST /eth/v1/keystores)"));
        }
        Err(error) => return Err(error),
    }
    // Where the signer keeps it, its answer does not say.
    Ok((Made { pubkey: key.public, secret_path: String::new() }, key.proof))
}

/// `{"data":[{"status":"imported"}]}`, one entry for the one key.
fn imported(answer: &[u8]) -> Result<(), SignerError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        data: [Outcome<'a>; 1],
    }
    #[derive(Deserialize)]
    struct Outcome<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow, default)]
        message: Option<Cow<'a, str>>,
    }

    let answer: Answer<'_> = serde_json::from_slice(answer)
        .map_err(|_| SignerError::Nonsense("{\"data\":[{\"status\"}]} for the one key that was imported"))?;
    let [Outcome { status, message }] = answer.data;
    if status == "imported" {
        return Ok(());
    }
    Err(SignerError::NotImported {
        status: status.into_owned(),
        message: message.map(Cow::into_owned).unwrap_or_default(),
    })
}
