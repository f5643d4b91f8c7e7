//! Reading a body: JSON only, bounded in size and in time.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use contract::defaults::MAX_BODY;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::HeaderMap;
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;

use crate::answer::Refusal;

/// How long a body may take to arrive. A client on loopback needs no part of it; one that drips a byte a
/// second would otherwise hold its connection for days.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, Refusal>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if !is_json(headers) {
        return Err(Refusal::MediaType);
    }
    // A client that says beforehand that it is too long need not send it.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Refusal::LongBody);
    }
    match tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Err(_) => Err(Refusal::SlowBody),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::LongBody),
        Ok(Err(error)) => Err(Refusal::malformed(format!("read the body: {error}"))),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// No Content-Type is not JSON either: a form in a browser must not be able to ask for a signature.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split_once(';').map_or(value, |(kind, _)| kind);
    kind.trim().eq_ignore_ascii_case("application/json")
}
