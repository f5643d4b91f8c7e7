//! Settings with their final types.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use contract::{Digest, defaults};
use figment::Figment;

use super::ConfigError;
use super::keys::{KEYS, Key};
use crate::appraise::TrustedKey;
use crate::measure::PathCheck;

/// How clients reach the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A Unix stream socket, which systemd holds.
    Uds,
    /// Plain HTTP on a TCP address.
    Http,
}

impl Transport {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uds => "uds",
            Self::Http => "http",
        }
    }
}

/// How the sidecar gets the public socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handoff {
    /// It inherits it and accepts only after it was admitted.
    Inherit,
    /// It inherits it and nothing else, for any sidecar that knows socket activation. Clients may be answered
    /// before the attestation.
    InheritPlain,
}

/// What is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// A sealed copy in memory: nobody can write to it any more.
    Sealed,
    /// The opened file: for kernels that forbid executable memfds.
    Fd,
}

/// When a reference value is demanded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Require {
    /// As soon as there is one.
    #[default]
    Auto,
    /// Always; without one nothing runs.
    Always,
    /// Never; a digest that no reference value names runs with a warning.
    Never,
}

/// Reference values and what they decide.
#[derive(Debug, Clone, Default)]
pub struct TrustSettings {
    /// When one is demanded.
    pub require: Require,
    /// Digests from the configuration.
    pub pins: Vec<Digest>,
    /// Folders with files of digests.
    pub pins_d: Vec<PathBuf>,
    /// The signed release manifest.
    pub manifest: Option<PathBuf>,
    /// Keys whose signatures count.
    pub keys: Vec<TrustedKey>,
    /// How many different ones must have signed.
    pub threshold: u32,
    /// The one release that may run; none means any that the manifest lists.
    pub version: Option<String>,
}

/// How many crashes are forgiven.
#[derive(Debug, Clone, Copy)]
pub struct RestartBudget {
    /// This many …
    pub max: u32,
    /// … in this time.
    pub within: Duration,
}

/// Everything the verifier was told.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each field is a key of config::keys::KEYS, which has the sentence")]
pub struct Settings {
    pub signer: bool,
    pub binary: PathBuf,
    pub transport: Transport,
    pub socket: PathBuf,
    pub http_addr: SocketAddr,
    pub request_timeout: Duration,
    pub startup_timeout: Duration,
    pub web3signer_url: String,
    pub handoff: Handoff,
    pub control_socket: PathBuf,
    pub image: ImageKind,
    pub check_path: PathCheck,
    pub user: Option<String>,
    pub stop_grace: Duration,
    pub trust: TrustSettings,
    pub identity_dir: PathBuf,
    pub state_dir: PathBuf,
    pub watch_interval: Duration,
    pub restart: RestartBudget,
}

pub(super) fn validate(layers: &Figment) -> Result<Settings, ConfigError> {
    let values = Values(layers);
    let tls_ca = values.text("cryfttee.tls_ca")?;
    let settings = Settings {
        signer: values.get("cryfttee.signer")?,
        binary: values.absolute("cryfttee.binary")?,
        transport: values.transport()?,
        socket: values.absolute("cryfttee.socket")?,
        http_addr: values.parsed("cryfttee.http_addr", "an address and port like 127.0.0.1:8787")?,
        request_timeout: values.time("cryfttee.request_timeout")?,
        startup_timeout: values.time("cryfttee.startup_timeout")?,
        web3signer_url: values.url("web3signer.url")?,
        handoff: values.word("handoff", &[("inherit", Handoff::Inherit), ("inherit-plain", Handoff::InheritPlain)])?,
        control_socket: values.absolute("control.socket")?,
        image: values.word("launch.image", &[("sealed", ImageKind::Sealed), ("fd", ImageKind::Fd)])?,
        check_path: if values.get("launch.check_path")? { PathCheck::Enforced } else { PathCheck::Off },
        user: values.optional("launch.user")?,
        stop_grace: values.time("launch.stop_grace")?,
        trust: TrustSettings {
            require: values.word(
                "trust.require",
                &[("auto", Require::Auto), ("always", Require::Always), ("never", Require::Never)],
            )?,
            pins: values.pins("trust.pins")?,
            pins_d: values.get::<Vec<PathBuf>>("trust.pins_d")?,
            manifest: values.optional("trust.manifest")?.map(PathBuf::from),
            keys: values.trusted_keys("trust.keys")?,
            threshold: values.get("trust.threshold")?,
            version: values.optional("trust.version")?,
        },
        identity_dir: values.absolute("identity.state_dir")?,
        state_dir: values.absolute("state_dir")?,
        watch_interval: values.time("watch.interval")?,
        restart: RestartBudget { max: values.get("watch.restart.max")?, within: values.time("watch.restart.within")? },
    };
    let trust = &settings.trust;
    // Each of these would look like protection and be none.
    if trust.manifest.is_some() && trust.keys.is_empty() {
        return Err(values.wrong("trust.manifest", "a manifest is worth its signatures: set trust.keys"));
    }
    if trust.threshold == 0 || (!trust.keys.is_empty() && trust.threshold as usize > trust.keys.len()) {
        return Err(values.wrong("trust.threshold", "expected at least 1, and no more than there are trust.keys"));
    }
    if trust.version.is_some() && trust.manifest.is_none() {
        return Err(values.wrong("trust.version", "a version is looked up in a manifest: set trust.manifest"));
    }
    if settings.handoff == Handoff::InheritPlain && settings.transport != Transport::Uds {
        let reason = "inherit-plain attests over the public socket, and only a Unix socket says who answered";
        return Err(values.wrong("handoff", reason));
    }
    // A CA is for https, which this version does not serve: silence would let its author believe in it.
    if !tls_ca.is_empty() {
        return Err(
            values.wrong("cryfttee.tls_ca", "is for the transport https, which this version does not serve yet")
        );
    }
    Ok(settings)
}

