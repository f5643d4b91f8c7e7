//! What can be concluded from a document, by whoever has it. A pure decision.

use std::time::Duration;

use contract::{Digest, NodeId};
use serde::Serialize;

use super::{Confinement, Document, Statement, tpm};
use crate::clock;

/// What the asker knows.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What was sent.
    pub nonce: String,
    /// The node that was asked.
    pub node_id: NodeId,
    /// What should run there, where that is known.
    pub digest: Option<Digest>,
    /// How old the answer may be.
    pub max_age: Duration,
    /// Seconds since 1970.
    pub now: u64,
    /// TPM2B_PUBLIC of the key of that host's TPM, where it is known.
    pub tpm_key: Option<Vec<u8>>,
    /// The value that its PCR has when that host was started, where that is not zero.
    pub tpm_baseline: Option<Digest>,
    /// Whether a document is refused that has no quote, or whose quote does not account for every launch.
    pub require_tpm: bool,
}

/// How one comparison came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It holds.
    Ok,
    /// It does not.
    Wrong,
    /// There was nothing to compare with.
    Unknown,
}

/// One comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// In words.
    pub detail: String,
}

/// By how much two clocks may differ.
const SKEW: u64 = 60;

/// Every comparison, in the order of what rests on what. `statement` is that of `document`.
pub fn judge(document: &Document, statement: &Statement, expected: &Expected) -> Vec<Check> {
    let mut checks = vec![
        node(statement, expected),
        signature(document, statement),
        nonce(statement, expected),
        age(statement, expected),
        digest(statement, expected),
        reference(statement),
        mappings(statement),
        confinement(&statement.sidecar.confinement),
    ];
    checks.extend(tpm::judge(&document.statement, statement, expected));
    checks
}

pub(super) fn check(name: &'static str, holds: bool, yes: String, no: String) -> Check {
    let (outcome, detail) = if holds { (Outcome::Ok, yes) } else { (Outcome::Wrong, no) };
    Check { name, outcome, detail }
}

fn node(statement: &Statement, expected: &Expected) -> Check {
    let of_key = NodeId::of(&statement.tls_pubkey);
    let holds = of_key == expected.node_id && statement.node_id == of_key;
    let no = format!("it is of {of_key}, not of {}", expected.node_id);
    check("node", holds, format!("the key in it is that of {of_key}"), no)
}

fn signature(document: &Document, statement: &Statement) -> Check {
    let verified = document.verify(&statement.tls_pubkey);
    let no = verified.err().map_or_else(String::new, |error| error.to_string());
    check("signature", verified.is_ok(), "by that key, over all that follows".to_owned(), no)
}

fn nonce(statement: &Statement, expected: &Expected) -> Check {
    let holds = statement.nonce.eq_ignore_ascii_case(&expected.nonce);
    let no = format!("it answers another question, {}", statement.nonce);
    check("nonce", holds, "it answers this question".to_owned(), no)
}

fn age(statement: &Statement, expected: &Expected) -> Check {
    let Expected { now, max_age, .. } = expected;
    let time = &statement.time;
    let Some(made) = clock::parse_utc(time) else {
        return check("age", false, String::new(), format!("{time} is no time"));
    };
    let old = now.saturating_sub(made);
    let holds = made <= now + SKEW && old <= max_age.as_secs();
    let no = if made > now + SKEW { "by a clock that is ahead of this one" } else { "too old" };
    check("age", holds, format!("made at {time}, {old} s ago"), format!("made at {time}: {no}"))
}

fn digest(statement: &Statement, expected: &Expected) -> Check {
    let (found, reported) = (statement.sidecar.digest, statement.sidecar.reported_digest);
    if found != reported {
        return check("digest", false, String::new(), format!("{found} runs, and calls itself {reported}"));
    }
    match expected.digest {
        Some(wanted) => check("digest", found == wanted, found.to_string(), format!("{found} runs, not {wanted}")),
        None => Check {
            name: "digest",
            outcome: Outcome::Unknown,
            detail: format!("{found}: compare it with the release, or give --digest"),
        },
    }
}

fn reference(statement: &Statement) -> Check {
    let by = &statement.reference.by;
    check("reference", statement.reference.accepted, format!("the host accepts it by {by}"), by.clone())
}

fn mappings(statement: &Statement) -> Check {
    let wrong = statement.sidecar.mappings.iter().find(|mapped| {
        let is_kernel = mapped.what == "kernel";
        mapped.writable || mapped.private_kib > 0 || (mapped.digest.is_none() && !is_kernel)
    });
    let has_image = statement.sidecar.mappings.iter().any(|m| m.digest == Some(statement.sidecar.digest));
    let no = wrong.map_or_else(
        || "the image is not among what it executes".to_owned(),
        |mapped| format!("it can execute what no file accounts for: {}", mapped.what),
    );
    let yes = format!("{} executable mappings, each unchanged", statement.sidecar.mappings.len());
    check("mappings", wrong.is_none() && has_image, yes, no)
}

fn confinement(found: &Confinement) -> Check {
    const NONE: &str = "0000000000000000";
    let wrong = [
        ("NoNewPrivs", &found.no_new_privs, "1"),
        ("TracerPid", &found.tracer_pid, "0"),
        ("CapEff", &found.cap_eff, NONE),
        ("CapAmb", &found.cap_amb, NONE),
    ]
    .into_iter()
    .find(|(_, found, wanted)| found.as_str() != *wanted);
    let no = wrong.map_or_else(String::new, |(name, found, wanted)| format!("{name} is {found}, not {wanted}"));
    let yes = format!("no capability, no debugger, nothing to gain; user {}", found.uid);
    check("confined", wrong.is_none(), yes, no)
}
