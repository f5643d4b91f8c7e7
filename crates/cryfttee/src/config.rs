//! What the flags and the environment mean, parsed once.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use contract::keys::NotAKey;
use contract::{BlsPublicKey, Digest, TlsPublicKey, defaults, env};
use tracing::level_filters::LevelFilter;

use crate::access::{self, AccessError, AccessSettings, Principal};
use crate::cli::Cli;
use crate::signer::{BadUrl, SignerUrl};
use crate::tls::{TlsError, TlsFiles};

/// Where the sidecar listens when nothing was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// On a socket file.
    Uds {
        /// Where it stands.
        path: PathBuf,
    },
    /// On TCP, unencrypted.
    Http {
        /// `host:port`.
        address: String,
    },
    /// On TCP, with TLS, there and on every TCP socket that was handed over.
    Https {
        /// `host:port`.
        address: String,
        /// Certificate and key.
        files: TlsFiles,
    },
}

/// Who makes keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyGeneration {
    /// The signer, by the extension `POST /eth/v1/keystores {"type"}`.
    Signer,
    /// The sidecar makes BLS keys and the signer's key manager imports them.
    Import,
    /// Nobody.
    Off,
}

/// The keys this node is known by, where the verifier said so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpectedKeys {
    /// The BLS key.
    pub bls: Option<BlsPublicKey>,
    /// The TLS key.
    pub tls: Option<TlsPublicKey>,
}

/// How long things may take and how many there may be. Tests shorten them; nobody else has had a reason to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One request, from its head to its answer.
    pub request: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// An open connection without a request.
    pub idle: Duration,
    /// Requests in flight after SIGTERM.
    pub drain: Duration,
    /// Open connections of clients.
    pub api_connections: u32,
    /// Open connections on `control`, counted apart so that clients cannot keep the verifier out.
    pub control_connections: u32,
    /// To connect to the signer.
    pub signer_connect: Duration,
    /// For the signer's upcheck and its lists of keys, so that a status is answered while somebody still waits.
    pub signer_status: Duration,
    /// For how long the outcome of an upcheck holds.
    pub upcheck_cache: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: defaults::REQUEST_TIMEOUT,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(5),
            api_connections: 1024,
            control_connections: 64,
            signer_connect: Duration::from_secs(2),
            signer_status: Duration::from_secs(2),
            upcheck_cache: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// Takes no more clients at once than `open_files` allows: each may need a second connection, to the signer.
    pub fn fit_open_files(&mut self, open_files: u64) {
        /// Listeners, standard streams, epoll, a resolver at work.
        const OTHERS: u64 = 32;
        let rest = open_files.saturating_sub(OTHERS + 2 * u64::from(self.control_connections));
        let fit = u32::try_from(rest / 2).unwrap_or(u32::MAX);
        self.api_connections = self.api_connections.min(fit.max(1));
    }
}

/// The settings, in their final types.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen when nothing was handed over.
    pub transport: Transport,
    /// The address of the transports on TCP, whatever the transport is: its host is one that requests may name.
    pub http_addr: String,
    /// Who may do what on `api`.
    pub access: AccessSettings,
    /// The signer: its `eth2` process, and `eth1` where the next one is `None`.
    pub signer: SignerUrl,
    /// The signer's `eth1` process, where that is another one.
    pub signer_eth1: Option<SignerUrl>,
    /// Who makes keys.
    pub key_generation: KeyGeneration,
    /// The keys this node is known by.
    pub expected: ExpectedKeys,
    /// The digest that the verifier measured.
    pub verified_hash: Option<Digest>,
    /// How much is logged.
    pub log_level: LevelFilter,
    /// Times and counts.
    pub limits: Limits,
}

