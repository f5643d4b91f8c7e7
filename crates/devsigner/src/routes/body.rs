//! Reading a body: bounded in size, and in the time between two pieces of it.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;

use super::Ended;
use crate::answer::Refusal;

/// The longest body.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// How long a client may pause in the middle of a body, as between two requests.
const IDLE: Duration = Duration::from_secs(30);

/// Whatever the Content-Type says, or does not say, the body is read as JSON; only forms with files never are.
pub(super) async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, Ended>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if is_multipart(headers) {
        return Err(Refusal::malformed("a multipart body is not JSON").into());
    }
    // A client that says beforehand that it is too long need not send it.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Refusal::LongBody.into());
    }
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(IDLE, body.frame()).await {
            Err(_) => return Err(Ended::Idle),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(frame)) => frame,
        };
        let frame = frame.map_err(|error| Refusal::malformed(format!("read the body: {}", error.into())))?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.remaining() > MAX_BODY {
            return Err(Refusal::LongBody.into());
        }
        whole.put(data);
    }
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.trim_start().get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}
