//! The sidecar from outside: real sockets, a signer that follows a script, one that really signs, and the built
//! program.

mod accept;
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
mod node_keys;
mod possession;
mod process;
mod raw;
mod reload;
mod short;
mod stock;
mod support;
mod table;
mod tls;
mod two_signers;
mod typed;
mod wiped;
