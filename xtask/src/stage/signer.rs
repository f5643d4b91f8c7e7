//! The dev signer, in Web3Signer's place.

use std::path::Path;
use std::time::{Duration, Instant};

use super::interrupt::{Interrupt, Interrupted};
use super::process::{Gifts, Process, ProcessError};

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);
/// What it says on stdout once it listens.
const ANNOUNCEMENT: &str = "listening on ";

/// A running dev signer with keys of its own.
pub(crate) struct DevSigner {
    /// Where it listens.
    pub(crate) url: String,
    process: Process,
}

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerError {
    #[error("dev signer: {0}")]
    Process(#[from] ProcessError),
    #[error("make the dev signer's key folder: {0}")]
    Keys(#[source] std::io::Error),
    #[error("the dev signer ended ({status}): {said}")]
    Ended { status: std::process::ExitStatus, said: String },
    #[error("the dev signer did not say where it listens within {} s", PATIENCE.as_secs())]
    Silent,
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl DevSigner {
    /// Starts it on a free port of loopback and waits until it says which.
    pub(crate) fn start(program: &Path, folder: &Path, interrupt: &Interrupt) -> Result<Self, SignerError> {
        let keys = folder.join("signer-keys");
        std::fs::create_dir(&keys).map_err(SignerError::Keys)?;
        let arguments = ["--listen".as_ref(), "127.0.0.1:0".as_ref(), "--keys".as_ref(), keys.as_os_str()];
        let process = Process::start(program, arguments, &[], Gifts::default(), folder.join("signer.log"))?;
        Self::announced(process, interrupt)
    }

    /// Starts the bench's signer, which gives the same answer to everybody, in the dev signer's place.
    pub(crate) fn canned(folder: &Path, interrupt: &Interrupt) -> Result<Self, SignerError> {
        // Ourselves: the helper is this program, too.
        let program = Path::new("/proc/self/exe");
        let process = Process::start(program, ["canned-signer"], &[], Gifts::default(), folder.join("canned.log"))?;
        Self::announced(process, interrupt)
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
