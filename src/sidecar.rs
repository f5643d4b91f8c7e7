//! The one client of the sidecar's API, for the verifier and for the command line.
//!
//! One connection a request; sizes and times are bounded. How much an answer is worth depends on the way to the
//! sidecar:
//!
//! * [`Client::new`], the verifier's: every chunk that is read carries its sender's credentials, and one that is not
//!   from the child makes the answer a forgery.
//! * [`Client::unix`], for the public socket: whoever answers is taken for the sidecar. That a path below `/run` is the
//!   right socket is root's doing, who alone can put one there. `SO_PEERCRED` would add nothing: it names who called
//!   `listen()`, which is systemd. The credentials of the chunks say which process answered
//!   ([`Client::attestation_from`]), all of one answer has to come from one process, and whether that is the sidecar is
//!   for the caller to judge.
//! * [`Client::http`]: nothing is known of who answers, and what is said can be read and changed on the way.
//! * [`Client::https`]: who answers holds the key of a certificate that the CA signed for that address. Which process
//!   that is, nobody says.

mod error;
mod exchange;
mod stream;
pub(crate) mod tcp;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use contract::wire::{
    AdmitRequest, Attestation, Metrics, RegisterRequest, Registered, SignRequest, Signed, StakingStatus, path,
};
use contract::{BlsPublicKey, Bytes, TlsPublicKey};
use hyper::Method;
use hyper::header::HeaderValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::blocking;

pub use error::SidecarError;
use exchange::{Question, exchange};
use stream::From;
pub use stream::{Forged, Peer};
use tcp::Tcp;
pub use tls::{TlsError, TlsFault};

/// Calls one sidecar.
#[derive(Debug, Clone)]
pub struct Client {
    way: Way,
    timeout: Duration,
}

/// How the sidecar is reached.
#[derive(Debug, Clone)]
enum Way {
    Unix { socket: PathBuf, peer: Option<Peer> },
    Http(SocketAddr),
    Https(SocketAddr, tls::Trust),
}

/// Which processes of the signer were asked to read their key files again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SignerReloaded {
    /// Those that were: `eth2`, `eth1` or `both`.
    pub reloaded: Vec<String>,
    /// Why others were not.
    pub why: BTreeMap<String, String>,
}

/// What a BLS key is to sign.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Data<'a> {
    /// Bytes. They go as `0x` hex: base64 that happens to look like hex is read as hex.
    Bytes(Bytes),
    /// The typed body of a consensus duty, a JSON object, which goes on to the signer byte for byte.
    Typed(&'a RawValue),
}

/// Bytes in a BLS signature.
const BLS_SIGNATURE: usize = 96;
/// Bytes in a TLS signature over data: r, s and v.
const TLS_SIGNATURE: usize = 65;

impl Client {
    /// A client of a Unix socket that believes only `peer`.
    pub const fn new(socket: PathBuf, peer: Peer, timeout: Duration) -> Self {
        Self { way: Way::Unix { socket, peer: Some(peer) }, timeout }
    }

    /// A client of a Unix socket that takes whoever answers.
    pub const fn unix(socket: PathBuf, timeout: Duration) -> Self {
        Self { way: Way::Unix { socket, peer: None }, timeout }
    }

    /// A client of an address, in the clear.
    pub const fn http(address: SocketAddr, timeout: Duration) -> Self {
        Self { way: Way::Http(reachable(address)), timeout }
    }

    /// A client of an address under TLS. The certificate has to name the address, and one of the CAs in the PEM file
    /// `ca` has to have signed it.
    ///
    /// # Errors
    /// [`TlsError`]: without a `ca`, or where it cannot be used.
    pub fn https(address: SocketAddr, ca: Option<&Path>, timeout: Duration) -> Result<Self, TlsError> {
        let trust = tls::Trust::read(ca.ok_or(TlsError::NoCa)?)?;
        Ok(Self { way: Way::Https(reachable(address), trust), timeout })
    }

