//! Web3Signer, as the sidecar calls it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use contract::keys::NotAKey;
use contract::{BlsPublicKey, TlsPublicKey};
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

mod answer;
mod client;
mod error;
mod link;
mod names;
mod url;

pub(crate) use answer::Made;
pub use error::SignerError;
pub(crate) use names::TlsKeyName;
pub use url::{BadUrl, SignerUrl};

use crate::config::Limits;
use client::{Call, Client};
use names::Names;

/// The longest list of keys: 10,000 keys of 65 bytes take 1.4 MB.
const LIST: usize = 8 * 1024 * 1024;
/// The longest of every other answer.
const SHORT: usize = 64 * 1024;

/// A function of the dev signer's extension, by the name under which `GET /ext/cryft/v1` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    SignSha256,
    SignDigest,
}

impl Extension {
    const fn name(self) -> &'static str {
        match self {
            Self::SignSha256 => "sign_sha256",
            Self::SignDigest => "sign_digest",
        }
    }
}

/// The signer.
pub struct Signer {
    client: Client,
    names: Names,
    status_time: Duration,
    cache_time: Duration,
    last_upcheck: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Signer {
    /// A signer that has not been contacted yet.
    pub fn new(url: SignerUrl, limits: &Limits) -> Self {
        Self {
            client: Client::new(url, limits.signer_connect),
            names: Names::default(),
            status_time: limits.signer_status,
            cache_time: limits.upcheck_cache,
            last_upcheck: Mutex::new(None),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &SignerUrl {
        self.client.url()
    }

    /// Closes connections that have been idle for long.
    pub(crate) fn close_idle(&self) {
        self.client.close_idle();
    }

    /// Whether it answers its upcheck; the error is for people. The outcome holds for a short while, so that many
    /// callers of status do not become as many upchecks.
    pub(crate) async fn upcheck(&self) -> Result<(), String> {
        let now = Instant::now();
        let cached = self.last_upcheck.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, outcome)) = cached
            && now.duration_since(at) < self.cache_time
        {
            return outcome;
        }
        let outcome =
            self.get("/upcheck", SHORT, now + self.status_time).await.map(drop).map_err(|error| match error {
                SignerError::Unavailable(cause) => format!("connect to Web3Signer: {cause}"),
                other => other.to_string(),
            });
        *self.last_upcheck.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Its BLS keys; `None` where it does not serve BLS keys at all.
    pub(crate) async fn bls_keys(&self, deadline: Instant) -> Result<Option<Vec<BlsPublicKey>>, SignerError> {
        self.list("/api/v1/eth2/publicKeys", deadline).await?.as_deref().map(answer::bls_keys).transpose()
    }

    /// Its secp256k1 keys; `None` where it does not serve them at all.
    pub(crate) async fn tls_keys(&self, deadline: Instant) -> Result<Option<Vec<TlsPublicKey>>, SignerError> {
        self.list("/api/v1/eth1/publicKeys", deadline).await?.as_deref().map(answer::tls_keys).transpose()
    }

    /// A stock Web3Signer serves either kind of key, not both: the list of the other kind is a 404.
    async fn list(&self, path: &str, deadline: Instant) -> Result<Option<Bytes>, SignerError> {
        match self.get(path, LIST, deadline).await {
            Ok(body) => Ok(Some(body)),
            Err(SignerError::Status(hyper::StatusCode::NOT_FOUND, _)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Until when a list of keys may take for an answer to status.
    pub(crate) fn status_deadline(&self) -> Instant {
        Instant::now() + self.status_time
    }

    /// Signs with a BLS key; `body` is the whole request to the signer.
    pub(crate) async fn sign_bls(
        &self,
        key: &BlsPublicKey,
        body: Bytes,
        deadline: Instant,
    ) -> Result<[u8; 96], SignerError> {
        let path = path("/api/v1/eth2/sign/", key, "");
        answer::signature(&self.post(&path, body, deadline).await?, "a BLS signature of 96 bytes")
    }

    /// The name of a secp256k1 key in any spelling.
    pub(crate) fn tls_key(&self, text: &str) -> Result<TlsKeyName, NotAKey> {
        self.names.find(text)
    }

    /// Signs Keccak-256 of `data` with a secp256k1 key: r‖s‖v.
    pub(crate) async fn sign_tls(
        &self,
        key: &TlsKeyName,
        data: &[u8],
        deadline: Instant,
    ) -> Result<[u8; 65], SignerError> {
        let path = format!("/api/v1/eth1/sign/{}", key.as_str());
        let body = self.post(&path, hex_body("data", data), deadline).await?;
        answer::signature(&body, "an ECDSA signature of 65 bytes")
    }

    /// Signs 32 bytes as they are: r‖s. Needs the extension.
    pub(crate) async fn sign_digest(
        &self,
        key: &TlsKeyName,
        digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<[u8; 64], SignerError> {
        self.sign_ext(Extension::SignDigest, key, "sign-digest", hex_body("digest", digest), deadline).await
    }

    /// Signs SHA-256 of `data`: r‖s. Needs the extension.
    pub(crate) async fn sign_sha256(
        &self,
        key: &TlsKeyName,
        data: &[u8],
        deadline: Instant,
    ) -> Result<[u8; 64], SignerError> {
        self.sign_ext(Extension::SignSha256, key, "sign-sha256", hex_body("data", data), deadline).await
    }

    async fn sign_ext(
        &self,
        extension: Extension,
        key: &TlsKeyName,
        verb: &str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<[u8; 64], SignerError> {
        let path = format!("/ext/cryft/v1/secp256k1/{}/{verb}", key.as_str());
        match self.post(&path, body, deadline).await {
            Ok(body) => answer::signature(&body, "an ECDSA signature of 64 bytes"),
            // The key may be what was not found, or the whole extension: only now is it worth a call to know.
            Err(SignerError::Status(status, text)) if status.is_client_error() => {
                match self.has(extension, deadline).await? {
                    true => Err(SignerError::Status(status, text)),
                    false => Err(SignerError::NoExtension(extension.name())),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a BLS key.
    pub(crate) async fn make_bls(&self, deadline: Instant) -> Result<Made<BlsPublicKey>, SignerError> {
        answer::made(&self.make("bls", deadline).await?, |text| BlsPublicKey::normalise(text).ok())
    }

    /// Makes a secp256k1 key.
    pub(crate) async fn make_tls(&self, deadline: Instant) -> Result<Made<TlsPublicKey>, SignerError> {
        answer::made(&self.make("secp256k1", deadline).await?, |text| TlsPublicKey::normalise(text).ok())
    }

    /// The user's extension of the key manager API. A stock Web3Signer has no such call (404, 405) or takes it for
    /// an import that lacks its keystores (400).
    async fn make(&self, kind: &'static str, deadline: Instant) -> Result<Bytes, SignerError> {
        let body = Bytes::from(format!("{{\"type\":\"{kind}\"}}"));
        match self.post("/eth/v1/keystores", body, deadline).await {
            Err(SignerError::Status(status, text)) if matches!(status.as_u16(), 400 | 404 | 405 | 501) => {
                tracing::warn!(status = status.as_u16(), text = %crate::log::Foreign(&text), "the signer makes no keys");
                Err(SignerError::NoExtension("POST /eth/v1/keystores {\"type\"}"))
            }
            other => other,
        }
    }

    /// The signature of a BLS key over itself, in the ciphersuite for that. Needs the extension.
    pub(crate) async fn proof_of_possession(
        &self,
        key: &BlsPublicKey,
        deadline: Instant,
    ) -> Result<[u8; 96], SignerError> {
        #[derive(Deserialize)]
        struct Answer {
            proof_of_possession: String,
        }
        const EXPECTED: &str = "a proof of possession of 96 bytes";

        let path = path("/ext/cryft/v1/bls/", key, "/proof-of-possession");
        let body = self.get(&path, SHORT, deadline).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| SignerError::Nonsense(EXPECTED))?;
        answer::signature(answer.proof_of_possession.as_bytes(), EXPECTED)
    }

    /// Whether the signer has an extension. Any error status says no.
    async fn has(&self, extension: Extension, deadline: Instant) -> Result<bool, SignerError> {
        #[derive(Deserialize)]
        struct Answer {
            functions: Vec<String>,
        }

        match self.get("/ext/cryft/v1", SHORT, deadline).await {
            Ok(body) => Ok(serde_json::from_slice::<Answer>(&body)
                .is_ok_and(|answer| answer.functions.iter().any(|name| name == extension.name()))),
            Err(SignerError::Status(..)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, path: &str, limit: usize, deadline: Instant) -> Result<Bytes, SignerError> {
        let call = Call { method: Method::GET, path, body: Bytes::new(), limit, deadline };
        Ok(self.client.call(call).await?.body)
    }

    async fn post(&self, path: &str, body: Bytes, deadline: Instant) -> Result<Bytes, SignerError> {
        let call = Call { method: Method::POST, path, body, limit: SHORT, deadline };
        Ok(self.client.call(call).await?.body)
    }
}

/// A path with a BLS key in it.
fn path(before: &str, key: &BlsPublicKey, after: &str) -> String {
    let key = key.as_bytes();
    let mut path = String::with_capacity(before.len() + 2 + 2 * key.len() + after.len());
    path.push_str(before);
    push_hex(&mut path, key);
    path.push_str(after);
    path
}

/// `{"<name>":"0x…"}`, written once into a buffer of the right size.
fn hex_body(name: &str, bytes: &[u8]) -> Bytes {
    let mut body = String::with_capacity(name.len() + 2 * bytes.len() + 9);
    body.push_str("{\"");
    body.push_str(name);
    body.push_str("\":\"");
    push_hex(&mut body, bytes);
    body.push_str("\"}");
    body.into()
}

/// Appends `0x` and the digits of `bytes`.
pub(crate) fn push_hex(to: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    to.push_str("0x");
    for byte in bytes {
        to.push(char::from(DIGITS[usize::from(byte >> 4)]));
        to.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
