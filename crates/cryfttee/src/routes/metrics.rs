//! `GET /v1/runtime/metrics`, on `control` only.

use contract::wire::Metrics;
use hyper::StatusCode;

use super::{Answer, json};
use crate::Sidecar;

/// 200 with what was counted so far.
pub(super) fn answer(sidecar: &Sidecar) -> Answer {
    let metrics = Metrics { denied_uid: sidecar.denials().last_uid(), ..sidecar.counters().read() };
    json(StatusCode::OK, &metrics)
}
