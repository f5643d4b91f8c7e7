//! Every way in which the API says no.

use std::borrow::Cow;

use contract::wire::ApiError;
use hyper::StatusCode;

use crate::log::Foreign;

/// The stable codes of `{error, code, details}`; the crate's documentation has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 400: the request cannot be understood.
    Malformed,
    /// 400: the signer could not understand what was passed on to it.
    SignerRefused,
    /// 403: this client may not do that.
    Forbidden,
    /// 403: this sidecar is configured to make no keys of this kind.
    KeyGenerationOff,
    /// 404: no such path.
    NotFound,
    /// 404: the signer has no such key.
    KeyNotFound,
    /// 405: the path does not have this method; `Allow` names the one it has.
    MethodNotAllowed,
    /// 409: the signer has this key already.
    KeyExists,
    /// 412: the signer's slashing protection refused.
    SlashingProtection,
    /// 413: the body is over 1 MiB.
    TooLarge,
    /// 415: the body is not declared as JSON.
    UnsupportedMediaType,
    /// 500: the sidecar itself failed; nothing was sent to the signer.
    Internal,
    /// 502: the signer's answer is not what its API says.
    SignerNonsense,
    /// 502: the signer answered that it failed.
    SignerError,
    /// 502: the signer closed the connection after it may have read the request.
    SignerBrokeOff,
    /// 502: this needs an extension that the signer does not have.
    NotSupportedBySigner,
    /// 503: the signer cannot be reached.
    SignerUnavailable,
    /// 503: the verifier has not admitted clients yet.
    NotAdmitted,
    /// 504: the request did not arrive in time.
    Timeout,
    /// 504: the signer did not answer in time.
    SignerTimeout,
}

impl Code {
    /// Every code, in the order of their statuses.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::SignerRefused,
        Self::Forbidden,
        Self::KeyGenerationOff,
        Self::NotFound,
        Self::KeyNotFound,
        Self::MethodNotAllowed,
        Self::KeyExists,
        Self::SlashingProtection,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Internal,
        Self::SignerNonsense,
        Self::SignerError,
        Self::SignerBrokeOff,
        Self::NotSupportedBySigner,
        Self::SignerUnavailable,
        Self::NotAdmitted,
        Self::Timeout,
        Self::SignerTimeout,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::SignerRefused => "signer_refused",
            Self::Forbidden => "forbidden",
            Self::KeyGenerationOff => "key_generation_off",
            Self::NotFound => "not_found",
            Self::KeyNotFound => "key_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::KeyExists => "key_exists",
            Self::SlashingProtection => "slashing_protection",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Internal => "internal",
            Self::SignerNonsense => "signer_nonsense",
            Self::SignerError => "signer_error",
            Self::SignerBrokeOff => "signer_broke_off",
            Self::NotSupportedBySigner => "not_supported_by_signer",
            Self::SignerUnavailable => "signer_unavailable",
            Self::NotAdmitted => "not_admitted",
            Self::Timeout => "timeout",
            Self::SignerTimeout => "signer_timeout",
        }
    }

    /// The HTTP status it goes with.
    pub const fn status(self) -> StatusCode {
        match self {
            // That this signer cannot do it is known; 5xx would say that something is broken.
            Self::Malformed | Self::SignerRefused | Self::NotSupportedBySigner => StatusCode::BAD_REQUEST,
            Self::Forbidden | Self::KeyGenerationOff => StatusCode::FORBIDDEN,
            Self::NotFound | Self::KeyNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::KeyExists => StatusCode::CONFLICT,
            Self::SlashingProtection => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::SignerNonsense | Self::SignerError | Self::SignerBrokeOff => StatusCode::BAD_GATEWAY,
            Self::SignerUnavailable | Self::NotAdmitted => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout | Self::SignerTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which one.
    pub code: Code,
    /// One sentence, for people.
    pub error: Cow<'static, str>,
    /// What else there is to say; bounded, without control characters.
    pub details: String,
    /// With [`Code::MethodNotAllowed`]: the method that is allowed.
    pub allow: Option<&'static str>,
    /// The connection ends with this answer.
    pub close: bool,
}

impl Problem {
    pub(crate) fn new(code: Code, error: impl Into<Cow<'static, str>>) -> Self {
        Self { code, error: error.into(), details: String::new(), allow: None, close: false }
    }

    /// Adds a text that may come from anywhere.
    pub(crate) fn details(mut self, text: &str) -> Self {
        self.details = Foreign(text.trim()).to_string();
        self
    }

    pub(crate) fn malformed(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Malformed, error)
    }

    /// A key of the node that the signer has, but does not list or find at the moment: after a reload while its source was
    /// away, for example. 503, since it is nothing that the client could put right.
    pub(crate) fn node_key_missing() -> Self {
        Self::new(Code::SignerUnavailable, "the node's key is not listed by the signer at the moment")
            .details("once Web3Signer can read its key files again, POST /reload to it")
    }

    pub(crate) fn body(&self) -> ApiError {
        ApiError {
            error: self.error.clone().into_owned(),
            code: self.code.as_str().to_owned(),
            details: self.details.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_of_codes_is_the_table() {
        let documentation = include_str!("lib.rs");
        for code in Code::ALL {
            let row = format!("| {} | `{}` |", code.status().as_u16(), code.as_str());
            assert!(documentation.contains(&row), "{row}");
        }
    }
}
