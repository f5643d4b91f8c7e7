//! Settings with their final types.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use contract::{BlsPublicKey, Digest, TlsPublicKey};
use figment::Figment;

use super::ConfigError;
use super::sidecar::SidecarSettings;
use super::values::Values;
use crate::appraise::TrustedKey;
use crate::identity::Chosen;
use crate::measure::PathCheck;
use crate::tpm;
use crate::watch::HealthSettings;

/// How clients reach the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A Unix stream socket, which systemd holds.
    Uds,
    /// Plain HTTP on a TCP address.
    Http,
    /// HTTP over TLS on a TCP address.
    Https,
}

impl Transport {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uds => "uds",
            Self::Http => "http",
            Self::Https => "https",
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
    /// Folders with files of digests of libraries.
    pub libraries_d: Vec<PathBuf>,
    /// The signed release manifest.
    pub manifest: Option<PathBuf>,
    /// Keys whose signatures count.
    pub keys: Vec<TrustedKey>,
    /// How many different ones must have signed.
    pub threshold: u32,
    /// The one release that may run; none means any that the manifest lists.
    pub version: Option<String>,
}

/// What is done about executable memory of the sidecar that nobody appraised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mappings {
    /// It is tampering.
    Enforce,
    /// It is told, once.
    Report,
    /// It is not looked for.
    Off,
}

/// What follows a finding in the running sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMismatch {
    /// Evidence is kept, the sidecar killed, the service locked.
    Kill,
    /// It is told.
    Alert,
}

/// What follows where journald does not take audit events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAuditFailure {
    /// They wait on disk, and nothing else does.
    Continue,
    /// No key is set up and no client admitted before journald has them.
    Hold,
}

/// Whether a TPM is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmMode {
    /// Where there is one.
    Auto,
    /// Always; without one nothing is launched.
    Required,
    /// Never.
    Off,
}

/// The TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is a key of config::keys::KEYS, which has the sentence")]
pub struct TpmSettings {
    pub mode: TpmMode,
    pub device: PathBuf,
    pub pcr: u8,
    pub log: PathBuf,
}

/// Whether a process of the signer that lists no key is asked to read its key files again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignerReload {
    /// Once a minute.
    WhenEmpty,
    /// An operator does it.
    Never,
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
    pub tls_ca: Option<PathBuf>,
    pub sidecar: SidecarSettings,
    pub request_timeout: Duration,
    pub startup_timeout: Duration,
    pub web3signer_url: String,
    pub signer_startup_timeout: Duration,
    pub signer_reload: SignerReload,
    pub handoff: Handoff,
    pub control_socket: PathBuf,
    pub image: ImageKind,
    pub check_path: PathCheck,
    pub user: Option<String>,
    pub stop_grace: Duration,
    pub trust: TrustSettings,
    pub identity_dir: PathBuf,
    pub identity_file: Option<PathBuf>,
    pub chosen_keys: Chosen,
    pub state_dir: PathBuf,
    pub on_audit_failure: OnAuditFailure,
    pub state_file: Option<PathBuf>,
    pub checkpoint_events: u64,
    pub tpm: TpmSettings,
    pub watch_interval: Duration,
    pub mappings: Mappings,
    pub health: HealthSettings,
    pub on_mismatch: OnMismatch,
    pub restart: RestartBudget,
}

/// Who reads the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// The verifier, or a command that looks at what it does.
    Verifier,
    /// A command that only asks a running sidecar.
    Client,
}

pub(super) fn validate(layers: &Figment, user: User) -> Result<Settings, ConfigError> {
    let values = Values(layers);
    let transport = values.transport("cryfttee.transport")?;
    let settings = Settings {
        signer: values.get("cryfttee.signer")?,
        binary: values.absolute("cryfttee.binary")?,
        transport,
        socket: values.absolute("cryfttee.socket")?,
        http_addr: values.parsed("cryfttee.http_addr", "an address and port like 127.0.0.1:8787")?,
        tls_ca: values.file("cryfttee.tls_ca")?,
        sidecar: SidecarSettings::read(&values, transport, user)?,
        request_timeout: values.time("cryfttee.request_timeout")?,
        startup_timeout: values.time("cryfttee.startup_timeout")?,
        web3signer_url: values.url("web3signer.url")?,
        signer_startup_timeout: values.time("web3signer.startup_timeout")?,
        signer_reload: values
            .word("web3signer.reload", &[("when-empty", SignerReload::WhenEmpty), ("never", SignerReload::Never)])?,
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
            libraries_d: values.get::<Vec<PathBuf>>("trust.libraries_d")?,
            manifest: values.optional("trust.manifest")?.map(PathBuf::from),
            keys: values.trusted_keys("trust.keys")?,
            threshold: values.get("trust.threshold")?,
            version: values.optional("trust.version")?,
        },
        identity_dir: values.absolute("identity.state_dir")?,
        identity_file: values.file("identity.file")?,
        chosen_keys: Chosen {
            bls: values.public_key(
                "identity.bls_pubkey",
                "a BLS public key: 96 hex digits",
                BlsPublicKey::normalise,
            )?,
            tls: values.public_key(
                "identity.tls_pubkey",
                "a secp256k1 public key: 66 hex digits, or 128 or 130 uncompressed",
                TlsPublicKey::normalise,
            )?,
        },
        state_dir: values.absolute("state_dir")?,
        on_audit_failure: values
            .word("audit.on_failure", &[("continue", OnAuditFailure::Continue), ("hold", OnAuditFailure::Hold)])?,
        state_file: values.file("state_file")?,
        checkpoint_events: values.get("audit.checkpoint_events")?,
        tpm: TpmSettings {
            mode: values
                .word("tpm.mode", &[("auto", TpmMode::Auto), ("required", TpmMode::Required), ("off", TpmMode::Off)])?,
            device: values.absolute("tpm.device")?,
            pcr: values.get("tpm.pcr")?,
            log: values.absolute("tpm.log")?,
        },
        watch_interval: values.time("watch.interval")?,
        mappings: values.word(
            "watch.mappings",
            &[("enforce", Mappings::Enforce), ("report", Mappings::Report), ("off", Mappings::Off)],
        )?,
        health: HealthSettings {
            interval: values.time("watch.health_interval")?,
            timeout: values.time("watch.health_timeout")?,
            failures: values.get("watch.health_failures")?,
        },
        on_mismatch: values.word("on_mismatch", &[("kill", OnMismatch::Kill), ("alert", OnMismatch::Alert)])?,
        restart: RestartBudget { max: values.get("watch.restart.max")?, within: values.time("watch.restart.within")? },
    };
    if settings.health.failures == 0 {
        return Err(values.wrong("watch.health_failures", "expected at least 1"));
    }
    if !tpm::PCRS.contains(&settings.tpm.pcr) {
        return Err(values.wrong(
            "tpm.pcr",
            "expected 8 to 15: 0 to 7 are the firmware's, and those above 15 can be reset while the host runs",
        ));
    }
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
    Ok(settings)
}
