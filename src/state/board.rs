//! The verifier's side: one state in memory, and the file that follows it.

use std::cell::{Cell, RefCell};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{Ended, FORMAT, FindingState, Moment, Process, Reading, State};
use crate::audit::Action;
use crate::lifecycle;
use crate::text::sanitise;
use crate::{clock, durable};

/// So many findings are shown, the last ones.
pub const FINDINGS: usize = 8;

/// Where the verifier says how the service is. That it cannot be said is told once, and is no reason for anything.
#[derive(Debug)]
pub struct Board {
    path: Option<PathBuf>,
    state: RefCell<State>,
    failing: Cell<bool>,
}

impl Board {
    /// A board for this process. What an earlier verifier of this boot found stays on it: a restart must not wipe a finding
    /// away that nobody has read yet.
    pub fn open(path: Option<&Path>) -> Self {
        let boot_id = clock::boot_id().unwrap_or_default();
        let earlier = path.and_then(|path| match super::read(path) {
            Ok(Reading::Found(state)) if state.boot_id == boot_id => Some(state),
            _ => None,
        });
        let (mut findings, findings_total) =
            earlier.map(|earlier| (earlier.findings, earlier.findings_total)).unwrap_or_default();
        findings.truncate(FINDINGS);
        let state = State {
            format: FORMAT,
            boot_id,
            verifier: Process::own(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Moment::now(),
            state: lifecycle::State::Idle,
            since: Moment::now(),
            sidecar: None,
            node: None,
            signer: None,
            check: None,
            restarts: 0,
            degraded: None,
            alert: None,
            disk: None,
            findings,
            findings_total,
            reload: None,
            requests: None,
            ended: None,
        };
        let board = Self { path: path.map(Path::to_owned), state: RefCell::new(state), failing: Cell::new(false) };
        board.write();
        board
    }

    /// Follows the lifecycle. A state that is as before is nothing new.
    pub fn follow(&self, state: lifecycle::State) {
        if self.state.borrow().state != state {
            self.change(|known| (known.state, known.since) = (state, Moment::now()));
        }
    }

    /// Takes in what changed, and shows it. Texts are to be clean already.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.borrow_mut());
        self.write();
    }

    /// Notes a finding.
    pub fn found(&self, what: &str, action: Action) {
        let finding =
            FindingState { at: clock::utc(clock::now()), what: sanitise(what), action: action.as_str().to_owned() };
        self.change(|state| {
            state.findings_total = state.findings_total.saturating_add(1);
            state.findings.push(finding);
            let excess = state.findings.len().saturating_sub(FINDINGS);
            state.findings.drain(..excess);
        });
    }

    /// The last word of a verifier that gave up.
    pub fn ended(&self, state: lifecycle::State, exit_code: u8, why: &str) {
        self.change(|known| {
            (known.state, known.since) = (state, Moment::now());
            known.ended = Some(Ended { exit_code, why: sanitise(why) });
        });
    }

    fn write(&self) {
        let Some(path) = &self.path else { return };
        match write(path, &self.state.borrow()) {
            Ok(()) => self.failing.set(false),
            Err(cause) => {
                if !self.failing.replace(true) {
                    tracing::warn!(%cause, "write {} (state_file)", path.display());
                }
            }
        }
    }
}

fn write(path: &Path, state: &State) -> io::Result<()> {
    let text = serde_json::to_vec(state).map_err(io::Error::other)?;
    match durable::show(path, &text) {
        // The first one of a boot.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
            durable::show(path, &text)
        }
        shown => shown,
    }
}
