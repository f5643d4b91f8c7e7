//! `state.json`: how the service is, for any user to read. Public values only.
//!
//! The verifier writes it when something changes and after each check; it asks nobody and waits for nobody. Whoever reads
//! it must not take an old one for good news: [`State::stale`] says whether it can still be true.

mod board;
mod process;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::time::Duration;

use contract::wire::Metrics;
use contract::{BlsPublicKey, Digest, NodeId, TlsPublicKey};
use serde::{Deserialize, Serialize};

pub use board::{Board, FINDINGS};
pub use process::{Process, is_alive};

use crate::lifecycle;
use crate::{clock, durable};

/// The form of the file. A reader that knows another one says so.
pub const FORMAT: u32 = 1;

/// A file beyond this is not one that a verifier wrote.
const MAX: u64 = 64 * 1024;

/// What the verifier knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`FORMAT`].
    pub format: u32,
    /// The boot that this is of.
    pub boot_id: String,
    /// The verifier.
    pub verifier: Process,
    /// Its version.
    pub version: String,
    /// When the verifier began.
    pub started: Moment,
    /// Where its lifecycle is.
    pub state: lifecycle::State,
    /// Since when.
    pub since: Moment,
    /// The sidecar that serves, or served last.
    #[serde(default)]
    pub sidecar: Option<SidecarState>,
    /// Who the node is.
    #[serde(default)]
    pub node: Option<NodeState>,
    /// Web3Signer.
    #[serde(default)]
    pub signer: Option<SignerState>,
    /// The last full check of the running sidecar.
    #[serde(default)]
    pub check: Option<CheckState>,
    /// How often a sidecar was started again in this run of the verifier.
    pub restarts: u64,
    /// Why the signer cannot be used.
    #[serde(default)]
    pub degraded: Option<String>,
    /// A finding that the policy only tells.
    #[serde(default)]
    pub alert: Option<String>,
    /// What the next start would find on disk.
    #[serde(default)]
    pub disk: Option<DiskState>,
    /// The last findings, of this boot.
    #[serde(default)]
    pub findings: Vec<FindingState>,
    /// How many there were, in this boot.
    #[serde(default)]
    pub findings_total: u64,
    /// What the last reload came to.
    #[serde(default)]
    pub reload: Option<ReloadState>,
    /// What clients asked of this sidecar, by its own count.
    #[serde(default)]
    pub requests: Option<Metrics>,
    /// Why the verifier ended, where it did so by itself.
    #[serde(default)]
    pub ended: Option<Ended>,
}

/// A point in time, on both clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// RFC 3339, by the wall clock.
    pub at: String,
    /// Milliseconds since boot.
    pub boot_ms: u64,
}

/// The sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidecarState {
    /// Its process.
    pub pid: u32,
    /// Its version, in its own words.
    pub version: String,
    /// What was measured.
    pub digest: Digest,
    /// What accepted it; none where nothing was demanded.
    pub reference: Option<String>,
}

/// Who the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Names the node.
    pub node_id: NodeId,
    /// Signs for consensus.
    pub bls_pubkey: BlsPublicKey,
    /// secp256k1.
    pub tls_pubkey: TlsPublicKey,
}

/// Web3Signer, as the sidecar sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerState {
    /// Where it is, without user and password.
    pub url: String,
    /// Whether it can be used, by the last answer of the sidecar.
    pub reachable: bool,
    /// What is wrong with it, in one sentence: by process and URL, with the cause and the next step.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// A full check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckState {
    /// When it was done.
    #[serde(flatten)]
    pub done: Moment,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// How many this sidecar has passed.
    pub count: u64,
    /// How often there is to be one, in milliseconds.
    pub interval_ms: u64,
}

/// The file on disk and the reference values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskState {
    /// `verified`, `upgrade-staged`, `tamper-pending`, `withdrawn` or `unusable`.
    pub state: String,
    /// Of the file, where it is another one than the image that runs.
    pub digest: Option<Digest>,
    /// Why, or by what it would be accepted.
    pub why: Option<String>,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingState {
    /// When, by the wall clock.
    pub at: String,
    /// What was found.
    pub what: String,
    /// What was done about it: `kill`, `alert`, `report` or `restart`.
    pub action: String,
}

