//! The sidecar from outside: real sockets, a signer that follows a script, one that really signs, and the built
//! program.

mod devsigner;
mod dialects;
mod faults;
mod limits;
mod process;
mod support;