/// The merged layers, asked by key. Every error names the key and where its value stands.
struct Values<'a>(&'a Figment);

impl Values<'_> {
    fn key(&self, path: &str) -> &'static Key {
        KEYS.iter().find(|key| key.path == path).expect("validate asks only for keys of the table: tested")
    }

    fn wrong(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        let origin = self.0.find_metadata(path).map_or_else(|| "default".to_owned(), |found| found.name.to_string());
        ConfigError::Value { key: self.key(path).path, origin, reason: reason.into() }
    }

    fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ConfigError> {
        let key = self.key(path);
        self.0.extract_inner(key.path).map_err(|error| self.wrong(path, error.kind.to_string()))
    }

    fn text(&self, path: &str) -> Result<String, ConfigError> {
        self.get(path)
    }

    /// A text, or none where it is empty: so a stronger layer can take back what a weaker one set.
    fn optional(&self, path: &str) -> Result<Option<String>, ConfigError> {
        Ok(Some(self.text(path)?).filter(|text| !text.is_empty()))
    }

    fn word<T: Copy>(&self, path: &str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text(path)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(path, format!("expected one of {}, found {text:?}", known.join(", ")))
        })
    }

    fn transport(&self) -> Result<Transport, ConfigError> {
        let path = "cryfttee.transport";
        match self.text(path)?.as_str() {
            "uds" => Ok(Transport::Uds),
            "http" => Ok(Transport::Http),
            "https" => Err(self.wrong(path, "https is not served by this version yet; use uds or http")),
            other => {
                let known = defaults::TRANSPORTS.join(", ");
                Err(self.wrong(path, format!("unknown transport {other:?}; the transports are {known}")))
            }
        }
    }

    fn absolute(&self, path: &str) -> Result<PathBuf, ConfigError> {
        let found: PathBuf = self.get(path)?;
        if found.is_absolute() {
            Ok(found)
        } else {
            Err(self.wrong(path, format!("expected an absolute path, found {found:?}")))
        }
    }

    fn parsed<T: std::str::FromStr>(&self, path: &str, expected: &str) -> Result<T, ConfigError> {
        let text = self.text(path)?;
        text.parse().map_err(|_| self.wrong(path, format!("expected {expected}, found {text:?}")))
    }

    fn time(&self, path: &str) -> Result<Duration, ConfigError> {
        let text = self.text(path)?;
        let time = parse_time(&text).filter(|time| !time.is_zero());
        time.ok_or_else(|| self.wrong(path, format!("expected a time like 500ms, 10s, 5m or 1h, found {text:?}")))
    }

    fn url(&self, path: &str) -> Result<String, ConfigError> {
        let text = self.text(path)?;
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest) if !rest.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control()) => Ok(text),
            _ => Err(self.wrong(path, format!("expected a URL that starts with http:// or https://, found {text:?}"))),
        }
    }

    fn trusted_keys(&self, path: &str) -> Result<Vec<TrustedKey>, ConfigError> {
        let texts: Vec<String> = self.get(path)?;
        let read = |text: &String| {
            text.parse().map_err(|_| self.wrong(path, format!("{text:?} is not a minisign public key")))
        };
        texts.iter().map(read).collect()
    }

    fn pins(&self, path: &str) -> Result<Vec<Digest>, ConfigError> {
        let texts: Vec<String> = self.get(path)?;
        texts
            .iter()
            .map(|text| Digest::parse_lenient(text).map_err(|error| self.wrong(path, format!("{text:?} is {error}"))))
            .collect()
    }
}

/// A time as people write it: `500ms`, `10s`, `5m`, `1h`. None for anything else, and for more than a
/// thousand days, which is a slip of the pen and overflows clocks.
pub fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let total = number.checked_mul(milliseconds)?;
    (total <= 1_000 * 24 * 3_600_000).then(|| Duration::from_millis(total))
}
