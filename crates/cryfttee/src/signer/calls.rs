//! The calls that more than one function of the signer is made of.

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
pub(super) async fn list(client: &Client, path: &str, deadline: Instant) -> Result<Option<Vec<u8>>, SignerError> {
    match get(client, path, LIST, deadline).await {
        Ok(body) => Ok(Some(body)),
        Err(SignerError::Status(hyper::StatusCode::NOT_FOUND, _)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The user's extension of the key manager API. A stock Web3Signer has no such call (404, 405) or takes it for
/// an import that lacks its keystores (400).
pub(super) async fn make(client: &Client, kind: &'static str, deadline: Instant) -> Result<Vec<u8>, SignerError> {
    let body = format!("{{\"type\":\"{kind}\"}}");
    match post(client, "/eth/v1/keystores", body.as_bytes(), deadline).await {
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

pub(super) async fn get(client: &Client, path: &str, limit: usize, deadline: Instant) -> Result<Vec<u8>, SignerError> {
    let call = Call { method: "GET", path, body: &[], limit, deadline };
    client.call(call).await
}

pub(super) async fn post(client: &Client, path: &str, body: &[u8], deadline: Instant) -> Result<Vec<u8>, SignerError> {
    let call = Call { method: "POST", path, body, limit: SHORT, deadline };
    client.call(call).await
}
