//! `POST /v1/runtime/admit`, on `control` only.

use contract::wire::AdmitRequest;
use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::{Answer, read};
use crate::Sidecar;
use crate::problem::Problem;

/// Takes note of the keys that the node has and opens the gate: 204, however often it is asked.
pub(super) fn answer(sidecar: &Sidecar, body: &[u8]) -> Result<Answer, Problem> {
    // Before there were keys to name, the request had no body.
    let named: AdmitRequest = if body.is_empty() { AdmitRequest::default() } else { read(body)? };
    sidecar.node_keys().admit(&named);
    if !sidecar.gate().is_open() {
        tracing::info!("admitted by the verifier");
        sidecar.gate().open();
    }
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    Ok(answer)
}
