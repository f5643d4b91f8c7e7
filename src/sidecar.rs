//! The HTTP client for the sidecar's private socket.
//!
//! One connection a request; every chunk that is read carries its sender's credentials, and one that is not
//! from the child makes the answer a forgery. Sizes and times are bounded.

mod stream;

use std::path::PathBuf;
use std::time::Duration;

use contract::wire::{ApiError, Attestation, RegisterRequest, Registered, StakingStatus, path};
use contract::{exit, keys};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, body, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use stream::{Forged, Peer};

/// The largest answer that is read: ten thousand keys need 1.2 MiB.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// hyper's buffer for the head of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// A call to the sidecar failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum SidecarError {
    #[error("connect to the sidecar at {path}", path = path.display())]
    Connect { path: PathBuf, source: std::io::Error },
    #[error("{call}: no answer within {within:?}")]
    Timeout { call: String, within: Duration },
    #[error("{call}: the answer was forged")]
    Forged { call: String, source: Forged },
    #[error("{call}")]
    Http { call: String, source: hyper::Error },
    #[error("{call}: read the answer")]
    Body { call: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{call}: the answer is larger than {limit} bytes", limit = MAX_ANSWER)]
    TooLarge { call: String },
    #[error("{call}: answered {status}{detail}")]
    Refused { call: String, status: StatusCode, detail: String },
    #[error("{call}: the answer is not of the contract's shape")]
    Shape { call: String, source: serde_json::Error },
    #[error("the sidecar is not ready to sign: {0}")]
    NotReady(String),
    #[error("the sidecar cannot sign: missing capability {0}")]
    Incapable(String),
    #[error("encode the request")]
    Encode(#[source] serde_json::Error),
}

impl SidecarError {
    /// Exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Forged { .. } => exit::INTEGRITY,
            Self::Encode(_) => exit::INTERNAL,
            _ => exit::UNAVAILABLE,
        }
    }
}

impl SidecarError {
    /// Whether a signer that is still starting would look like this.
    pub const fn may_come(&self) -> bool {
        matches!(self, Self::NotReady(_))
    }
}

/// Calls one sidecar over one socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    peer: Peer,
    timeout: Duration,
}

impl Client {
    /// A client that believes only `peer`.
    pub fn new(socket: PathBuf, peer: Peer, timeout: Duration) -> Self {
        Self { socket, peer, timeout }
    }

    /// The same with another time limit for one call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// `GET /v1/runtime/attestation?nonce=…`.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn attestation(&self, nonce: &str) -> Result<Attestation, SidecarError> {
        self.call(Method::GET, &format!("{}?nonce={nonce}", path::ATTESTATION), None).await
    }

    /// `GET /v1/staking/status`.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn status(&self) -> Result<StakingStatus, SidecarError> {
        self.call(Method::GET, path::STATUS, None).await
    }

    /// Has the signer make a BLS key.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn generate_bls(&self) -> Result<Registered<keys::BlsPublicKey>, SidecarError> {
        self.call(Method::POST, path::BLS_REGISTER, Some(encode(&RegisterRequest::generate())?)).await
    }

    /// Has the signer make a TLS key.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn generate_tls(&self) -> Result<Registered<keys::TlsPublicKey>, SidecarError> {
        self.call(Method::POST, path::TLS_REGISTER, Some(encode(&RegisterRequest::generate())?)).await
    }

    /// Lets the sidecar accept on its public socket.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn admit(&self) -> Result<(), SidecarError> {
        let body = self.exchange_in_time(Method::POST, path::ADMIT, Some(Bytes::from_static(b"{}"))).await?;
        drop(body);
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<T, SidecarError> {
        let call = format!("{method} {path}");
        let answer = self.exchange_in_time(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|source| SidecarError::Shape { call, source })
    }

    async fn exchange_in_time(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Bytes, SidecarError> {
        let call = format!("{method} {path}");
        match tokio::time::timeout(self.timeout, self.exchange(&call, method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(SidecarError::Timeout { call, within: self.timeout }),
        }
    }

    async fn exchange(
        &self,
        call: &str,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Bytes, SidecarError> {
        let call = || call.to_owned();
        let stream = stream::connect(&self.socket, self.peer)
            .await
            .map_err(|source| SidecarError::Connect { path: self.socket.clone(), source })?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(stream)
            .await
            .map_err(|source| SidecarError::Http { call: call(), source })?;
        let _connection = AbortOnDrop(tokio::spawn(connection));

        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("paths are constants and hex");
        request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
        request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        let response = sender.send_request(request).await.map_err(|source| http_error(call(), source))?;
        let status = response.status();
        let answer = read_body(call(), response).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(SidecarError::Refused { call: call(), status, detail: refusal_detail(&answer) })
    }
}

/// A connection whose request was answered or given up is of no use.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn encode(request: &impl Serialize) -> Result<Bytes, SidecarError> {
    serde_json::to_vec(request).map(Bytes::from).map_err(SidecarError::Encode)
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

/// What the sidecar says of its refusal, bounded: it is text from outside.
fn refusal_detail(answer: &[u8]) -> String {
    const SHOWN: usize = 200;
    match serde_json::from_slice::<ApiError>(answer) {
        Ok(ApiError { error, code, details }) => {
            let text: String = format!("{error} [{code}] {details}").trim_end().chars().take(SHOWN).collect();
            format!(": {text}")
        }
        Err(_) => String::new(),
    }
}
