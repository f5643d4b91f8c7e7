//! `cryfttee`, the signing sidecar.
//!
//! It holds no keys (with key generation `import` it makes one and hands it over at once). It listens on sockets that its verifier hands over (or on one of its own), says what it is,
//! and passes key management and signing on to Web3Signer.
//!
//! # Errors of the API
//! Every error is `{error, code, details}`. `code` is one of these words, for good; `error` and `details` are for
//! people and may change.
//!
//! | status | code | meaning |
//! | --- | --- | --- |
//! | 400 | `malformed` | the request cannot be understood |
//! | 400 | `signer_refused` | no signer could sign that: not sent, and `details` names the member; or refused by the signer |
//! | 400 | `not_supported_by_signer` | needs an extension that this signer lacks |
//! | 403 | `forbidden` | this client may not do that: see [`access`] |
//! | 403 | `key_generation_off` | this sidecar is configured to make no keys of this kind |
//! | 404 | `not_found` | no such path (`admit` on `api` included) |
//! | 404 | `key_not_found` | the signer has no such key |
//! | 405 | `method_not_allowed` | `Allow` names the method that the path has |
//! | 409 | `key_exists` | the signer has this key already |
//! | 412 | `slashing_protection` | the signer's slashing protection refused; passed through |
//! | 413 | `too_large` | the body is over 1 MiB |
//! | 415 | `unsupported_media_type` | the body is declared as something other than JSON |
//! | 500 | `internal` | the sidecar itself failed (no random bytes, say); nothing was sent to the signer |
//! | 502 | `signer_nonsense` | the signer's answer is not what its API says |
//! | 502 | `signer_error` | the signer answered that it failed, to a request that is right by its API |
//! | 502 | `signer_broke_off` | the signer closed the connection; what was asked may have been done |
//! | 503 | `signer_unavailable` | the signer cannot be reached, and nothing was sent; or it lacks the node's own key, or other keys |
//! | 503 | `not_admitted` | the verifier has not admitted clients yet |
//! | 504 | `timeout` | the request did not arrive in time |
//! | 504 | `signer_timeout` | the signer did not answer in time; what was asked may have been done |
//!
//! # Both dialects
//! Every answer carries the names of the contract and those of cryfttee 0.4 side by side. Requests are understood
//! in either. `{keyHandle, message}`, the 0.4 form of a BLS request, has no type and is signed as type `RAW`, by a signer that
//! signs bytes;
//! `{keyHandle, digest}`, its TLS form, is signed as it is (64 bytes r‖s), which needs the signer's extension.

use std::sync::Arc;

pub mod access;
mod aside;
mod body;
mod certificate;
pub mod cli;
mod client;
pub mod config;
mod counters;
mod crew;
mod evidence;
mod gate;
mod guard;
mod keystore;
pub mod listen;
pub mod log;
mod node_keys;
mod problem;
mod routes;
mod server;
mod signer;
mod sys;
mod tls;
mod together;
mod typed;

pub use evidence::{Evidence, HashSelf, VERSION};
pub use gate::Gate;
pub use problem::{Code, Problem};
pub use server::{ServeError, serve};
pub use signer::{BadUrl, Signer, SignerError, SignerUrl};
pub use tls::{TlsError, TlsFiles};

use access::{Access, Denials};
use config::{ConfigError, KeyGeneration, Limits, Settings, Transport};
use counters::Counters;
use node_keys::NodeKeys;
use routes::Missing;

/// What stands between clients and the API: the rules, with every name looked up, and TLS, with its files read.
pub struct Protection {
    access: Access,
    tls: Option<tokio_rustls::TlsAcceptor>,
    host: Arc<str>,
}

impl Protection {
    /// Looks up users and groups and reads the files of TLS. To be called after the inherited sockets were taken,
    /// since it opens files.
    ///
    /// # Errors
    /// [`ConfigError::Access`], [`ConfigError::Tls`].
    pub fn prepare(settings: &Settings) -> Result<Self, ConfigError> {
        let tls = match &settings.transport {
            Transport::Https { files, .. } => Some(tls::acceptor(files)?),
            Transport::Uds { .. } | Transport::Http { .. } => None,
        };
        let access = Access::resolve(&settings.access)?;
        Ok(Self { access, tls, host: guard::host_of(&settings.http_addr) })
    }
}

/// Everything that requests share.
pub struct Sidecar {
    protection: Protection,
    denials: Denials,
    evidence: Evidence,
    signer: Signer,
    gate: Gate,
    key_generation: KeyGeneration,
    node_keys: NodeKeys,
    missing: Missing,
    counters: Counters,
    limits: Limits,
}

impl Sidecar {
    /// A sidecar that has contacted nobody yet.
    pub fn new(settings: &Settings, evidence: Evidence, protection: Protection) -> Arc<Self> {
        Arc::new(Self {
            protection,
            denials: Denials::default(),
            evidence,
            signer: Signer::new(settings.signer.clone(), settings.signer_eth1.clone(), &settings.limits),
            gate: Gate::default(),
            key_generation: settings.key_generation,
            node_keys: NodeKeys::new(settings.expected),
            missing: Missing::default(),
            counters: Counters::default(),
            limits: settings.limits,
        })
    }

    pub(crate) fn protection(&self) -> &Protection {
        &self.protection
    }

    pub(crate) fn denials(&self) -> &Denials {
        &self.denials
    }

    pub(crate) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The gate between `control` and `api`.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn key_generation(&self) -> KeyGeneration {
        self.key_generation
    }

    pub(crate) fn node_keys(&self) -> &NodeKeys {
        &self.node_keys
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn missing(&self) -> &Missing {
        &self.missing
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }
}
