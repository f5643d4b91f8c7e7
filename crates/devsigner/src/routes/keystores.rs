//! `/eth/v1/keystores`: the key manager's list, and the making of keys.

use std::sync::Arc;

use serde_json::json;

use crate::answer::{self, Answer, Refusal};
use crate::requests::{self, Generate};
use crate::store::{NewKey, Store};

/// BLS keys only: the key manager knows no others.
pub(super) fn list(store: &Store) -> Answer {
    let data = store.all_bls().into_iter().map(|loaded| {
        json!({
            "validating_pubkey": loaded.key.public(),
            "derivation_path": loaded.derivation_path,
            "readonly": false,
        })
    });
    answer::json(&json!({ "data": data.collect::<Vec<_>>() }))
}

pub(super) async fn generate(store: &Arc<Store>, body: &[u8]) -> Result<Answer, Refusal> {
    let Generate { curve } = requests::parse(body)?;
    let store = Arc::clone(store);
    // It waits for the disk, so not on a thread that serves connections.
    let made = tokio::task::spawn_blocking(move || store.generate(curve)).await;
    match made {
        Ok(Ok(NewKey { pubkey, path })) => Ok(answer::json(&json!({ "pubkey": pubkey, "secret_path": path }))),
        Ok(Err(error)) => Err(Refusal::Failed(with_causes(&error))),
        Err(error) => Err(Refusal::Failed(error.to_string())),
    }
}

/// An error and what caused it, on one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
