//! Web3Signer, as the sidecar calls it: one process for both kinds of key, or, as a stock one runs, `eth2` for BLS
//! keys and `eth1` for secp256k1 keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use contract::digits::push_hex;
use contract::keys::NotAKey;
use contract::{BlsPublicKey, TlsPublicKey};
use hyper::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

mod answer;
mod calls;
mod client;
mod error;
mod import;
mod link;
mod names;
mod reply;
mod url;

pub(crate) use answer::Made;
pub use error::SignerError;
pub(crate) use names::TlsKeyName;
pub use url::{BadUrl, SignerUrl};

use crate::config::{KeyGeneration, Limits};
use calls::{get, has, list, make, post, up};
use client::Client;
use names::Names;

/// The longest list of keys: 10,000 keys of 65 bytes take 1.4 MB.
const LIST: usize = 8 * 1024 * 1024;
/// The longest of every other answer.
const SHORT: usize = 64 * 1024;

/// A function of the dev signer's extension, by the name under which `GET /ext/cryft/v1` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    Generate,
    SignSha256,
    SignDigest,
}

impl Extension {
    const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::SignSha256 => "sign_sha256",
            Self::SignDigest => "sign_digest",
        }
    }
}

/// The signer.
pub struct Signer {
    eth2: Client,
    /// Where it is not the same process.
    eth1: Option<Client>,
    names: Names,
    status_time: Duration,
    cache_time: Duration,
    last_upcheck: Mutex<Option<(Instant, Result<(), String>)>>,
    makes_keys: AtomicBool,
}

impl Signer {
    /// A signer that has not been contacted yet; `eth1` where its secp256k1 keys are served elsewhere.
    pub fn new(eth2: SignerUrl, eth1: Option<SignerUrl>, limits: &Limits) -> Self {
        let client = |url| Client::new(url, limits.signer_connect);
        Self {
            eth2: client(eth2),
            eth1: eth1.map(client),
            names: Names::default(),
            status_time: limits.signer_status,
            cache_time: limits.upcheck_cache,
            last_upcheck: Mutex::new(None),
            makes_keys: AtomicBool::new(false),
        }
    }

    /// Where it is; with two processes, where `eth2` is.
    pub fn url(&self) -> &SignerUrl {
        self.eth2.url()
    }

    fn eth1(&self) -> &Client {
        self.eth1.as_ref().unwrap_or(&self.eth2)
    }

    /// Closes connections that have been idle for long.
    pub(crate) fn close_idle(&self) {
        self.eth2.close_idle();
        if let Some(eth1) = &self.eth1 {
            eth1.close_idle();
        }
    }

