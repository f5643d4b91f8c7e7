//! What the flags and the environment mean, parsed once.

use std::path::PathBuf;
use std::time::Duration;

use contract::keys::NotAKey;
use contract::{BlsPublicKey, Digest, TlsPublicKey, defaults, env};
use tracing::level_filters::LevelFilter;

use crate::cli::Cli;
use crate::signer::{BadUrl, SignerUrl};

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
    /// The signer.
    pub signer: SignerUrl,
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
    /// The transport `https` was asked for.
    #[error("transport \"https\" is not in this version of cryfttee: use \"uds\", or \"http\" on a loopback address")]
    NoHttps,
    /// The URL of the signer.
    #[error("read the URL of Web3Signer ({})", env::WEB3SIGNER_URL)]
    SignerUrl(#[from] BadUrl),
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
        Ok(Self {
            transport: transport(cli)?,
            signer: cli.web3signer_url.parse::<SignerUrl>()?,
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

fn transport(cli: &Cli) -> Result<Transport, ConfigError> {
    match cli.api_transport.as_str() {
        "uds" => Ok(Transport::Uds { path: cli.uds_path.clone() }),
        "http" => Ok(Transport::Http { address: cli.http_addr.clone() }),
        "https" => Err(ConfigError::NoHttps),
        other => Err(ConfigError::UnknownTransport(other.to_owned())),
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
mod tests {
    use clap::Parser as _;

    use super::*;

    fn read(flags: &[&str], hash: Option<&str>) -> Result<Settings, ConfigError> {
        let cli = Cli::try_parse_from(std::iter::once(&"cryfttee").chain(flags)).expect("known flags");
        Settings::read(&cli, hash)
    }

    #[test]
    fn an_unknown_transport_is_an_error_that_names_the_three() {
        let error = read(&["--api-transport", "tcp"], None).expect_err("refused").to_string();
        assert!(["\"tcp\"", "uds", "http", "https"].iter().all(|word| error.contains(word)), "{error}");
    }

    #[test]
    fn there_are_never_more_clients_than_files_for_them() {
        for (open_files, clients) in [(0, 1), (1024, 432), (524_288, 1024), (u64::MAX, 1024)] {
            let mut limits = Limits::default();
            limits.fit_open_files(open_files);
            assert_eq!(limits.api_connections, clients, "{open_files}");
        }
    }

    #[test]
    fn https_is_refused_and_says_so() {
        assert!(matches!(read(&["--api-transport", "https"], None), Err(ConfigError::NoHttps)));
        assert!(matches!(read(&["--web3signer-url", "https://s"], None), Err(ConfigError::SignerUrl(BadUrl::NoHttps))));
    }

    #[test]
    fn a_malformed_verified_hash_is_refused_and_an_empty_one_is_none() {
        let good = format!("sha256:{}", "ab".repeat(32));
        assert!(read(&[], Some(&good)).expect("good").verified_hash.is_some());
        assert!(read(&[], Some("")).expect("none").verified_hash.is_none());
        for bad in ["sha256:", "ab", &good.to_uppercase()] {
            assert!(matches!(read(&[], Some(bad)), Err(ConfigError::VerifiedHash(_))), "{bad}");
        }
    }

    #[test]
    fn a_malformed_expected_key_is_refused_by_its_name() {
        let error = read(&["--expected-tls-pubkey", "0x02"], None).expect_err("refused").to_string();
        assert!(error.contains(env::EXPECTED_TLS_PUBKEY), "{error}");
    }
}