/// Which setting is wrong, and how.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The transport is none of the three.
    #[error("unknown transport {0:?}: expected one of {known}", known = defaults::TRANSPORTS.join(", "))]
    UnknownTransport(String),
    /// The transport `https` was asked for without a certificate or a key; the name is that of the variable.
    #[error("transport \"https\" needs {0}: the path of a PEM file")]
    NoTlsFile(&'static str),
    /// The certificate or the key for `https`.
    #[error("prepare TLS ({cert}, {key})", cert = env::TLS_CERT, key = env::TLS_KEY)]
    Tls(#[from] TlsError),
    /// A list of users or groups; the name is that of the variable.
    #[error("read {0}: expected names or ids, separated by commas")]
    List(&'static str),
    /// A name in such a list.
    #[error("read who may do what")]
    Access(#[from] AccessError),
    /// A setting that is on or off.
    #[error("read {0}: expected true or false, not {1:?}")]
    Bool(&'static str, String),
    /// A URL of the signer; the name is that of the variable.
    #[error("read the URL of Web3Signer ({0})")]
    SignerUrl(&'static str, #[source] BadUrl),
    /// The key generation is none of the three.
    #[error("unknown key generation {0:?}: expected one of {known}", known = defaults::KEY_GENERATIONS.join(", "))]
    KeyGeneration(String),
    /// The verified hash.
    #[error("read {}", env::VERIFIED_BINARY_HASH)]
    VerifiedHash(#[source] contract::digest::NotADigest),
    /// An expected key; the name is that of the variable.
    #[error("read {0}")]
    ExpectedKey(&'static str, #[source] NotAKey),
    /// The log level.
    #[error("unknown log level {0:?}: expected error, warn, info, debug or trace")]
    LogLevel(String),
}

impl Settings {
    /// Gives the flags their types. `verified_hash` is the value of [`env::VERIFIED_BINARY_HASH`]; an empty one
    /// counts as none, as the variable always has.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that is wrong.
    pub fn read(cli: &Cli, verified_hash: Option<&str>) -> Result<Self, ConfigError> {
        let expected = ExpectedKeys {
            bls: given(cli.expected_bls_pubkey.as_deref())
                .map(BlsPublicKey::normalise)
                .transpose()
                .map_err(|e| ConfigError::ExpectedKey(env::EXPECTED_BLS_PUBKEY, e))?,
            tls: given(cli.expected_tls_pubkey.as_deref())
                .map(TlsPublicKey::normalise)
                .transpose()
                .map_err(|e| ConfigError::ExpectedKey(env::EXPECTED_TLS_PUBKEY, e))?,
        };
        let signer = signer_url(&cli.web3signer_url, env::WEB3SIGNER_URL)?;
        let eth1 = given(cli.web3signer_eth1_url.as_deref());
        let eth1 = eth1.map(|url| signer_url(url, env::WEB3SIGNER_ETH1_URL)).transpose()?;
        Ok(Self {
            transport: transport(cli)?,
            http_addr: cli.http_addr.clone(),
            access: access(cli)?,
            // One process under two names is asked once.
            signer_eth1: eth1.filter(|url| *url != signer),
            signer,
            key_generation: key_generation(&cli.key_generation)?,
            expected,
            verified_hash: given(verified_hash).map(str::parse).transpose().map_err(ConfigError::VerifiedHash)?,
            log_level: log_level(&cli.log_level)?,
            limits: Limits::default(),
        })
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn signer_url(text: &str, variable: &'static str) -> Result<SignerUrl, ConfigError> {
    text.parse().map_err(|error| ConfigError::SignerUrl(variable, error))
}

fn transport(cli: &Cli) -> Result<Transport, ConfigError> {
    match cli.api_transport.as_str() {
        "uds" => Ok(Transport::Uds { path: cli.uds_path.clone() }),
        "http" => Ok(Transport::Http { address: cli.http_addr.clone() }),
        "https" => Ok(Transport::Https {
            address: cli.http_addr.clone(),
            files: TlsFiles {
                certificate: file(cli.tls_cert.as_deref(), env::TLS_CERT)?,
                key: file(cli.tls_key.as_deref(), env::TLS_KEY)?,
            },
        }),
        other => Err(ConfigError::UnknownTransport(other.to_owned())),
    }
}

fn file(path: Option<&OsStr>, variable: &'static str) -> Result<PathBuf, ConfigError> {
    path.filter(|path| !path.is_empty()).map(PathBuf::from).ok_or(ConfigError::NoTlsFile(variable))
}

fn access(cli: &Cli) -> Result<AccessSettings, ConfigError> {
    let list = |text: &str, variable| -> Result<Vec<Principal>, ConfigError> {
        access::principals(text).ok_or(ConfigError::List(variable))
    };
    Ok(AccessSettings {
        allow_users: list(&cli.allow_users, env::ALLOW_USERS)?,
        allow_groups: list(&cli.allow_groups, env::ALLOW_GROUPS)?,
        register_users: list(&cli.register_users, env::REGISTER_USERS)?,
        register_groups: list(&cli.register_groups, env::REGISTER_GROUPS)?,
        register_over_tcp: match cli.register_over_tcp.as_str() {
            "true" => true,
            "false" | "" => false,
            other => return Err(ConfigError::Bool(env::REGISTER_OVER_TCP, other.to_owned())),
        },
    })
}

fn key_generation(text: &str) -> Result<KeyGeneration, ConfigError> {
    match text {
        "signer" => Ok(KeyGeneration::Signer),
        "import" => Ok(KeyGeneration::Import),
        "off" => Ok(KeyGeneration::Off),
        other => Err(ConfigError::KeyGeneration(other.to_owned())),
    }
}

fn log_level(text: &str) -> Result<LevelFilter, ConfigError> {
    match text {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        other => Err(ConfigError::LogLevel(other.to_owned())),
    }
}

#[cfg(test)]
mod tests;
