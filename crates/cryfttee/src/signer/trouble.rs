//! Why a process of the signer is no use at the moment, in one line for people.

use std::io;

use contract::wire::{SignerProcess, SignerRole, SignerState};
use hyper::StatusCode;

use super::error::SignerError;
use super::url::SignerUrl;

/// How a process does not answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) state: SignerState,
    pub(super) why: String,
}

impl Trouble {
    /// What a failed call says of the process at `url`; `asked` is the call, as `GET /upcheck`.
    pub(super) fn of(error: &SignerError, asked: &str, url: &SignerUrl) -> Self {
        let (state, why) = match error {
            SignerError::Unresolved(_) => {
                (SignerState::Unresolved, format!("no address for the name {}", url.endpoint().0))
            }
            SignerError::Unavailable(cause) => match cause.kind() {
                io::ErrorKind::TimedOut => (SignerState::TimedOut, "timed out: no connection".to_owned()),
                io::ErrorKind::ConnectionReset => {
                    (SignerState::Nonsense, format!("the connection was closed before {asked} was sent"))
                }
                io::ErrorKind::ConnectionRefused => (SignerState::Refused, "connection refused".to_owned()),
                // No way there, not allowed to go there, …: as if nothing listened, with the system's own reason.
                _ => (SignerState::Refused, cause.to_string()),
            },
            SignerError::TimedOut => (SignerState::TimedOut, format!("timed out: no answer to {asked}")),
            SignerError::Status(status, text) => (SignerState::Rejects, rejection(*status, text, asked, url)),
            SignerError::BrokeOff(_) => {
                (SignerState::Nonsense, format!("the connection ended before {asked} was answered"))
            }
            SignerError::TooLong(limit) => {
                (SignerState::Nonsense, format!("the answer to {asked} is over {limit} bytes"))
            }
            SignerError::Nonsense(expected) => {
                (SignerState::Nonsense, format!("the answer to {asked} is not {expected}"))
            }
            SignerError::NoExtension(_) | SignerError::MakeKey(_) | SignerError::NotImported { .. } => {
                (SignerState::Nonsense, error.to_string())
            }
        };
        Self { state, why }
    }
}

fn rejection(status: StatusCode, text: &str, asked: &str, url: &SignerUrl) -> String {
    // With the reason: "406 Not Acceptable".
    let refused = format!("{status} to {asked}");
    if status == StatusCode::FORBIDDEN && text.contains("Host not authorized") {
        let host = url.endpoint().0;
        return format!("{refused}: Host not authorized; add the name to --http-host-allowlist of Web3Signer ({host})");
    }
    refused
}

/// A process that does not answer as its API says, with its address and the cause.
pub(crate) fn in_words(process: &SignerProcess) -> String {
    let name = match process.role {
        SignerRole::Eth2 => "Web3Signer eth2",
        SignerRole::Eth1 => "Web3Signer eth1",
        SignerRole::Both => "Web3Signer",
    };
    format!("{name} at {}: {}", process.url, process.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_state_and_its_cause() {
        let url: SignerUrl = "http://signer.example:9000".parse().expect("a URL");
        let io = |kind: io::ErrorKind| io::Error::from(kind);
        let status = |status, text: &str| SignerError::Status(status, text.to_owned());
        for (error, state, why) in [
            (
                SignerError::Unavailable(io(io::ErrorKind::ConnectionRefused)),
                SignerState::Refused,
                "connection refused",
            ),
            (SignerError::Unavailable(io(io::ErrorKind::TimedOut)), SignerState::TimedOut, "timed out: no connection"),
            (
                SignerError::Unresolved(io(io::ErrorKind::Other)),
                SignerState::Unresolved,
                "no address for the name signer.example",
            ),
            (SignerError::TimedOut, SignerState::TimedOut, "timed out: no answer to GET /upcheck"),
            (status(StatusCode::NOT_ACCEPTABLE, ""), SignerState::Rejects, "406 Not Acceptable to GET /upcheck"),
            (
                status(StatusCode::FORBIDDEN, r#"{"message":"Host not authorized."}"#),
                SignerState::Rejects,
                "403 Forbidden to GET /upcheck: Host not authorized; add the name to --http-host-allowlist of Web3Signer (signer.example)",
            ),
            (status(StatusCode::FORBIDDEN, "no"), SignerState::Rejects, "403 Forbidden to GET /upcheck"),
            (
                SignerError::BrokeOff(io(io::ErrorKind::UnexpectedEof)),
                SignerState::Nonsense,
                "the connection ended before GET /upcheck was answered",
            ),
        ] {
            assert_eq!(Trouble::of(&error, "GET /upcheck", &url), Trouble { state, why: why.to_owned() });
        }
    }
}
