//! The TPM's part of the evidence: what a quote of it is over, and what can be concluded from one.

use std::io;

use contract::{Bytes, Digest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::judge::{Check, Expected, Outcome, check};
use super::{GatherError, Statement, canonical};
use crate::config::{Settings, TpmMode};
use crate::tpm::{self, Key, Log, Tpm, UNTOUCHED, quote};

/// In front of the statement, in what the quote binds.
const KIND: &str = "cryftgo-tee/evidence-quote/v1\n";
/// The name of the TPM's part in the statement.
const PART: &str = "tpm";

/// What the TPM says, and what is needed to check it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/evidence.md says what each one is")]
pub struct Measured {
    pub pcr: u8,
    pub value: Digest,
    /// TPM2B_PUBLIC.
    pub key: Bytes,
    /// TPMS_ATTEST.
    pub quote: Bytes,
    /// TPMT_SIGNATURE.
    pub signature: Bytes,
    pub log: Log,
}

/// Whether the TPM has something to say.
pub enum Found {
    /// It has.
    Measured(Box<Measured>),
    /// It has not, for this reason.
    Nothing(String),
}

/// The SHA-256 that the quote binds: over the rest of the statement, so that nonce, digest and process are bound with it.
pub fn qualifying(statement: &serde_json::Value) -> Digest {
    let mut rest = statement.clone();
    if let Some(object) = rest.as_object_mut() {
        object.remove(PART);
    }
    Digest::new(Sha256::new().chain_update(KIND).chain_update(canonical(&rest)).finalize().into())
}

/// Has the TPM quote what the service extended, for a statement that is complete but for that.
///
/// # Errors
/// [`GatherError`]: where the service uses a TPM, evidence without it would be less than what was asked for.
pub fn measured(statement: &serde_json::Value, settings: &Settings) -> Result<Found, GatherError> {
    let used = &settings.tpm;
    let nothing = |why: &str| Ok(Found::Nothing(why.to_owned()));
    if used.mode == TpmMode::Off {
        return nothing("tpm.mode = \"off\"");
    }
    let read = || {
        let failed = |source| tpm::TpmError::Log { path: used.log.clone(), source };
        Log::read(&used.log, used.pcr).map_err(failed)
    };
    let log = match read()? {
        Some(log) => log,
        None if used.mode == TpmMode::Required => {
            let source = io::Error::other("it has nothing of this boot, and tpm.mode = \"required\"");
            return Err(tpm::TpmError::Log { path: used.log.clone(), source }.into());
        }
        None if used.device.exists() => {
            return nothing("there is one, and the service does not use it; cryftgo-tee doctor says why");
        }
        None => return nothing("there is none"),
    };
    // Three tries: a sidecar that is launched meanwhile extends the PCR between the two looks.
    let (mut log, mut tries) = (log, 3);
    loop {
        let mut tpm = Tpm::open(&used.device, tpm::AT_MOST_TO_QUOTE)?;
        let value = tpm.pcr(used.pcr)?;
        let quoted = tpm.quote(used.pcr, qualifying(statement))?;
        tries -= 1;
        let is_same = quote::Quote::read(&quoted.attest).is_ok_and(|quote| quote.is_of(used.pcr, value));
        if is_same || tries == 0 {
            // What was begun and not noted as done shows in the value.
            log.settle(value);
            let (key, quote, signature) = (Bytes(quoted.key), Bytes(quoted.attest), Bytes(quoted.signature));
            return Ok(Found::Measured(Box::new(Measured { pcr: used.pcr, value, key, quote, signature, log })));
        }
        log = read()?.unwrap_or(log);
    }
}

/// The comparisons of the TPM's part, one for each thing that can be wrong with it.
pub(super) fn judge(whole: &serde_json::Value, statement: &Statement, expected: &Expected) -> Vec<Check> {
    let Some(measured) = &statement.tpm else {
        let detail = "no TPM vouches for what was launched: there is no quote".to_owned();
        let outcome = if expected.require_tpm { Outcome::Wrong } else { Outcome::Unknown };
        return vec![Check { name: "tpm", outcome, detail }];
    };
    vec![
        key(measured, expected),
        quoted(measured, whole),
        pcr(measured),
        log(measured, expected),
        launched(measured, statement),
    ]
}

fn key(measured: &Measured, expected: &Expected) -> Check {
    const NAME: &str = "tpm-key";
    if let Err(error) = Key::read(&measured.key.0) {
        return check(NAME, false, String::new(), error.to_string());
    }
    match &expected.tpm_key {
        Some(key) => {
            let no = format!("it is {}, which is another TPM's or another key", measured.key);
            check(NAME, *key == measured.key.0, "it is the one that was given".to_owned(), no)
        }
        None => Check {
            name: NAME,
            outcome: Outcome::Unknown,
            detail: format!(
                "nobody says that it is a key of that host's TPM, or of any (no certificate of a TPM is looked at); \
                 compare it with what you noted of that host, or give --tpm-key: {}",
                measured.key
            ),
        },
    }
}

fn quoted(measured: &Measured, whole: &serde_json::Value) -> Check {
    let verified = Key::read(&measured.key.0).map_or(Err(quote::NotQuoted::Signature), |key| {
        quote::verify(&key, &measured.quote.0, &measured.signature.0, qualifying(whole))
    });
    let no = verified.as_ref().err().map_or_else(String::new, ToString::to_string);
    let yes = "by that key, over this very statement".to_owned();
    check("tpm-quote", verified.is_ok(), yes, no)
}

fn pcr(measured: &Measured) -> Check {
    const NAME: &str = "tpm-pcr";
    let Measured { pcr, value, .. } = measured;
    if !tpm::PCRS.contains(pcr) {
        let no = format!("PCR {pcr} is not one that stays until the host is reset: 8 to 15 are");
        return check(NAME, false, String::new(), no);
    }
    match quote::Quote::read(&measured.quote.0) {
        Ok(quote) => {
            let yes = format!("PCR {pcr} has {value}; reset {} of that host", quote.resets);
            check(NAME, quote.is_of(*pcr, *value), yes, format!("the quote is not of PCR {pcr} with {value}"))
        }
        Err(error) => check(NAME, false, String::new(), error.to_string()),
    }
}

/// Whether the value follows from the log; and from how far back.
fn log(measured: &Measured, expected: &Expected) -> Check {
    const NAME: &str = "tpm-log";
    let Measured { log, value, .. } = measured;
    let wrong = |no: &str| check(NAME, false, String::new(), no.to_owned());
    if log.pcr != measured.pcr {
        return wrong("it is of another PCR");
    }
    if log.entries.iter().any(|entry| entry.found.is_some()) {
        return wrong("something else than the service extended the PCR between two launches");
    }
    if log.replay() != *value {
        return wrong(
            "the value of the PCR does not follow from it: it was changed, or something else extended the PCR",
        );
    }
    let (count, baseline) = (log.entries.len(), log.baseline);
    let wanted = expected.tpm_baseline.unwrap_or(UNTOUCHED);
    if baseline == wanted && log.folded == 0 {
        let yes =
            format!("the value follows from the {count} launches since the host was started, and there were no others");
        return check(NAME, true, yes, String::new());
    }
    // Whoever wants to hide a launch begins the log after it.
    let detail = format!(
        "the value follows from the last {count} launches; what was extended before them, up to {baseline}, is not known"
    );
    let is_demanded = expected.require_tpm || expected.tpm_baseline.is_some();
    Check { name: NAME, outcome: if is_demanded { Outcome::Wrong } else { Outcome::Unknown }, detail }
}

fn launched(measured: &Measured, statement: &Statement) -> Check {
    let digest = statement.sidecar.digest;
    let last = measured.log.entries.last().filter(|last| last.done).map(|last| last.digest);
    let no = last.map_or_else(
        || "nothing was extended for certain".to_owned(),
        |last| format!("{last} was launched last, and {digest} runs"),
    );
    check("tpm-digest", last == Some(digest), "what runs was extended last, before it was executed".to_owned(), no)
}
