//! The sidecar from outside: real sockets, a signer that follows a script, one that really signs, and the built
//! program.

mod access;
mod conformance;
mod crew;
mod devsigner;
mod dialects;
mod drain;
mod faults;
mod generation;
mod limits;
mod metrics;
mod possession;
mod process;
mod short;
mod support;
mod tls;
mod two_signers;
mod wiped;
