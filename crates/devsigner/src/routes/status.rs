//! `GET /upcheck` and `GET /healthcheck`.

use serde_json::json;

use crate::answer::{self, Answer};
use crate::store::Store;

pub(super) fn upcheck() -> Answer {
    answer::text("OK")
}

/// Every key was loaded, or the signer would not have started; so there is no 503 here.
pub(super) fn healthcheck(store: &Store) -> Answer {
    let keys = store.all_bls().len() + store.all_secp256k1().len();
    answer::json(&json!({
        "status": "UP",
        "checks": [
            { "id": "default-check", "status": "UP" },
            { "id": "keys-check/loaded", "status": "UP", "data": { "keys-loaded": keys } },
        ],
        "outcome": "UP",
    }))
}
