//! The calls that more than one function of the signer is made of.

use tokio::time::Instant;

use super::client::{Call, Client};
use super::error::SignerError;
use super::extension::Functions;
use super::route::Route;
use super::{LIST, SHORT};

/// A stock Web3Signer process serves one kind of key: the list of the other kind is a 404.
pub(super) async fn list(client: &Client, route: Route, deadline: Instant) -> Result<Option<Vec<u8>>, SignerError> {
    match get(client, route, LIST, deadline).await {
        Ok(body) => Ok(Some(body)),
        Err(SignerError::Status(hyper::StatusCode::NOT_FOUND, _)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The user's extension of the key manager API. A stock Web3Signer has no such call (404, 405) or takes it for
/// an import that lacks its keystores (400).
pub(super) async fn make(client: &Client, kind: &'static str, deadline: Instant) -> Result<Vec<u8>, SignerError> {
    let body = format!("{{\"type\":\"{kind}\"}}");
    match post(client, Route::KeyManager, body.as_bytes(), deadline).await {
        Err(SignerError::Status(status, text)) if matches!(status.as_u16(), 400 | 404 | 405 | 501) => {
            tracing::warn!(status = status.as_u16(), text = %crate::log::Foreign(&text), "the signer makes no keys");
            Err(SignerError::NoExtension("POST /eth/v1/keystores {\"type\"}"))
        }
        other => other,
    }
}

/// What the signer can do beyond a stock one. Any error status says: nothing.
pub(super) async fn functions(client: &Client, deadline: Instant) -> Result<Functions, SignerError> {
    match get(client, Route::Extension, SHORT, deadline).await {
        Ok(body) => Ok(Functions::parse(&body)),
        Err(SignerError::Status(..)) => Ok(Functions::default()),
        Err(error) => Err(error),
    }
}

pub(super) async fn get(
    client: &Client,
    route: Route,
    limit: usize,
    deadline: Instant,
) -> Result<Vec<u8>, SignerError> {
    let call = Call { method: "GET", route, path: route.path(), body: &[], limit, deadline };
    client.call(call).await
}

pub(super) async fn post(
    client: &Client,
    route: Route,
    body: &[u8],
    deadline: Instant,
) -> Result<Vec<u8>, SignerError> {
    post_to(client, route, route.path(), body, deadline).await
}

/// As [`post`], to a path with a key in it.
pub(super) async fn post_to(
    client: &Client,
    route: Route,
    path: &str,
    body: &[u8],
    deadline: Instant,
) -> Result<Vec<u8>, SignerError> {
    let call = Call { method: "POST", route, path, body, limit: SHORT, deadline };
    client.call(call).await
}
