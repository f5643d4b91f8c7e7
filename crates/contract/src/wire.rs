//! The JSON of the sidecar's HTTP API, one file per endpoint.
//!
//! Answers carry the names of the contract and, beside them, the camel-case names of cryfttee 0.4
//! ([`v04`]), so that clients of either dialect work. Unknown fields in a request are ignored.

pub mod admit;
pub mod attestation;
pub mod error;
pub mod metrics;
pub mod path;
pub mod register;
pub mod sign;
pub mod status;
pub mod v04;

pub use admit::AdmitRequest;
pub use attestation::Attestation;
pub use error::ApiError;
pub use metrics::Metrics;
pub use register::{RegisterRequest, Registered};
pub use sign::{SignRequest, Signed};
pub use status::{SignerHealth, SignerProcess, SignerRole, SignerState, StakingStatus};
