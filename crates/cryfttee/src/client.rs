//! One client's connection: who it is, and what it may do.

use std::fmt::Display;

use hyper::Request;
use hyper::body::Incoming;

use crate::Sidecar;
use crate::access::{Rights, Who};
use crate::guard::Guard;
use crate::listen::Role;
use crate::log::Foreign;
use crate::problem::{Code, Problem};

/// A connection, as its requests see it.
pub(crate) struct Client {
    pub(crate) role: Role,
    who: Who,
    rights: Rights,
    /// On TCP: what a request has to look like so that no web page can have sent it.
    guard: Option<Guard>,
}

impl Client {
    pub(crate) fn new(role: Role, who: Who, rights: Rights, guard: Option<Guard>) -> Self {
        Self { role, who, rights, guard }
    }

    /// Whether it may ask anything at all.
    pub(crate) fn admit(&self, sidecar: &Sidecar, request: &Request<Incoming>) -> Result<(), Problem> {
        let denied = if let Some(why) = self.guard.as_ref().and_then(|guard| guard.objection(request)) {
            Problem::new(Code::Forbidden, "this request may come from a web page").details(why)
        } else if !self.rights.serve {
            Problem::new(Code::Forbidden, "this client may not use this sidecar").details(self.why_not())
        } else {
            return Ok(());
        };
        self.record(sidecar, format_args!("{} {}", request.method(), Foreign(request.uri().path())), &denied);
        Err(Problem { close: true, ..denied })
    }

    /// Whether no request of it can be refused for who sends it or for what it says of its sender.
    pub(crate) fn is_free(&self) -> bool {
        self.rights.serve && self.guard.is_none()
    }

    /// Whether it may have a key made.
    pub(crate) fn may_register(&self, sidecar: &Sidecar, kind: &str) -> Result<(), Problem> {
        if self.rights.register {
            return Ok(());
        }
        let denied = Problem::new(Code::Forbidden, "this client may not have keys made").details(match self.who {
            Who::Tcp(_) => "over TCP nobody may, unless CRYFTTEE_REGISTER_OVER_TCP=true",
            _ => "it is in none of CRYFTTEE_REGISTER_USERS and CRYFTTEE_REGISTER_GROUPS",
        });
        self.record(sidecar, format_args!("generate {kind}"), &denied);
        Err(denied)
    }

    fn why_not(&self) -> &'static str {
        match self.who {
            Who::Tcp(_) => "there are allow lists, and a client on TCP can be on none",
            _ => "it is in none of CRYFTTEE_ALLOW_USERS and CRYFTTEE_ALLOW_GROUPS",
        }
    }

    /// Counts every denial, and tells of no more than a journal bears.
    fn record(&self, sidecar: &Sidecar, asked: impl Display, denied: &Problem) {
        if let Some(untold) = sidecar.denials().count(self.who.uid(), std::time::Instant::now()) {
            tell_untold(untold);
            tracing::warn!(
                "denied on {}: {} asked for {asked}: {}: {}",
                self.role,
                self.who,
                denied.error,
                denied.details
            );
        }
    }
}

/// Says how many denials were not told, where there are any.
pub(crate) fn tell_untold(untold: u64) {
    if untold > 0 {
        tracing::warn!("{untold} more denials were not logged one by one");
    }
}
