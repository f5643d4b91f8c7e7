//! `GET /v1/runtime/metrics`, on `control` only.

use hyper::StatusCode;

use super::{Answer, json};
use crate::Sidecar;

/// 200 with what was counted so far.
pub(super) fn answer(sidecar: &Sidecar) -> Answer {
    json(StatusCode::OK, &sidecar.counters().read())
}
