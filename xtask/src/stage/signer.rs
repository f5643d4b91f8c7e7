//! The dev signer in Web3Signer's place: a process for each kind of key, as a stock one has them.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::interrupt::{Interrupt, Interrupted};
use super::process::{Gifts, Process, ProcessError};

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);
/// What it says on stdout once it listens.
const ANNOUNCEMENT: &str = "listening on ";
/// The key file of the secp256k1 key: no API of a stock Web3Signer takes such a key, so it has to lie there.
const TLS_KEY_FILE: &str = "tls.yaml";

/// Both processes, over one directory of keys.
pub(crate) struct Signers {
    /// It has the BLS keys, and takes new ones by import.
    pub(crate) eth2: Signer,
    /// It has the secp256k1 key.
    pub(crate) eth1: Signer,
}

/// A running signer.
pub(crate) struct Signer {
    /// Where it listens.
    pub(crate) url: String,
    process: Process,
}

/// What a verifier is told of its signer.
#[derive(Clone)]
pub(crate) struct SignerSettings {
    pub(crate) url: String,
    /// `None`: one process serves both kinds of keys.
    pub(crate) eth1_url: Option<String>,
    pub(crate) key_generation: &'static str,
}

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerError {
    #[error("signer: {0}")]
    Process(#[from] ProcessError),
    #[error("make the dev signer's keys: {0}")]
    Keys(#[source] std::io::Error),
    #[error("the signer ended ({status}): {said}")]
    Ended { status: std::process::ExitStatus, said: String },
    #[error("the signer did not say where it listens within {} s", PATIENCE.as_secs())]
    Silent,
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Signers {
    /// Starts both on free ports of loopback, with `extensions` beyond stock, and waits until they say which.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        extensions: &[String],
        interrupt: &Interrupt,
    ) -> Result<Self, SignerError> {
        let keys = folder.join("signer-keys");
        std::fs::create_dir(&keys).map_err(SignerError::Keys)?;
        std::fs::write(keys.join(TLS_KEY_FILE), tls_key_file().map_err(SignerError::Keys)?)
            .map_err(SignerError::Keys)?;
        let start = |kind: &str, more: &[&str]| {
            let mut arguments: Vec<OsString> =
                ["--as", kind, "--listen", "127.0.0.1:0", "--keys"].map(OsString::from).into();
            arguments.push(keys.clone().into());
            arguments.extend(more.iter().map(OsString::from));
            if !extensions.is_empty() {
                arguments.extend(["--extensions".into(), extensions.join(",").into()]);
            }
            let log = folder.join(format!("signer-{kind}.log"));
            let process = Process::start(program, arguments, &[], Gifts::default(), log)?;
            Signer::announced(process, interrupt)
        };
        let eth2 = start("eth2", &["--key-manager-api-enabled", "true"])?;
        let eth1 = start("eth1", &[])?;
        Ok(Self { eth2, eth1 })
    }

    /// What a verifier is told of them.
    pub(crate) fn settings(&self) -> SignerSettings {
        SignerSettings {
            url: self.eth2.url.clone(),
            eth1_url: Some(self.eth1.url.clone()),
            // A stock Web3Signer makes no keys; it takes BLS keys that the sidecar makes.
            key_generation: "import",
        }
    }
}

impl Signer {
    /// Starts the bench's signer, which gives the same answer to everybody, in the dev signer's place.
    pub(crate) fn canned(folder: &Path, interrupt: &Interrupt) -> Result<Self, SignerError> {
        // Ourselves: the helper is this program, too.
        let program = Path::new("/proc/self/exe");
        let process = Process::start(program, ["canned-signer"], &[], Gifts::default(), folder.join("canned.log"))?;
        Self::announced(process, interrupt)
    }

    /// What a verifier is told of it: it has a key of either kind, and makes none.
    pub(crate) fn settings(&self) -> SignerSettings {
        SignerSettings { url: self.url.clone(), eth1_url: None, key_generation: "off" }
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn announced(mut process: Process, interrupt: &Interrupt) -> Result<Self, SignerError> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let announced = process.output();
            let url = announced.lines().find_map(|line| line.split_once(ANNOUNCEMENT).map(|(_, url)| url.trim()));
            // A line without its end may be half a line.
            if let Some(url) = url.filter(|_| announced.ends_with('\n')) {
                return Ok(Self { url: url.to_owned(), process });
            }
            if let Some(status) = process.ended()? {
                return Err(SignerError::Ended { status, said: process.last_line() });
            }
            interrupt.check()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(SignerError::Silent)
    }
}

/// A key file as Web3Signer reads it, with a new key: of 32 random bytes, all but one in 2^127 are one.
fn tls_key_file() -> std::io::Result<String> {
    let mut key = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    let key = contract::Bytes(key.to_vec());
    Ok(format!("type: file-raw\nkeyType: SECP256K1\nprivateKey: \"{key}\"\n"))
}
