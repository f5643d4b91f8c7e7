//! The calls that more than one function of the signer is made of.

use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::{Call, Client};
use super::error::SignerError;
use super::{Extension, LIST, SHORT};

pub(super) async fn up(client: &Client, name: &str, deadline: Instant) -> Result<(), String> {
    get(client, "/upcheck", SHORT, deadline).await.map(drop).map_err(|error| match error {
        SignerError::Unavailable(cause) => format!("connect to {name}: {cause}"),
        other => format!("{name}: {other}"),
    })
}

/// A stock Web3Signer process serves one kind of key: the list of the other kind is a 404.
pub(super) async fn list(client: &Client, path: &str, deadline: Instant) -> Result<Option<Bytes>, SignerError> {
    match get(client, path, LIST, deadline).await {
        Ok(body) => Ok(Some(body)),
        Err(SignerError::Status(hyper::StatusCode::NOT_FOUND, _)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The user's extension of the key manager API. A stock Web3Signer has no such call (404, 405) or takes it for
/// an import that lacks its keystores (400).
pub(super) async fn make(client: &Client, kind: &'static str, deadline: Instant) -> Result<Bytes, SignerError> {
    let body = Bytes::from(format!("{{\"type\":\"{kind}\"}}"));
    match post(client, "/eth/v1/keystores", body, deadline).await {
        Err(SignerError::Status(status, text)) if matches!(status.as_u16(), 400 | 404 | 405 | 501) => {
            tracing::warn!(status = status.as_u16(), text = %crate::log::Foreign(&text), "the signer makes no keys");
            Err(SignerError::NoExtension("POST /eth/v1/keystores {\"type\"}"))
        }
        other => other,
    }
}

/// Whether the signer has an extension. Any error status says no.
pub(super) async fn has(client: &Client, extension: Extension, deadline: Instant) -> Result<bool, SignerError> {
    #[derive(Deserialize)]
    struct Answer {
        functions: Vec<String>,
    }

    match get(client, "/ext/cryft/v1", SHORT, deadline).await {
        Ok(body) => Ok(serde_json::from_slice::<Answer>(&body)
            .is_ok_and(|answer| answer.functions.iter().any(|name| name == extension.name()))),
        Err(SignerError::Status(..)) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn get(client: &Client, path: &str, limit: usize, deadline: Instant) -> Result<Bytes, SignerError> {
    let call = Call { method: Method::GET, path, body: Bytes::new(), limit, deadline };
    Ok(client.call(call).await?.body)
}

pub(super) async fn post(client: &Client, path: &str, body: Bytes, deadline: Instant) -> Result<Bytes, SignerError> {
    let call = Call { method: Method::POST, path, body, limit: SHORT, deadline };
    Ok(client.call(call).await?.body)
}
