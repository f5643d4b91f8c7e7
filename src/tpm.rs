//! A TPM 2.0: the digest of what is launched is extended into one of its PCRs, and the PCR is quoted for a remote party.
//!
//! Five commands are spoken, as the TCG's library specification has them, either with a character device of the kernel's
//! resource manager (`/dev/tpmrm0`) or with a Unix socket of a software TPM. What comes back is not trusted: it is read with
//! bounds, and a quote is worth what its verification says ([`quote`]).

mod command;
mod device;
mod extend;
mod key;
mod log;
pub mod quote;
mod wire;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contract::{Digest, exit};
use sha2::{Digest as _, Sha256};

pub use extend::{Extended, extend};
pub use key::{Key, NotAKey};
pub use log::{Entry, Log};

use crate::fault::{Fault, Severity};
use command::{Answer, Command, Handle};
use device::Device;

/// The PCRs that are the operating system's, and that nothing but a reset of the host sets back to zero.
pub const PCRS: std::ops::RangeInclusive<u8> = 8..=15;

/// How long all of one visit to the TPM may take.
pub const AT_MOST: Duration = Duration::from_secs(10);
/// The same where a key is made, which takes a slow TPM seconds.
pub const AT_MOST_TO_QUOTE: Duration = Duration::from_secs(30);

/// A TPM cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum TpmError {
    #[error("open the TPM {device}; root may, and the group that owns it", device = device.display())]
    Open { device: PathBuf, source: io::Error },
    #[error("{device} is neither a character device nor a socket", device = .0.display())]
    NoDevice(PathBuf),
    #[error("talk to the TPM")]
    Exchange(#[source] io::Error),
    #[error("the TPM does not answer {0} in time")]
    Late(&'static str),
    #[error("the TPM refuses {command}: {why}")]
    Refused { command: &'static str, why: String },
    #[error("what the TPM answers {0} is not what the specification has")]
    Malformed(&'static str),
    #[error("the TPM has no bank of PCRs for SHA-256")]
    NoBank,
    #[error("PCR {0} does not change where it is extended")]
    NotExtended(u8),
    #[error("keep the log of what was extended, {path}", path = path.display())]
    Log { path: PathBuf, source: io::Error },
    #[error("there is none at {device}, and tpm.mode = \"required\"", device = .0.display())]
    Absent(PathBuf),
    #[error("start a thread to talk to it on")]
    Thread(#[source] io::Error),
}

impl Fault for TpmError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Open { .. }
            | Self::NoDevice(_)
            | Self::Exchange(_)
            | Self::Late(_)
            | Self::Refused { .. }
            | Self::Malformed(_)
            | Self::NoBank
            | Self::NotExtended(_)
            | Self::Log { .. }
            | Self::Absent(_)
            | Self::Thread(_) => exit::IO,
        }
    }

    /// A TPM is a device that may fail; what it vouches for is for a relying party to judge.
    fn severity(&self) -> Severity {
        match self {
            Self::Open { .. }
            | Self::NoDevice(_)
            | Self::Exchange(_)
            | Self::Late(_)
            | Self::Refused { .. }
            | Self::Malformed(_)
            | Self::NoBank
            | Self::NotExtended(_)
            | Self::Log { .. }
            | Self::Absent(_)
            | Self::Thread(_) => Severity::Slip,
        }
    }
}

/// What a PCR has after an extend.
pub fn extended(value: Digest, digest: Digest) -> Digest {
    Digest::new(Sha256::new().chain_update(value.as_bytes()).chain_update(digest.as_bytes()).finalize().into())
}

/// The value of a PCR that nothing was extended into since the host was started.
pub const UNTOUCHED: Digest = Digest::new([0; 32]);

/// What a TPM says of a PCR, signed: the parts of it as the TPM marshals them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// TPM2B_PUBLIC of the key.
    pub key: Vec<u8>,
    /// TPMS_ATTEST, over which the signature is.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
}

/// A visit to a TPM.
#[derive(Debug)]
pub struct Tpm {
    device: Device,
    until: Instant,
}

impl Tpm {
    /// Opens the device, or connects to the socket. All that follows must be done within this time.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn open(path: &Path, within: Duration) -> Result<Self, TpmError> {
        let until = Instant::now() + within;
        Ok(Self { device: Device::open(path, until)?, until })
    }

    /// The value of a PCR, of the bank for SHA-256.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn pcr(&mut self, pcr: u8) -> Result<Digest, TpmError> {
        let answer = self.ask(&Command::PcrRead { pcr })?;
        answer.pcr(pcr)
    }

    /// Extends a PCR, in the bank for SHA-256.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn extend(&mut self, pcr: u8, digest: Digest) -> Result<(), TpmError> {
        self.ask(&Command::PcrExtend { pcr, digest })?.nothing()
    }

    /// Quotes a PCR with the one key, and binds `qualifying` to it.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn quote(&mut self, pcr: u8, qualifying: Digest) -> Result<Quoted, TpmError> {
        let (handle, key) = self.ask(&Command::CreatePrimary)?.created()?;
        let quoted = self.ask(&Command::Quote { handle, pcr, qualifying }).and_then(Answer::quoted);
        // Without a resource manager nobody else would take the key out again, and a TPM has room for three.
        let flushed = self.flush(handle);
        let (attest, signature) = quoted?;
        flushed?;
        Ok(Quoted { key, attest, signature })
    }

    fn flush(&mut self, handle: Handle) -> Result<(), TpmError> {
        self.ask(&Command::FlushContext { handle })?.nothing()
    }

    /// A TPM that is busy with itself asks to be asked again.
    fn ask(&mut self, command: &Command) -> Result<Answer, TpmError> {
        const AGAIN: Duration = Duration::from_millis(20);
        loop {
            let answer = self.device.exchange(&command.encode(), self.until).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => TpmError::Late(command.name()),
                _ => TpmError::Exchange(error),
            })?;
            let answer = Answer::read(command, answer)?;
            match answer.refusal() {
                None => return Ok(answer),
                Some(refusal) if refusal.may_pass() && Instant::now() + AGAIN < self.until => {
                    std::thread::sleep(AGAIN);
                }
                Some(refusal) => return Err(TpmError::Refused { command: command.name(), why: refusal.to_string() }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
