//! The sidecar from outside: real sockets, a signer that follows a script, and the built program.

mod dialects;
mod faults;
mod limits;
mod support;
