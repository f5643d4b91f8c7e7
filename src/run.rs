//! The story: `start` takes a sidecar through the contract's steps, `guard` watches it, `reload` puts another one in its
//! place. What happens is an event of the lifecycle, and what systemd is told follows from that.

mod checkpoint;
mod denied;
mod error;
mod finding;
mod guard;
mod prove;
mod reload;
mod retry;
mod shown;
mod signals;
mod start;
mod status;
mod tpm;
mod wait;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use contract::Digest;

use crate::audit::{Audit, Event};
use crate::config::{ConfigError, Settings};
use crate::fault::Fault as _;
use crate::identity::{self, Publication, Store};
use crate::launch;
use crate::launch::sockets::{Inherited, Place, Sockets};
use crate::lifecycle::{Event as Life, Lifecycle, State};
use crate::lock::Lock;
use crate::notify::Notify;
use crate::state::Board;
use crate::sys::{self, RunAs};
use crate::text::one_line;
use crate::watch::{self, Evidence, RestartLog};
pub use error::Error;
use guard::Lost;
pub use reload::{ANSWER, Answer, ReloadError};
use signals::Signals;
use start::Attempt;
pub(crate) use wait::PATIENCE_OF_A_RELOAD;

/// The verifier gave up. `told` says that the journal has the reason already.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// Whether it needs no printing.
    pub told: bool,
}

/// Runs the sidecar until it is told to stop. `reread` reads the settings once more, for a reload.
///
/// # Errors
/// [`Failure`]; the sidecar is gone then.
pub async fn run(
    settings: Settings,
    reread: impl Fn() -> Result<Settings, ConfigError>,
    inherited: Inherited,
) -> Result<(), Failure> {
    let (audit, life, evidence) = (Audit::open(&settings.state_dir), Lifecycle::default(), RefCell::new(None));
    let state_dir = settings.state_dir.clone();
    let board = Board::open(settings.state_file.as_deref());
    match serve(settings, &reread, inherited, &audit, &life, &evidence, &board).await {
        Ok(()) => {
            board.follow(life.state());
            report(audit.close());
            Ok(())
        }
        Err(error) => {
            if error.is_tampering() {
                lock_down(&state_dir, &audit, &life, &error);
            }
            if let Some(evidence) = evidence.take() {
                finding::keep(&audit, &state_dir, evidence).await;
            }
            if error.waited_in_vain() {
                retry::leave_mark();
            }
            let locked = matches!(error, Error::Locked(_));
            let failure = refused(&audit, &life, error);
            let state = if locked { State::Locked } else { life.state() };
            board.ended(state, failure.error.exit_code(), &failure.error.one_line());
            Err(failure)
        }
    }
}

/// Records a refusal and gives it to whoever ends the process.
pub fn refused(audit: &Audit, life: &Lifecycle, error: Error) -> Failure {
    let (step, reason, exit_code) = (error.step(), error.one_line(), error.exit_code());
    // What the lock says stays in STATUS: it has what to do as well.
    if !life.state().is_end() {
        tell(life, Life::GaveUp, Some(&format!("Refused at step {step}: {reason}")));
    }
    audit.record(&Event::Refused { step, reason, exit_code });
    Failure { error, told: audit.is_journal() && audit.close().is_ok() }
}

fn report(closed: std::io::Result<()>) {
    if let Err(cause) = closed {
        tracing::error!(%cause, "deliver the last audit events");
    }
}

/// Sets the mark that keeps everything down until an operator looked. That it cannot be set is one more thing
/// to tell, and no reason to go on: the exit code alone keeps systemd from restarting.
fn lock_down(state_dir: &std::path::Path, audit: &Audit, life: &Lifecycle, error: &Error) {
    let reason = error.one_line();
    let set = || Lock::at(state_dir).set(error.step(), &reason);
    // Evidence of earlier findings is worth less than the mark.
    let status = match set().or_else(|_| watch::forget_oldest(state_dir).map_or_else(|_| set(), |()| set())) {
        Ok(()) => {
            audit.record(&Event::Locked { reason: reason.clone() });
            format!("Locked; when the cause is known: cryftgo-tee unlock --reason \"…\". {reason}")
        }
        Err(error) => {
            audit.record(&Event::LockFailed { reason: one_line(&error) });
            format!("Tampering was found, and the lock could not be set: {reason}")
        }
    };
    tell(life, Life::TamperingFound, Some(&status));
}

/// The last words of a life: what cannot be told any more is no reason for anything.
fn tell(life: &Lifecycle, event: Life, status: Option<&str>) {
    match life.on(event) {
        Ok(words) => drop(Notify.tell(words, status)),
        Err(error) => tracing::error!(%error, "end the service"),
    }
}

