//! What goes back to the client.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The content type of Web3Signer's texts.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The content type of Web3Signer's JSON.
pub const JSON: &str = "application/json; charset=utf-8";

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// Why a request is refused. The text is for people, the status is what a client acts on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400.
    #[error("{0}")]
    Malformed(String),
    /// 403: a page in a browser that resolves its own name to loopback ends here.
    #[error("Host not authorized.")]
    ForeignHost,
    /// 404.
    #[error("no such path")]
    NoSuchPath,
    /// 404.
    #[error("no key with this identifier")]
    NoSuchKey,
    /// 405, with the methods that the path has.
    #[error("this path has {0} only")]
    Method(&'static str),
    /// 408.
    #[error("the body did not arrive in time")]
    SlowBody,
    /// 412: slashing protection refuses.
    #[error("{0}")]
    Unsafe(String),
    /// 413.
    #[error("the body is longer than 1 MiB")]
    LongBody,
    /// 415.
    #[error("the Content-Type must be application/json")]
    MediaType,
    /// 500, as Web3Signer answers when the root it computes is not the one that the client expects.
    #[error("the signing root differs from the data")]
    RootMismatch,
    /// 500.
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    /// 400, and says what is malformed.
    pub fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    /// The status that the client sees.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::ForeignHost => StatusCode::FORBIDDEN,
            Self::NoSuchPath | Self::NoSuchKey => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Unsafe(_) => StatusCode::PRECONDITION_FAILED,
            Self::LongBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RootMismatch | Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut answer = with(refusal.status(), TEXT, refusal.to_string());
        match refusal {
            Refusal::Method(allowed) => {
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            }
            // The rest of that body is still to come, and nobody will read it.
            Refusal::SlowBody | Refusal::LongBody => {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        answer
    }
}

/// 200 with a text.
pub fn text(text: impl Into<Bytes>) -> Answer {
    with(StatusCode::OK, TEXT, text)
}

/// 200 with JSON.
pub fn json(value: &impl Serialize) -> Answer {
    json_with(StatusCode::OK, value)
}

/// JSON with another status.
pub fn json_with(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => with(status, JSON, body),
        Err(error) => Refusal::Failed(format!("write the answer as JSON: {error}")).into(),
    }
}

fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
