//! `POST /v1/runtime/admit`, on `control` only.

use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::Answer;
use crate::Sidecar;

/// Opens the gate: 204, however often it is asked.
pub(super) fn answer(sidecar: &Sidecar) -> Answer {
    if !sidecar.gate().is_open() {
        tracing::info!("admitted by the verifier");
        sidecar.gate().open();
    }
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}
