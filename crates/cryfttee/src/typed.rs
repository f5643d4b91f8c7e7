//! Typed eth2 requests, held against Web3Signer's published API before they are sent.
//!
//! A stock Web3Signer answers 500 to a request that lacks a member, as it does when it is broken itself. Told apart here,
//! its 500 means that it is broken. What it takes beside its API passes too: types in lower case, integers as numbers,
//! members that it does not know. What needs the network's parameters (a slot before its fork, the length of a bit list)
//! and the signing root itself are for the signer to judge.
//!
//! A request is read once more for this, and nothing of it is kept: it goes on as it was written.

mod kinds;
mod shape;

use std::fmt;

use kinds::{Body, KINDS};

/// Why a request is none that the signer could sign: a member is missing, or is not what it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From the request on, with dots.
    path: String,
    /// `is missing`, `is not …`.
    is: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.is)
    }
}

/// Checks an object, which may carry its type or not, as a request of type `kind`. A type that is not in the table is for
/// the signer to judge: a stock one answers 400 to it, never 500, and a later one may have it.
///
/// # Errors
/// [`Fault`] for the first thing that is wrong.
pub(crate) fn check(kind: &str, body: &str) -> Result<(), Fault> {
    let known = KINDS.iter().find(|known| known.name.eq_ignore_ascii_case(kind));
    let Some(known) = known else { return Ok(()) };
    let members = match known.body {
        Body::Fixed(members) => members,
        Body::ByVersion(of) => of(body),
    };
    shape::check(members, body)
}

#[cfg(test)]
mod tests;
