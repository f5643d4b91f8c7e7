//! Web3Signer, as the sidecar calls it: one process for both kinds of key, or, as a stock one runs, `eth2` for BLS
//! keys and `eth1` for secp256k1 keys.

use contract::digits::push_hex;
use contract::keys::NotAKey;
use contract::wire::SignerRole;
use contract::{BlsPublicKey, TlsPublicKey};
use serde::Deserialize;
use tokio::time::Instant;

mod answer;
mod calls;
mod client;
mod error;
mod extension;
mod health;
mod import;
mod link;
mod look;
mod names;
mod process;
mod reload;
mod reply;
mod route;
mod trouble;
mod url;

pub(crate) use answer::Made;
pub use error::SignerError;
pub(crate) use extension::Extension;
pub(crate) use health::Health;
pub(crate) use look::Look;
pub(crate) use names::TlsKeyName;
pub(crate) use process::Keys;
pub(crate) use reload::Reloads;
pub use url::{BadUrl, SignerUrl};

use crate::config::{KeyGeneration, Limits};
use calls::{functions, make, post_to};
use client::{Call, Client};
use names::Names;
use process::Process;
use route::Route;

/// The longest list of keys: 10,000 keys of 65 bytes take 1.4 MB.
const LIST: usize = 8 * 1024 * 1024;
/// The longest of every other answer.
const SHORT: usize = 64 * 1024;

/// The signer.
pub struct Signer {
    eth2: Process,
    /// If it is not the same process.
    eth1: Option<Process>,
    names: Names,
}

impl Signer {
    /// A signer that has not been contacted yet; `eth1` if its secp256k1 keys are served elsewhere.
    pub fn new(eth2: SignerUrl, eth1: Option<SignerUrl>, limits: &Limits) -> Self {
        let process = |url, role| Process::new(Client::new(url, limits.signer_connect), role, limits);
        Self {
            eth2: process(eth2, if eth1.is_some() { SignerRole::Eth2 } else { SignerRole::Both }),
            eth1: eth1.map(|url| process(url, SignerRole::Eth1)),
            names: Names::default(),
        }
    }

    /// Where it is; with two processes, where `eth2` is.
    pub fn url(&self) -> &SignerUrl {
        self.eth2.client.url()
    }

    fn eth1(&self) -> &Process {
        self.eth1.as_ref().unwrap_or(&self.eth2)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.eth2).chain(&self.eth1)
    }

    /// Closes connections that have been idle for long.
    pub(crate) fn close_idle(&self) {
        self.processes().for_each(|process| process.client.close_idle());
    }

    /// Looks at every process, all at once: that one is away must not hide what the other lists.
    pub(crate) async fn look(&self, who: KeyGeneration) -> Look {
        match &self.eth1 {
            None => Look::new(self.eth2.look(who).await, None, who),
            Some(eth1) => {
                let (eth2, eth1) = tokio::join!(self.eth2.look(who), eth1.look(who));
                Look::new(eth2, Some(eth1), who)
            }
        }
    }

    /// Has the processes that list no key read their key files again.
    pub(crate) async fn reload_empty(&self, deadline: Instant) -> Reloads {
        Reloads::of(self.processes(), deadline).await
    }

    /// What its `eth2` process says of itself: it alone knows of key files that failed.
    pub(crate) async fn health(&self, deadline: Instant) -> Result<Health, SignerError> {
        self.eth2.health(deadline).await
    }

    /// Its BLS keys; none if it does not serve BLS keys at all.
    pub(crate) async fn bls_keys(&self, deadline: Instant) -> Result<Keys<BlsPublicKey>, SignerError> {
        self.eth2.bls_keys(deadline).await
    }

    /// Its secp256k1 keys; none if it does not serve them at all.
    pub(crate) async fn tls_keys(&self, deadline: Instant) -> Result<Keys<TlsPublicKey>, SignerError> {
        self.eth1().tls_keys(deadline).await
    }

    /// Whether it signs bytes as they are with a BLS key, as last seen; if it was not looked at yet, it is asked.
    pub(crate) async fn signs_raw(&self, deadline: Instant) -> Result<bool, SignerError> {
        self.eth2.has(Extension::RawSigning, deadline).await
    }

    /// A request with bytes came back with an error: the next one asks first whether such requests are still signed.
    pub(crate) fn doubt_raw(&self) {
        self.eth2.forget();
    }

    /// Signs with a BLS key; `body` is the whole request to the signer.
    pub(crate) async fn sign_bls(
        &self,
        key: &BlsPublicKey,
        body: &[u8],
        deadline: Instant,
    ) -> Result<[u8; 96], SignerError> {
        let path = path(Route::Eth2Sign.path(), key, "");
        let body = post_to(&self.eth2.client, Route::Eth2Sign, &path, body, deadline).await?;
        answer::signature(&body, "a BLS signature of 96 bytes")
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
        let path = format!("{}{}", Route::Eth1Sign.path(), key.as_str());
        let body = hex_body("data", data);
        let body = post_to(&self.eth1().client, Route::Eth1Sign, &path, body.as_bytes(), deadline).await?;
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
        let client = &self.eth1().client;
        let path = format!("{}/secp256k1/{}/{verb}", Route::Extension.path(), key.as_str());
        match post_to(client, Route::Extension, &path, body, deadline).await {
            Ok(body) => answer::signature(&body, "an ECDSA signature of 64 bytes"),
            // The key may be what was not found, or the whole extension: only now is it worth a call to know.
            Err(SignerError::Status(status, text)) if status.is_client_error() => {
                match functions(client, deadline).await?.contains(extension) {
                    true => Err(SignerError::Status(status, text)),
                    false => Err(SignerError::NoExtension(extension.name())),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a BLS key here and has the signer import it; the proof of possession comes with it, because no stock
    /// signer makes one.
    pub(crate) async fn import_bls(&self, deadline: Instant) -> Result<(Made<BlsPublicKey>, [u8; 96]), SignerError> {
        import::bls(&self.eth2.client, deadline).await
    }

    /// Makes a BLS key.
    pub(crate) async fn make_bls(&self, deadline: Instant) -> Result<Made<BlsPublicKey>, SignerError> {
        answer::made(&make(&self.eth2.client, "bls", deadline).await?, |text| BlsPublicKey::normalise(text).ok())
    }

    /// Makes a secp256k1 key.
    pub(crate) async fn make_tls(&self, deadline: Instant) -> Result<Made<TlsPublicKey>, SignerError> {
        answer::made(&make(&self.eth1().client, "secp256k1", deadline).await?, |text| {
            TlsPublicKey::normalise(text).ok()
        })
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

        let route = Route::Extension;
        let path = path(&format!("{}/bls/", route.path()), key, "/proof-of-possession");
        let call = Call { method: "GET", route, path: &path, body: &[], limit: SHORT, deadline };
        let body = match self.eth2.client.call(call).await {
            Err(error) if error.is_no_such_call() => return Ok(None),
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