    /// Whether it answers its upcheck, each process its own; the error is for people. The outcome holds for a short
    /// while, so that many callers of status do not become as many upchecks.
    pub(crate) async fn upcheck(&self) -> Result<(), String> {
        let now = Instant::now();
        let cached = self.last_upcheck.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, outcome)) = cached
            && now.duration_since(at) < self.cache_time
        {
            return outcome;
        }
        let deadline = now + self.status_time;
        let outcome = match &self.eth1 {
            None => up(&self.eth2, "Web3Signer", deadline).await,
            // Both to the end, not the first failure alone: it is told which of the two is away.
            Some(eth1) => {
                match tokio::join!(up(&self.eth2, "Web3Signer eth2", deadline), up(eth1, "Web3Signer eth1", deadline)) {
                    (Ok(()), Ok(())) => Ok(()),
                    (Err(why), Ok(())) | (Ok(()), Err(why)) => Err(why),
                    (Err(eth2), Err(eth1)) => Err(format!("{eth2}; {eth1}")),
                }
            }
        };
        *self.last_upcheck.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Its BLS keys; `None` where it does not serve BLS keys at all.
    pub(crate) async fn bls_keys(&self, deadline: Instant) -> Result<Option<Vec<BlsPublicKey>>, SignerError> {
        answer::bls_keys(list(&self.eth2, "/api/v1/eth2/publicKeys", deadline).await?).await
    }

    /// Its secp256k1 keys; `None` where it does not serve them at all.
    pub(crate) async fn tls_keys(&self, deadline: Instant) -> Result<Option<Vec<TlsPublicKey>>, SignerError> {
        answer::tls_keys(list(self.eth1(), "/api/v1/eth1/publicKeys", deadline).await?).await
    }

    /// Until when a list of keys may take for an answer to status.
    pub(crate) fn status_deadline(&self) -> Instant {
        Instant::now() + self.status_time
    }

    /// Signs with a BLS key; `body` is the whole request to the signer.
    pub(crate) async fn sign_bls(
        &self,
        key: &BlsPublicKey,
        body: &[u8],
        deadline: Instant,
    ) -> Result<[u8; 96], SignerError> {
        let path = path("/api/v1/eth2/sign/", key, "");
        answer::signature(&post(&self.eth2, &path, body, deadline).await?, "a BLS signature of 96 bytes")
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
        let body = post(self.eth1(), &path, hex_body("data", data).as_bytes(), deadline).await?;
        answer::signature(&body, "an ECDSA signature of 65 bytes")
    }

    /// Signs 32 bytes as they are: r‖s. Needs the extension.
    pub(crate) async fn sign_digest(
        &self,
        key: &TlsKeyName,
        digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<[u8; 64], SignerError> {
        self.sign_ext(Extension::SignDigest, key, "sign-digest", hex_body("digest", digest).as_bytes(), deadline).await
    }

    /// Signs SHA-256 of `data`: r‖s. Needs the extension.
    pub(crate) async fn sign_sha256(
        &self,
        key: &TlsKeyName,
        data: &[u8],
        deadline: Instant,
    ) -> Result<[u8; 64], SignerError> {
        self.sign_ext(Extension::SignSha256, key, "sign-sha256", hex_body("data", data).as_bytes(), deadline).await
    }

    async fn sign_ext(
        &self,
        extension: Extension,
        key: &TlsKeyName,
        verb: &str,
        body: &[u8],
        deadline: Instant,
    ) -> Result<[u8; 64], SignerError> {
        let path = format!("/ext/cryft/v1/secp256k1/{}/{verb}", key.as_str());
        match post(self.eth1(), &path, body, deadline).await {
            Ok(body) => answer::signature(&body, "an ECDSA signature of 64 bytes"),
            // The key may be what was not found, or the whole extension: only now is it worth a call to know.
            Err(SignerError::Status(status, text)) if status.is_client_error() => {
                match has(self.eth1(), extension, deadline).await? {
                    true => Err(SignerError::Status(status, text)),
                    false => Err(SignerError::NoExtension(extension.name())),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it can do its part in making keys: list the extension that makes them, or, where keys are made here,
    /// serve the key manager. Once it has said yes it is not asked again. A signer that cannot be asked is a no: what
    /// is announced has to be true.
    pub(crate) async fn makes_keys(&self, who: KeyGeneration, deadline: Instant) -> bool {
        if who == KeyGeneration::Off {
            return false;
        }
        if self.makes_keys.load(Ordering::Relaxed) {
            return true;
        }
        let can = if who == KeyGeneration::Import {
            get(&self.eth2, import::PATH, LIST, deadline).await.is_ok()
        } else {
            let (bls, tls) = tokio::join!(has(&self.eth2, Extension::Generate, deadline), async {
                match &self.eth1 {
                    Some(eth1) => has(eth1, Extension::Generate, deadline).await,
                    None => Ok(true),
                }
            });
            matches!((bls, tls), (Ok(true), Ok(true)))
        };
        self.makes_keys.store(can, Ordering::Relaxed);
        can
    }

    /// Makes a BLS key here and has the signer import it; the proof of possession comes with it, because no stock
    /// signer makes one.
    pub(crate) async fn import_bls(&self, deadline: Instant) -> Result<(Made<BlsPublicKey>, [u8; 96]), SignerError> {
        import::bls(&self.eth2, deadline).await
    }

    /// Makes a BLS key.
    pub(crate) async fn make_bls(&self, deadline: Instant) -> Result<Made<BlsPublicKey>, SignerError> {
        answer::made(&make(&self.eth2, "bls", deadline).await?, |text| BlsPublicKey::normalise(text).ok())
    }

    /// Makes a secp256k1 key.
    pub(crate) async fn make_tls(&self, deadline: Instant) -> Result<Made<TlsPublicKey>, SignerError> {
        answer::made(&make(self.eth1(), "secp256k1", deadline).await?, |text| TlsPublicKey::normalise(text).ok())
    }

    /// The signature of a BLS key over itself, in the ciphersuite for that; `None` where the signer lacks the call, which
    /// is an extension. Whatever else goes wrong is an error: a proof that fails is not one that is not offered.
    pub(crate) async fn proof_of_possession(
        &self,
        key: &BlsPublicKey,
        deadline: Instant,
    ) -> Result<Option<[u8; 96]>, SignerError> {
        #[derive(Deserialize)]
        struct Answer {
            proof_of_possession: String,
        }
        const EXPECTED: &str = "a proof of possession of 96 bytes";

        let path = path("/ext/cryft/v1/bls/", key, "/proof-of-possession");
        let body = match get(&self.eth2, &path, SHORT, deadline).await {
            Err(SignerError::Status(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _)) => return Ok(None),
            answer => answer?,
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| SignerError::Nonsense(EXPECTED))?;
        answer::signature(answer.proof_of_possession.as_bytes(), EXPECTED).map(Some)
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
fn hex_body(name: &str, bytes: &[u8]) -> String {
    let mut body = String::with_capacity(name.len() + 2 * bytes.len() + 9);
    body.push_str("{\"");
    body.push_str(name);
    body.push_str("\":\"");
    push_hex(&mut body, bytes);
    body.push_str("\"}");
    body
}
