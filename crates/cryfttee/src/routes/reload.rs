//! `POST /v1/runtime/signer/reload`, on `control` only.

use hyper::StatusCode;
use tokio::time::Instant;

use super::{Answer, json};
use crate::Sidecar;

/// 200 with what became of it, whatever that is.
pub(super) async fn answer(sidecar: &Sidecar, deadline: Instant) -> Answer {
    json(StatusCode::OK, &sidecar.signer().reload_empty(deadline).await)
}