    /// The same with another time limit for one call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// `GET /v1/runtime/attestation?nonce=…`. The nonce is hex.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn attestation(&self, nonce: &str) -> Result<Attestation, SidecarError> {
        Ok(self.attestation_from(nonce).await?.0)
    }

    /// The same, and the process that answered, where the way to it says: on a Unix socket. Its pid is 0 where it is
    /// outside our pid namespace.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn attestation_from(&self, nonce: &str) -> Result<(Attestation, Option<Peer>), SidecarError> {
        self.call_from(Method::GET, format!("{}?nonce={nonce}", path::ATTESTATION), Vec::new()).await
    }

    /// `GET /v1/staking/status`.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn status(&self) -> Result<StakingStatus, SidecarError> {
        self.call(Method::GET, path::STATUS, Vec::new()).await
    }

    /// Has the signer make a BLS key.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn generate_bls(&self) -> Result<Registered<BlsPublicKey>, SidecarError> {
        self.post(path::BLS_REGISTER, &RegisterRequest::generate()).await
    }

    /// Has the signer make a TLS key.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn generate_tls(&self) -> Result<Registered<TlsPublicKey>, SidecarError> {
        self.post(path::TLS_REGISTER, &RegisterRequest::generate()).await
    }

    /// Asks whether the signer has this BLS key, and for the proof of its possession, which not every signer offers. The
    /// proof is handed on as it came: 96 bytes if it is one, and verified by whoever believes it.
    ///
    /// # Errors
    /// [`SidecarError`]; its code is `key_not_found` where the signer does not have the key.
    pub async fn verify_bls(&self, key: &BlsPublicKey) -> Result<Option<Bytes>, SidecarError> {
        Ok(self.verify(path::BLS_REGISTER, key).await?.proof_of_possession)
    }

    /// Asks whether the signer has this TLS key.
    ///
    /// # Errors
    /// As for [`Client::verify_bls`].
    pub async fn verify_tls(&self, key: &TlsPublicKey) -> Result<(), SidecarError> {
        self.verify(path::TLS_REGISTER, key).await.map(drop)
    }

    /// Has data signed with a BLS key: 96 bytes. `kind` is `ATTESTATION`, `BLOCK`, …; it may be empty where `data` is
    /// typed and says so itself.
    ///
    /// # Errors
    /// [`SidecarError`]; status 412 and code `slashing_protection` where the signer refuses to be slashed.
    pub async fn sign_bls(&self, key: &BlsPublicKey, data: Data<'_>, kind: &str) -> Result<Bytes, SidecarError> {
        self.sign(path::BLS_SIGN, &key.to_string(), data, kind, BLS_SIGNATURE).await
    }

    /// Has data signed with a TLS key: 65 bytes r, s, v over its Keccak-256.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn sign_tls(&self, key: &TlsPublicKey, data: Bytes) -> Result<Bytes, SidecarError> {
        self.sign(path::TLS_SIGN, &key.to_string(), Data::Bytes(data), "", TLS_SIGNATURE).await
    }

    /// What the sidecar counted of its clients' requests. It answers this on its private socket alone.
    ///
    /// # Errors
    /// [`SidecarError`]; status 404 from a sidecar that does not count.
    pub async fn metrics(&self) -> Result<Metrics, SidecarError> {
        self.call(Method::GET, path::METRICS, Vec::new()).await
    }

    /// Lets the sidecar accept on its public socket, and says which keys are the node's.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub async fn admit(&self, keys: &AdmitRequest) -> Result<(), SidecarError> {
        let body = serde_json::to_vec(keys).map_err(SidecarError::Encode)?.into();
        self.ask(Question { method: Method::POST, path: path::ADMIT.to_owned(), body }).await.map(drop)
    }

    /// Has the signer's processes that list no key read their key files again, and says which were asked.
    ///
    /// # Errors
    /// [`SidecarError`]; status 404 from a sidecar that does not do this.
    pub async fn reload_signer(&self) -> Result<SignerReloaded, SidecarError> {
        self.call(Method::POST, path::SIGNER_RELOAD, b"{}".to_vec()).await
    }

    async fn verify<K>(&self, path: &str, key: &K) -> Result<Registered<K>, SidecarError>
    where
        K: DeserializeOwned + PartialEq + std::fmt::Display + Send + 'static,
    {
        let found: Registered<K> = self.post(path, &RegisterRequest::verify(key.to_string())).await?;
        if found.pubkey == *key {
            return Ok(found);
        }
        Err(SidecarError::OtherKey { call: format!("POST {path}"), found: found.pubkey.to_string() })
    }

    async fn sign(
        &self,
        path: &str,
        key: &str,
        data: Data<'_>,
        kind: &str,
        expected: usize,
    ) -> Result<Bytes, SidecarError> {
        let Signed { signature } = self.post(path, &SignRequest::new(key, data, kind)).await?;
        let found = signature.0.len();
        if found == expected {
            return Ok(signature);
        }
        Err(SidecarError::SignatureLength { call: format!("POST {path}"), found, expected })
    }

    async fn post<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, SidecarError> {
        self.call(Method::POST, path, serde_json::to_vec(request).map_err(SidecarError::Encode)?).await
    }

    async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, SidecarError> {
        Ok(self.call_from(method, path.to_owned(), body).await?.0)
    }

    async fn call_from<T: DeserializeOwned + Send + 'static>(
        &self,
        method: Method,
        path: String,
        body: Vec<u8>,
    ) -> Result<(T, Option<Peer>), SidecarError> {
        let question = Question { method, path, body: body.into() };
        let call = question.name();
        let (answer, from) = self.ask(question).await?;
        let answer = parse(answer).await.map_err(|source| SidecarError::Shape { call, source })?;
        Ok((answer, from))
    }

    async fn ask(&self, question: Question) -> Result<(hyper::body::Bytes, Option<Peer>), SidecarError> {
        let call = question.name();
        match tokio::time::timeout(self.timeout, self.ask_without_limit(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(SidecarError::Timeout { call, within: self.timeout }),
        }
    }

    async fn ask_without_limit(&self, question: Question) -> Result<(hyper::body::Bytes, Option<Peer>), SidecarError> {
        let failed = |to: String| move |source| SidecarError::Connect { to, source };
        match &self.way {
            Way::Unix { socket, peer } => {
                let first = Arc::new(OnceLock::new());
                let from = peer.map_or_else(|| From::Whoever(Arc::clone(&first)), From::Only);
                let stream = stream::connect(socket, from).await.map_err(failed(socket.display().to_string()))?;
                let answer = exchange(stream, HeaderValue::from_static("localhost"), question).await?;
                Ok((answer, peer.or_else(|| first.get().copied())))
            }
            Way::Http(address) => {
                let stream = tcp::connect(*address).await.map_err(failed(address.to_string()))?;
                Ok((exchange(Tcp::new(stream), host(*address), question).await?, None))
            }
            Way::Https(address, trust) => {
                let stream = tcp::connect(*address).await.map_err(failed(address.to_string()))?;
                let stream = trust.connect(address.ip(), stream).await;
                let stream = stream.map_err(|source| SidecarError::Tls { to: address.to_string(), source })?;
                Ok((exchange(Tcp::new(stream), host(*address), question).await?, None))
            }
        }
    }
}

fn host(address: SocketAddr) -> HeaderValue {
    HeaderValue::from_str(&address.to_string()).expect("an address is plain text")
}

/// Where a sidecar that listens at `address` is to be found from here: on loopback, where it listens everywhere.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Reads an answer; a large one on a thread of its own. Each TLS key in it is looked up on the curve, and ten thousand of
/// them would hold up the one thread that serves signals and kills what was tampered with.
async fn parse<T: DeserializeOwned + Send + 'static>(answer: hyper::body::Bytes) -> Result<T, serde_json::Error> {
    const LARGE: usize = 16 * 1024;
    if answer.len() > LARGE {
        let shared = answer.clone();
        if let Ok(parsed) = blocking::run(move || serde_json::from_slice(&shared)).await {
            return parsed;
        }
    }
    serde_json::from_slice(&answer)
}