async fn serve(
    settings: Settings,
    reread: &dyn Fn() -> Result<Settings, ConfigError>,
    inherited: Inherited,
    audit: &Audit,
    life: &Lifecycle,
    evidence: &RefCell<Option<Evidence>>,
    board: &Board,
) -> Result<(), Error> {
    if !settings.signer {
        audit.record_step(1, &Event::SignerDisabled);
        Notify.tell(life.on(Life::SignerDisabled)?, Some("signer disabled"))?;
        return Ok(());
    }
    sys::own_descendants().map_err(Error::Signals)?;
    let mut signals = Signals::listen().map_err(Error::Signals)?;
    Lock::at(&settings.state_dir).check()?;
    let verifier = Verifier {
        audit,
        life,
        evidence,
        board,
        reread,
        first: Cell::new(None),
        run_as: launch::find_user(settings.user.as_deref())?,
        store: Store::open(&settings.identity_dir).map_err(identity::IdentityError::from)?,
        publication: Publication::open(settings.identity_file.as_deref()).map_err(identity::IdentityError::from)?,
        sockets: RefCell::new(Sockets::open(inherited, &settings)?),
        settings: RefCell::new(Rc::new(settings)),
        checkpoints: checkpoint::Checkpoints::default(),
        extended: Cell::new(None),
        tpm_told: Cell::new(false),
    };
    verifier.supervise(&mut signals).await
}

/// What lives as long as the verifier, across restarts and reloads of the sidecar.
struct Verifier<'a> {
    audit: &'a Audit,
    life: &'a Lifecycle,
    /// Of the finding that ends the service.
    evidence: &'a RefCell<Option<Evidence>>,
    board: &'a Board,
    reread: &'a dyn Fn() -> Result<Settings, ConfigError>,
    settings: RefCell<Rc<Settings>>,
    /// The digest that was accepted last in this run.
    first: Cell<Option<Digest>>,
    run_as: Option<RunAs>,
    store: Store,
    publication: Publication,
    sockets: RefCell<Sockets>,
    checkpoints: checkpoint::Checkpoints,
    /// The digest that went into the TPM last in this run.
    extended: Cell<Option<Digest>>,
    /// That the TPM fails is said once.
    tpm_told: Cell<bool>,
}

impl Verifier<'_> {
    /// Keeps one good sidecar running: a crash is answered with a restart, anything else ends it.
    async fn supervise(&self, signals: &mut Signals) -> Result<(), Error> {
        let mut crashes = RestartLog::new(self.settings().restart);
        let mut was_ready = false;
        loop {
            let (settings, attempt) = (self.settings(), Attempt { life: self.life, place: Place::First });
            let started = tokio::select! {
                started = self.start(&settings, attempt) => started,
                // The sidecar of a start that is given up dies with it.
                () = signals.stop().asked() => return self.stopped("a start that was given up"),
            };
            crashes.change(self.settings().restart);
            let (crash, restart) = match started {
                Ok(sidecar) => {
                    was_ready = true;
                    let Some(Lost(crash)) = self.guard(sidecar, signals).await? else { return Ok(()) };
                    crashes.change(self.settings().restart);
                    let restart = crashes.crashed(Instant::now(), &crash)?;
                    (crash, restart)
                }
                // The sidecar did not crash: it waited for its signer, as a start of the service does, for ever.
                Err(error) if was_ready && error.waited_in_vain() => (error.one_line(), crashes.waited()),
                // Clients wait in the queue of a service that worked: what may pass is tried again.
                Err(error) if was_ready && error.may_pass() => {
                    let crash = error.one_line();
                    let restart = crashes.crashed(Instant::now(), &crash)?;
                    (crash, restart)
                }
                Err(error) => return Err(error),
            };
            self.audit.record(&Event::Restarting { attempt: restart.attempt, after: restart.after });
            self.board.change(|state| {
                (state.restarts, state.sidecar, state.check, state.requests) = (state.restarts + 1, None, None, None)
            });
            let status = format!("Starting the sidecar again, attempt {}: {crash}", restart.attempt);
            self.happened(Life::SidecarLost, &status)?;
            tokio::select! {
                () = tokio::time::sleep(restart.after) => {}
                () = signals.stop().asked() => return self.stopped("no sidecar running"),
            }
        }
    }

    /// Takes an event of the lifecycle, and tells systemd what follows from it.
    fn happened(&self, event: Life, status: &str) -> Result<(), Error> {
        let words = self.life.on(event)?;
        self.board.follow(self.life.state());
        Ok(Notify.tell(words, Some(status))?)
    }

    fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    fn sidecar_uid(&self) -> u32 {
        self.run_as.map_or_else(|| nix::unistd::geteuid().as_raw(), |run_as| run_as.uid)
    }

    fn stopped(&self, how: &str) -> Result<(), Error> {
        self.happened(Life::StopAsked, "Stopping")?;
        self.audit.record(&Event::Stopped { how: how.to_owned() });
        self.happened(Life::SidecarGone, "Stopped")
    }
}
