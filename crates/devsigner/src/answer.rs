//! What goes back to the client.

use bytes::Bytes;
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The content type of Web3Signer's texts.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The content type of Web3Signer's JSON.
pub const JSON: &str = "application/json; charset=utf-8";
/// The content type of its health check, which another library writes.
pub const HEALTH_JSON: &str = "application/json;charset=UTF-8";
/// The content type of the page that it shows for a path that it does not have.
const HTML: &str = "text/html; charset=utf-8";
const NOT_FOUND_PAGE: &str = "<html><body><h1>Resource not found</h1></body></html>";
/// What it says of any `Origin`, as the reason of the status and as the body.
const BAD_ORIGIN: &[u8] = b"CORS Rejected - Invalid origin";
const FOREIGN_HOST: &str = r#"{"message":"Host not authorized."}"#;

/// An answer.
pub type Answer = Response<Full<Bytes>>;

/// Why a request is refused. The status is what a client acts on. The text is for people, and they get it only if
/// `clear-errors` is on: stock says no more than the name of the status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400.
    #[error("{0}")]
    Malformed(String),
    /// 400: HTTP/1.1 without a `Host`, or with one that is none.
    #[error("the Host header is missing or malformed")]
    BadHost,
    /// 403: a page in a browser that resolves its own name to loopback ends here.
    #[error("Host not authorized.")]
    ForeignHost,
    /// 403: no page in a browser may ask, from wherever it came.
    #[error("CORS Rejected - Invalid origin")]
    Origin,
    /// 404, and a page of HTML.
    #[error("no such path")]
    NoSuchPath,
    /// 404.
    #[error("no key with this identifier")]
    NoSuchKey,
    /// 405, with the methods that the path has.
    #[error("this path has {0} only")]
    Method(&'static str),
    /// 406: the client accepts nothing that the path has.
    #[error("this path has {0} only")]
    NotAcceptable(&'static str),
    /// 412: slashing protection refuses.
    #[error("{0}")]
    Unsafe(String),
    /// 413.
    #[error("the body is longer than 10 MiB")]
    LongBody,
    /// 414.
    #[error("the request line is longer than 4 KiB")]
    LongLine,
    /// 431.
    #[error("the headers are longer than 8 KiB")]
    LongHeaders,
    /// 500: stock notices only while it signs that something is missing or cannot be.
    #[error("{0}")]
    Unsignable(String),
    /// 500, as Web3Signer answers if the root it computes is not the one that the client expects.
    #[error("the signing root differs from the data")]
    RootMismatch,
    /// 500: a fault of this signer.
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
            Self::Malformed(_) | Self::BadHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost | Self::Origin => StatusCode::FORBIDDEN,
            Self::NoSuchPath | Self::NoSuchKey => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::Unsafe(_) => StatusCode::PRECONDITION_FAILED,
            Self::LongBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::LongLine => StatusCode::URI_TOO_LONG,
            Self::LongHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unsignable(_) | Self::RootMismatch | Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer: as stock writes it, or with the reason if refusals are to be `clear`.
    pub fn into_answer(self, clear: bool) -> Answer {
        let status = self.status();
        let mut answer = if clear { with(status, TEXT, self.to_string()) } else { self.bare() };
        match self {
            Self::Method(allowed) => {
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Origin => {
                answer.extensions_mut().insert(ReasonPhrase::from_static(BAD_ORIGIN));
            }
            // The rest of that request is still to come, and nobody will read it.
            Self::LongBody | Self::LongLine | Self::LongHeaders | Self::BadHost => {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Malformed(_)
            | Self::ForeignHost
            | Self::NoSuchPath
            | Self::NoSuchKey
            | Self::NotAcceptable(_)
            | Self::Unsafe(_)
            | Self::Unsignable(_)
            | Self::RootMismatch
            | Self::Failed(_) => {}
        }
        answer
    }

    fn bare(&self) -> Answer {
        let status = self.status();
        match self {
            Self::ForeignHost => with(status, "application/json", FOREIGN_HOST),
            Self::Origin => bare(status, BAD_ORIGIN),
            Self::NoSuchPath => with(status, HTML, NOT_FOUND_PAGE),
            Self::NotAcceptable(_) | Self::BadHost | Self::LongLine | Self::LongHeaders => bare(status, b""),
            Self::LongBody => bare(status, b"Request Entity Too Large"),
            Self::Malformed(_)
            | Self::NoSuchKey
            | Self::Method(_)
            | Self::Unsafe(_)
            | Self::Unsignable(_)
            | Self::RootMismatch
            | Self::Failed(_) => bare(status, status.canonical_reason().unwrap_or_default().as_bytes()),
        }
    }
}

/// 200 with a text.
pub fn text(text: impl Into<Bytes>) -> Answer {
    with(StatusCode::OK, TEXT, text)
}

/// 200 with JSON.
pub fn json(value: &impl Serialize) -> Answer {
    json_with(StatusCode::OK, JSON, value)
}

/// JSON with another status or content type.
pub fn json_with(status: StatusCode, content_type: &'static str, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => with(status, content_type, body),
        Err(error) => Refusal::Failed(format!("write the answer as JSON: {error}")).into_answer(true),
    }
}

fn with(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A body without a content type.
fn bare(status: StatusCode, body: &'static [u8]) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(body)));
    *answer.status_mut() = status;
    answer
}
