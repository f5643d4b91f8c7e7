//! One request and its answer over a connection of its own. Sizes are bounded, and where there is more than one answer, there is
//! none.

use contract::wire::ApiError;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{self, Bytes};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, Response};

use super::error::SidecarError;
use super::stream;

/// The largest answer that is read: ten thousand keys need 1.2 MiB.
pub(super) const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// hyper's buffer for the head of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    /// Path and query; a constant of the contract, with hex where there is more.
    pub(super) path: String,
    pub(super) body: Bytes,
}

impl Question {
    /// How errors call it.
    pub(super) fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

/// Asks and reads the whole answer, which is success or [`SidecarError::Refused`].
pub(super) async fn exchange<S>(stream: S, host: HeaderValue, question: Question) -> Result<Bytes, SidecarError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let name = question.name();
    let call = || name.clone();
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(stream)
        .await
        .map_err(|source| SidecarError::Http { call: call(), source })?;
    let mut connection = AbortOnDrop(tokio::spawn(connection.without_shutdown()));

    let mut request = Request::new(Full::new(question.body));
    *request.method_mut() = question.method;
    *request.uri_mut() = question.path.parse().expect("paths are constants and hex");
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let response = sender.send_request(request).await.map_err(|source| http_error(call(), source))?;
    let status = response.status();
    let answer = read_body(call(), response).await?;
    // It ends with the one answer. An error of it would be one of a connection that has done what it was made for.
    if let Ok(Ok(parts)) = (&mut connection.0).await
        && !parts.read_buf.is_empty()
    {
        return Err(SidecarError::Behind { call: call() });
    }
    if status.is_success() {
        return Ok(answer);
    }
    Err(SidecarError::Refused { call: call(), status, said: serde_json::from_slice::<ApiError>(&answer).ok() })
}

/// A connection whose request was answered or given up is of no use.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read_body(call: String, response: Response<body::Incoming>) -> Result<Bytes, SidecarError> {
    match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(SidecarError::TooLarge { call }),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(http_error(call, *error)),
            Err(source) => Err(SidecarError::Body { call, source }),
        },
    }
}

/// A forged chunk reaches us as the I/O error that the stream raised, inside hyper's.
fn http_error(call: String, error: hyper::Error) -> SidecarError {
    match stream::find_forged(&error) {
        Some(source) => SidecarError::Forged { call, source },
        None => SidecarError::Http { call, source: error },
    }
}
