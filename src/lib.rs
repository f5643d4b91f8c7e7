//! The verifier of the cryfttee signing sidecar.
//!
//! ```text
//! config → measure → appraise → launch → attest → identity → ready → watch
//!    └────────┴─────────┴─────────┴─────────┴─────────┴─────────┴───────┴──→ audit
//! ```
//!
//! Each arrow is a type: what was not measured cannot be appraised, what was not appraised cannot be
//! launched. [`run`](mod@run) tells the story; each stage is a module that knows nothing of the others' insides. The
//! words are those of RATS (RFC 9334): the sidecar is the *attester*, its digest a *measurement*, a pin a
//! *reference value*, the decision an *appraisal*, its answer *evidence*.

pub mod appraise;
pub mod attest;
pub mod audit;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnostics;
pub mod dropins;
pub mod durable;
pub mod evidence;
pub mod fault;
pub mod identity;
pub mod journald;
pub mod launch;
pub mod lifecycle;
pub mod lock;
pub mod measure;
pub mod notify;
pub mod run;
pub mod sidecar;
pub mod signed;
pub mod signer_report;
pub mod state;
pub mod sys;
pub mod text;
pub mod tpm;
pub mod watch;
