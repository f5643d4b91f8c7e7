//! The API: which request goes where, and how an answer looks.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;

use contract::wire::path;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::Level;

mod admit;
mod attestation;
mod metrics;
mod register;
mod reload;
mod sign;
mod status;

pub(crate) use sign::Kind;
pub(crate) use status::Missing;

use crate::Sidecar;
use crate::body::Whole;
use crate::client::Client;
use crate::listen::Role;
use crate::log::Foreign;
use crate::problem::{Code, Problem};

pub(crate) type Answer = Response<Full<Bytes>>;

/// How much of a body that is too large is read and thrown away, so that a client that sends before it reads gets
/// to see the 413. A client with more than that to say sees its connection close.
const DISCARDED: usize = 8 * contract::defaults::MAX_BODY;

/// Answers one request. Every outcome is an answer; errors are `{error, code, details}`.
pub(crate) async fn answer(sidecar: &Sidecar, client: &Client, request: Request<Incoming>) -> Answer {
    let started = Instant::now();
    let asked = tracing::enabled!(Level::DEBUG).then(|| (request.method().clone(), request.uri().clone()));
    let endpoint = Endpoint::of(request.uri().path(), client.role);
    let outcome = dispatch(sidecar, client, endpoint, request, started).await;
    // What the verifier asks is no client's request.
    if client.role == Role::Api {
        let refused = outcome.as_ref().err().map(|problem| problem.code);
        sidecar.counters().count(Endpoint::kind(endpoint), refused, started.elapsed());
    }
    let answer = outcome.unwrap_or_else(|problem| refuse(&problem));
    if let Some((method, uri)) = asked {
        let (path, status) = (Foreign(uri.path()), answer.status().as_u16());
        tracing::debug!(%method, %path, status, took = ?started.elapsed(), "{}", client.role);
    }
    answer
}

/// Answers a request to sign that a client sent who may, without anything about it that is not its path and its body;
/// otherwise as [`answer`] does. The answer is the body of a 200, and when it was there.
pub(crate) async fn sign(
    sidecar: &Sidecar,
    kind: Kind,
    body: &[u8],
    started: Instant,
) -> (Result<String, Problem>, Instant) {
    let outcome = match admitted(sidecar) {
        Ok(()) => sign::sign(sidecar, kind, body, started + sidecar.limits().request).await,
        Err(problem) => Err(problem),
    };
    let refused = outcome.as_ref().err().map(|problem| problem.code);
    let ended = Instant::now();
    let took = ended.saturating_duration_since(started);
    let endpoint = match kind {
        Kind::Bls => Endpoint::BlsSign,
        Kind::Tls => Endpoint::TlsSign,
    };
    sidecar.counters().count(Endpoint::kind(Some(endpoint)), refused, took);
    if tracing::enabled!(Level::DEBUG) {
        let status = refused.map_or(StatusCode::OK, Code::status).as_u16();
        tracing::debug!(method = "POST", path = kind.path(), status, ?took, "{}", Role::Api);
    }
    (outcome, ended)
}

/// Nothing is accepted on `api` before admission; should that ever change, nothing is answered either.
fn admitted(sidecar: &Sidecar) -> Result<(), Problem> {
    if sidecar.gate().is_open() {
        return Ok(());
    }
    Err(Problem::new(Code::NotAdmitted, "the verifier has not admitted clients yet"))
}

#[derive(Clone, Copy)]
enum Endpoint {
    Status,
    Attestation,
    Admit,
    BlsRegister,
    TlsRegister,
    BlsSign,
    TlsSign,
    Metrics,
    SignerReload,
}

impl Endpoint {
    fn of(path: &str, role: Role) -> Option<Self> {
        match path {
            path::BLS_SIGN => Some(Self::BlsSign),
            path::TLS_SIGN => Some(Self::TlsSign),
            path::STATUS => Some(Self::Status),
            path::ATTESTATION => Some(Self::Attestation),
            path::BLS_REGISTER => Some(Self::BlsRegister),
            path::TLS_REGISTER => Some(Self::TlsRegister),
            path::ADMIT if role == Role::Control => Some(Self::Admit),
            path::METRICS if role == Role::Control => Some(Self::Metrics),
            path::SIGNER_RELOAD if role == Role::Control => Some(Self::SignerReload),
            _ => None,
        }
    }

