//! What can go wrong with a call to the sidecar.

use std::time::Duration;

use contract::exit;
use contract::wire::ApiError;
use hyper::StatusCode;

use super::stream::Forged;
use super::tls::TlsFault;
use crate::fault::{Fault, Severity};

/// A call to the sidecar failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum SidecarError {
    #[error("connect to the sidecar at {to}")]
    Connect { to: String, source: std::io::Error },
    #[error("connect to the sidecar at {to}")]
    Tls { to: String, source: TlsFault },
    #[error("{call}: no answer within {within:?}")]
    Timeout { call: String, within: Duration },
    #[error("{call}: the answer was forged")]
    Forged { call: String, source: Forged },
    #[error("{call}")]
    Http { call: String, source: hyper::Error },
    #[error("{call}: read the answer")]
    Body { call: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{call}: the answer is larger than {limit} bytes", limit = super::exchange::MAX_ANSWER)]
    TooLarge { call: String },
    #[error("{call}: something stands behind the answer")]
    Behind { call: String },
    /// `said` is what the answer has in it, where it is the contract's error.
    #[error("{call}: answered {status}{}", detail(.said.as_ref()))]
    Refused { call: String, status: StatusCode, said: Option<ApiError> },
    #[error("{call}: the answer is not of the contract's shape")]
    Shape { call: String, source: serde_json::Error },
    #[error("{call}: the answer is about {found}, which was not asked for")]
    OtherKey { call: String, found: String },
    #[error("{call}: a signature of {found} bytes, expected {expected}")]
    SignatureLength { call: String, found: usize, expected: usize },
    #[error("encode the request")]
    Encode(#[source] serde_json::Error),
}

impl Fault for SidecarError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Forged { .. } => exit::INTEGRITY,
            Self::Encode(_) => exit::INTERNAL,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Http { .. }
            | Self::Body { .. }
            | Self::TooLarge { .. }
            | Self::Behind { .. }
            | Self::Refused { .. }
            | Self::Shape { .. }
            | Self::OtherKey { .. }
            | Self::SignatureLength { .. } => exit::UNAVAILABLE,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Forged { .. } => Severity::Tampering,
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Http { .. }
            | Self::Body { .. }
            | Self::TooLarge { .. }
            | Self::Behind { .. }
            | Self::Refused { .. }
            | Self::Shape { .. }
            | Self::OtherKey { .. }
            | Self::SignatureLength { .. }
            | Self::Encode(_) => Severity::Slip,
        }
    }
}

impl SidecarError {
    /// Whether the sidecar itself answered, and refused because of something behind it: it lives.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_server_error())
    }

    /// Whether it says something about who asks, and nothing about the sidecar.
    pub fn is_about_the_caller(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            Self::Refused { status, .. } => *status == StatusCode::FORBIDDEN,
            Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Forged { .. }
            | Self::Http { .. }
            | Self::Body { .. }
            | Self::TooLarge { .. }
            | Self::Behind { .. }
            | Self::Shape { .. }
            | Self::OtherKey { .. }
            | Self::SignatureLength { .. }
            | Self::Encode(_) => false,
        }
    }

    /// The contract's stable word for why the sidecar refused (`key_not_found`, `slashing_protection`, …), where it
    /// refused and said so.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { said: Some(said), .. } => Some(&said.code),
            _ => None,
        }
    }

    /// The HTTP status of a refusal.
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// What the sidecar says of its refusal, bounded: it is text from outside.
fn detail(said: Option<&ApiError>) -> String {
    const SHOWN: usize = 200;
    let Some(ApiError { error, code, details }) = said else { return String::new() };
    let text: String = format!("{error} [{code}] {details}").trim_end().chars().take(SHOWN).collect();
    format!(": {text}")
}