/// The outcome of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadState {
    /// When, by the wall clock.
    pub at: String,
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why nothing was.
    pub message: String,
}

/// The end of a verifier that gave up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Of the contract.
    pub exit_code: u8,
    /// Why, in one line.
    pub why: String,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { at: clock::utc(clock::now()), boot_ms: millis(clock::since_boot()) }
    }
}

/// What was found where a state should be.
#[derive(Debug)]
pub enum Reading {
    /// There is none.
    Absent,
    /// There is something, and it says nothing that can be believed.
    Damaged(String),
    /// Here it is. Boxed, because it is much larger than the rest.
    Found(Box<State>),
}

/// Reads the file. Bounded: whatever stands there, a reader neither hangs nor runs out of memory.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(path: &Path) -> io::Result<Reading> {
    let bytes = match durable::read(path, MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Reading::Absent),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(Reading::Damaged(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(parse(&bytes))
}

/// Which boot this is, in the word of the service where it left one in this boot: a container may show it another name of the
/// boot than it shows a command.
pub fn this_boot(file: Option<&Path>) -> String {
    let left = file.and_then(|file| match read(file) {
        Ok(Reading::Found(state)) if clock::is_of_this_boot(file, &state.boot_id) => Some(state.boot_id),
        _ => None,
    });
    left.or_else(|| clock::boot_id().ok()).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Reading {
    match serde_json::from_slice::<State>(bytes) {
        Ok(state) if state.format != FORMAT => {
            Reading::Damaged(format!("it is of format {}, and this program reads format {FORMAT}", state.format))
        }
        Ok(state) => Reading::Found(Box::new(state)),
        Err(error) => Reading::Damaged(error.to_string()),
    }
}

/// What a reader knows of the time, and of the process that wrote.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The file is of this boot.
    pub this_boot: bool,
    /// Milliseconds since it.
    pub boot_ms: u64,
    /// The verifier of the file is there.
    pub alive: bool,
}

impl Seen {
    /// Now, and about the verifier of this state, which stands in this file.
    pub fn about(state: &State, file: &Path) -> Self {
        let this_boot = clock::is_of_this_boot(file, &state.boot_id);
        Self { this_boot, boot_ms: millis(clock::since_boot()), alive: is_alive(&state.verifier) }
    }
}

/// How many intervals may pass without a check before nothing that was checked is believed any more.
const INTERVALS: u64 = 3;

impl State {
    /// Why this cannot be how the service is now. Pure.
    pub fn stale(&self, seen: &Seen) -> Option<String> {
        if !seen.this_boot {
            return Some(format!("it was written in an earlier boot, {}", self.since.at));
        }
        // What ended has nobody who could still write, and nothing that could still change.
        if self.state.is_end() {
            return None;
        }
        if !seen.alive {
            let pid = self.verifier.pid;
            return Some(format!("the verifier, pid {pid}, is gone, and did not say why: it was killed, or crashed"));
        }
        if !self.state.serves() {
            return None;
        }
        let (last, interval) = match &self.check {
            Some(check) => (check.done.boot_ms, check.interval_ms),
            // The first check follows READY at once.
            None => (self.since.boot_ms, millis(contract::defaults::WATCH_INTERVAL)),
        };
        let Some(age) = seen.boot_ms.checked_sub(last) else {
            return Some("its last check lies in the future".to_owned());
        };
        (age > interval.saturating_mul(INTERVALS))
            .then(|| format!("the last check is {} old, where there is one every {}", whole(age), whole(interval)))
    }

    /// Milliseconds since the last check.
    pub fn check_age(&self, seen: &Seen) -> Option<u64> {
        self.check.as_ref().map(|check| seen.boot_ms.saturating_sub(check.done.boot_ms))
    }
}

/// A time for people: `850 ms`, `12 s`, `3 min`, `5 h`, `2 d`.
pub fn whole(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis / 1_000),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        7_200_000..172_800_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