    /// Its place among the kinds that are counted ([`contract::wire::metrics::KINDS`]).
    const fn kind(endpoint: Option<Self>) -> usize {
        match endpoint {
            Some(Self::Status) => 0,
            Some(Self::Attestation) => 1,
            Some(Self::BlsRegister) => 2,
            Some(Self::TlsRegister) => 3,
            Some(Self::BlsSign) => 4,
            Some(Self::TlsSign) => 5,
            Some(Self::Admit | Self::Metrics | Self::SignerReload) | None => 6,
        }
    }

    const fn method(self) -> (Method, &'static str) {
        match self {
            Self::Status | Self::Attestation | Self::Metrics => (Method::GET, "GET"),
            Self::Admit
            | Self::SignerReload
            | Self::BlsRegister
            | Self::TlsRegister
            | Self::BlsSign
            | Self::TlsSign => (Method::POST, "POST"),
        }
    }
}

async fn dispatch(
    sidecar: &Sidecar,
    client: &Client,
    endpoint: Option<Endpoint>,
    request: Request<Incoming>,
    started: Instant,
) -> Result<Answer, Problem> {
    if client.role == Role::Api {
        admitted(sidecar)?;
    }
    client.admit(sidecar, &request)?;
    let endpoint =
        endpoint.ok_or_else(|| Problem::new(Code::NotFound, "no such path").details(request.uri().path()))?;
    let (method, name) = endpoint.method();
    if *request.method() != method {
        let problem = Problem::new(Code::MethodNotAllowed, "this path does not have that method");
        return Err(Problem { allow: Some(name), ..problem });
    }
    let deadline = started + sidecar.limits().request;
    let (head, body) = request.into_parts();
    let body = read_body(&head.headers, body, deadline).await?;
    match endpoint {
        Endpoint::Status => status::answer(sidecar).await,
        Endpoint::SignerReload => Ok(reload::answer(sidecar, deadline).await),
        Endpoint::Attestation => attestation::answer(sidecar, head.uri.query()),
        Endpoint::Admit => admit::answer(sidecar, &body),
        Endpoint::Metrics => Ok(metrics::answer(sidecar)),
        Endpoint::BlsRegister => register::bls(sidecar, client, &body, deadline).await,
        Endpoint::TlsRegister => register::tls(sidecar, client, &body, deadline).await,
        Endpoint::BlsSign => signed(sign::sign(sidecar, Kind::Bls, &body, deadline).await?),
        Endpoint::TlsSign => signed(sign::sign(sidecar, Kind::Tls, &body, deadline).await?),
    }
}

async fn read_body(headers: &HeaderMap, mut body: Incoming, deadline: Instant) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if let Some(declared) = headers.get(CONTENT_TYPE)
        && !is_json(declared)
    {
        return Err(Problem::new(Code::UnsupportedMediaType, "a body has to be application/json"));
    }
    let too_large = || Problem::new(Code::TooLarge, "the body is over 1 MiB");
    // A client that waits for "100 Continue" has not sent its body, and need not.
    if body.size_hint().lower() > contract::defaults::MAX_BODY as u64 && headers.contains_key(EXPECT) {
        return Err(too_large());
    }
    let read = async {
        let (mut whole, mut seen) = (Whole::default(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Problem::malformed("the body ended early").details(&e.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            seen += data.len();
            if seen > DISCARDED {
                break;
            }
            if seen <= contract::defaults::MAX_BODY {
                whole.push(data);
            }
        }
        if seen > contract::defaults::MAX_BODY { Err(too_large()) } else { Ok(whole.into_bytes()) }
    };
    let mut read = pin!(read);
    // Next to always the body has come with its head, and then there is nothing to time.
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
        return done;
    }
    timeout_at(deadline, read)
        .await
        .unwrap_or_else(|_| Err(Problem::new(Code::Timeout, "the body did not arrive in time")))
}

fn is_json(declared: &HeaderValue) -> bool {
    declared.to_str().is_ok_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
            || essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json")
    })
}

/// Reads a request, which has to be a JSON object.
fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| Problem::malformed("the request cannot be read").details(&e.to_string()))
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Every answer is a struct of texts, numbers and lists: writing it cannot fail.
    respond(status, serde_json::to_vec(body).unwrap_or_default())
}

fn signed(body: String) -> Result<Answer, Problem> {
    Ok(respond(StatusCode::OK, body))
}

fn respond(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn refuse(problem: &Problem) -> Answer {
    let mut answer = json(problem.code.status(), &problem.body());
    if problem.close {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(method) = problem.allow {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    }
    answer
}
