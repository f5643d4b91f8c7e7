//! What the API answers when it does not do what was asked.

use serde::{Deserialize, Serialize};

/// `{error, code, details}`: `code` is stable, the other two are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// One sentence.
    pub error: String,
    /// A stable word: `malformed`, `key_not_found`, …
    pub code: String,
    /// What a reader may need beside it; may be empty.
    #[serde(default)]
    pub details: String,
}
