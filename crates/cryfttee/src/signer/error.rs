//! How a call to the signer fails, and what the API makes of it.

use std::io;

use hyper::StatusCode;

use crate::keystore::MakeKeyError;
use crate::problem::{Code, Problem};

/// Why the signer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// No connection: nothing was sent.
    #[error("connect to Web3Signer")]
    Unavailable(#[source] io::Error),
    /// The name of its host has no address: nothing was sent.
    #[error("find the address of Web3Signer")]
    Unresolved(#[source] io::Error),
    /// No answer in time. What was asked may have been done.
    #[error("wait for Web3Signer's answer: no answer in time")]
    TimedOut,
    /// The connection ended before the answer did. What was asked may have been done.
    #[error("read Web3Signer's answer: the connection ended first")]
    BrokeOff(#[source] io::Error),
    /// The answer is over the limit for its kind.
    #[error("read Web3Signer's answer: it is over {0} bytes")]
    TooLong(usize),
    /// The answer is not what the signer's API says; the text says what was expected.
    #[error("understand Web3Signer's answer: expected {0}")]
    Nonsense(&'static str),
    /// The signer said no; the text is the start of what it said, as it said it.
    #[error("Web3Signer answered {0}")]
    Status(StatusCode, String),
    /// This needs an extension that the signer does not have.
    #[error("Web3Signer has no extension {0}")]
    NoExtension(&'static str),
    /// No key could be made here; nothing was sent.
    #[error("make a BLS key")]
    MakeKey(#[from] MakeKeyError),
    /// The signer did not take the key that was made here; the text is what it said.
    #[error("import a key into Web3Signer: it answered {status}")]
    NotImported {
        /// `duplicate`, `error`, or something that its API does not know.
        status: String,
        /// Why, in its words.
        message: String,
    },
}

impl SignerError {
    /// Whether the signer does not find what was named: the key, in a call to sign.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND, _))
    }

    /// Whether the signer does not have the call at all.
    pub(super) fn is_no_such_call(&self) -> bool {
        matches!(self, Self::Status(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _))
    }
}

impl From<SignerError> for Problem {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::Unavailable(cause) => {
                Self::new(Code::SignerUnavailable, "Web3Signer cannot be reached").details(&cause.to_string())
            }
            SignerError::Unresolved(cause) => {
                Self::new(Code::SignerUnavailable, "the name of Web3Signer's host has no address")
                    .details(&cause.to_string())
            }
            SignerError::TimedOut => Self::new(Code::SignerTimeout, "Web3Signer did not answer in time")
                .details("the request was not sent a second time; it may have been carried out"),
            SignerError::BrokeOff(cause) => {
                Self::new(Code::SignerBrokeOff, "Web3Signer ended the connection before it had answered")
                    .details(&format!("{cause}; the request was not sent a second time; it may have been carried out"))
            }
            SignerError::TooLong(limit) => Self::new(Code::SignerNonsense, "Web3Signer's answer is too long")
                .details(&format!("over {limit} bytes")),
            SignerError::Nonsense(expected) => {
                Self::new(Code::SignerNonsense, "Web3Signer's answer was not understood")
                    .details(&format!("expected {expected}"))
            }
            SignerError::Status(status, text) => status_problem(status, &text),
            SignerError::NoExtension(name) => {
                Self::new(Code::NotSupportedBySigner, "this Web3Signer cannot do that").details(name)
            }
            SignerError::MakeKey(cause) => {
                Self::new(Code::Internal, "no key could be made").details(&cause.to_string())
            }
            SignerError::NotImported { status, message } => {
                let code = if status == "duplicate" { Code::KeyExists } else { Code::SignerError };
                Self::new(code, "Web3Signer did not import the new key").details(&format!("{status}: {message}"))
            }
        }
    }
}

fn status_problem(status: StatusCode, text: &str) -> Problem {
    let (code, error) = match status {
        StatusCode::BAD_REQUEST => (Code::SignerRefused, "Web3Signer refused the request as malformed"),
        StatusCode::NOT_FOUND => (Code::KeyNotFound, "Web3Signer has no such key"),
        StatusCode::CONFLICT => (Code::KeyExists, "Web3Signer has this key already"),
        StatusCode::PRECONDITION_FAILED => {
            (Code::SlashingProtection, "refused by the slashing protection of Web3Signer")
        }
        StatusCode::SERVICE_UNAVAILABLE => (Code::SignerUnavailable, "Web3Signer says that it is not available"),
        _ => (Code::SignerError, "Web3Signer failed"),
    };
    Problem::new(code, error).details(&format!("{}: {}", status.as_u16(), text.trim()))
}
