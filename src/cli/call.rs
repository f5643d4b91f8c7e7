//! What the commands that ask a running sidecar have in common: the way to it, and what its refusals mean.

use std::io;
use std::path::PathBuf;

use contract::exit;
use contract::wire::ApiError;

use crate::appraise::ReferenceError;
use crate::config::{ConfigError, Settings, Transport};
use crate::fault::Fault as _;
use crate::identity::StoreError;
use crate::sidecar::{Client, SidecarError, TlsError};
use crate::text::one_line;

/// A command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The command line is not enough, or too much.
    #[error("{0}")]
    Usage(String),
    /// What was given to be worked on is no good.
    #[error("{0}")]
    Data(String),
    /// A file cannot be read.
    #[error("read {what}")]
    Read { what: String, source: io::Error },
    /// A file of the verifier's is damaged.
    #[error("{path} is damaged: {reason}", path = path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("read this node's keys")]
    Store(#[from] StoreError),
    #[error("configuration")]
    Config(#[from] ConfigError),
    #[error("the transport https")]
    Tls(#[from] TlsError),
    #[error("read reference values")]
    References(#[from] ReferenceError),
    #[error("start to call")]
    Runtime(#[source] io::Error),
    /// The sidecar was asked and did not do it; the text says what to do.
    #[error("{line}")]
    Sidecar { line: String, exit_code: u8 },
    /// There is not yet what was asked for.
    #[error("{0}")]
    NotThere(String),
}

impl CallError {
    /// Exit code of the contract.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Data(_) | Self::Damaged { .. } => exit::DATA,
            Self::Read { .. } => exit::IO,
            Self::Store(error) => error.exit_code(),
            Self::Config(_) => exit::CONFIG,
            Self::Tls(error) => error.exit_code(),
            Self::References(error) => error.exit_code(),
            Self::Runtime(_) => exit::OS,
            Self::Sidecar { exit_code, .. } => *exit_code,
            Self::NotThere(_) => exit::UNAVAILABLE,
        }
    }
}

impl From<SidecarError> for CallError {
    fn from(error: SidecarError) -> Self {
        Self::Sidecar { line: explain(&error), exit_code: error.exit_code() }
    }
}

/// A client of the sidecar that the settings lead to, as anybody may call it: over the public socket or address.
pub(super) fn client(settings: &Settings) -> Result<Client, TlsError> {
    let timeout = settings.request_timeout;
    match settings.transport {
        Transport::Uds => Ok(Client::unix(settings.socket.clone(), timeout)),
        Transport::Http => Ok(Client::http(settings.http_addr, timeout)),
        Transport::Https => Client::https(settings.http_addr, settings.tls_ca.as_deref(), timeout),
    }
}

/// Calls it, and waits for the answer.
pub(super) fn ask<T>(
    settings: &Settings,
    call: impl AsyncFnOnce(Client) -> Result<T, SidecarError>,
) -> Result<T, CallError> {
    let client = client(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CallError::Runtime)?;
    Ok(runtime.block_on(call(client))?)
}

/// One line with what can be done about it. Text of the sidecar's is in it: the printer sanitises.
fn explain(error: &SidecarError) -> String {
    let line = || one_line(error);
    match error {
        SidecarError::Connect { source, .. } => match source.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("{}; the mode of the socket says who may: ask for membership in its group", line())
            }
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                format!("{}; is it running? systemctl status cryftgo-tee", line())
            }
            _ => line(),
        },
        SidecarError::Refused { status, said: Some(said), .. } => match (status.as_u16(), said.code.as_str()) {
            (412, _) => format!("slashing protection: the signer refused, and nothing was signed: {}", words(said)),
            (403, "forbidden") => format!("not permitted: {}; cryfttee.allow_users says who may", words(said)),
            (404, "key_not_found") => {
                format!("the signer does not have this key: {}; cryftgo-tee status lists those it has", words(said))
            }
            (503, _) => format!("not available now: {}", words(said)),
            _ => line(),
        },
        _ => line(),
    }
}

fn words(said: &ApiError) -> String {
    let ApiError { error, details, .. } = said;
    if details.is_empty() { error.clone() } else { format!("{error} ({details})") }
}

/// JSON for a script, in ASCII: text that came from outside must not be able to steer a terminal that it is shown on.
pub(super) fn json(value: &serde_json::Value) -> String {
    use std::fmt::Write as _;
    let mut line = String::new();
    for character in value.to_string().chars() {
        // What is not ASCII, and DEL, stands within strings only, where the two spellings mean the same.
        if character.is_ascii() && character != '\x7f' {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_ascii_and_reads_back_the_same() {
        let value = serde_json::json!({ "text": "a\u{1b}[31m\u{202e}\u{9b}\u{7f}é😀\n" });
        let line = json(&value);
        assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).expect("JSON"), value);
    }
}
