//! `GET /upcheck`, `GET /healthcheck` and `GET /api/v1/eth2/highWatermark`.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::options::Options;
use crate::store::Store;

pub(super) fn upcheck() -> Answer {
    answer::text("OK")
}

/// `eth2` is down as long as a key file fails or the votes cannot be looked up, though it signs with the other keys.
/// `eth1` looks at nothing and is always up.
pub(super) fn healthcheck(store: &Store, options: &Options) -> Answer {
    let word = |up: bool| if up { "UP" } else { "DOWN" };
    let mut checks = vec![json!({ "id": "default-check", "status": "UP" })];
    let mut up = true;
    if options.serves.bls() {
        let (loaded, failed) = (store.count(), store.failed_files());
        up &= failed == 0;
        let data = json!({ "keys-loaded": loaded, "error-count": failed });
        checks.push(nested("keys-check", "config-files-loading", word(failed == 0), data));
    }
    if options.protects() {
        let reachable = store.protection_is_reachable();
        up &= reachable;
        checks.push(json!({ "id": "slashing-protection-db-health-check", "status": word(reachable) }));
    }
    let status = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": word(up), "checks": checks, "outcome": word(up) });
    answer::json_with(status, answer::HEALTH_JSON, &body)
}

fn nested(id: &str, inner: &str, status: &str, data: Value) -> Value {
    json!({ "id": id, "status": status, "checks": [{ "id": inner, "status": status, "data": data }] })
}

/// None is ever set here: there is no command for it.
pub(super) fn high_watermark() -> Answer {
    answer::json(&json!({}))
}
