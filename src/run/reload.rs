//! `systemctl reload`: the configuration and the reference values are read again; where they, or the file on disk, ask for
//! another sidecar, it goes through every step of a start beside the one that serves, takes its place, and the old one
//! drains. Where it fails at any step, the old one goes on.

use std::rc::Rc;

use contract::NodeId;
use contract::exit;
use serde::Serialize;

use super::Verifier;
use super::error::Error;
use super::guard::{Draining, Guarded, hints, interval};
use super::start::{Attempt, Facts, Sidecar};
use crate::appraise;
use crate::audit::{Action, Event};
use crate::blocking;
use crate::config::Settings;
use crate::fault::{Fault, Severity};
use crate::launch::ChildEnvironment;
use crate::launch::sockets::Place;
use crate::lifecycle::{Event as Life, Lifecycle};
use crate::state::ReloadState;
use crate::text::sanitise;
use crate::watch::{OnDisk, Rules};
use crate::{clock, durable};

/// A reload cannot be done.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the reason")]
pub enum ReloadError {
    #[error("{0} cannot be changed while the sidecar runs: systemctl restart cryftgo-tee")]
    NeedsRestart(&'static str),
    #[error(
        "with handoff = \"inherit-plain\" two sidecars cannot be told apart, so none is launched beside another: \
         systemctl restart cryftgo-tee"
    )]
    Ungated,
    #[error("the new sidecar would give the node another identity: {found} in place of {expected}")]
    OtherIdentity { expected: NodeId, found: NodeId },
}

impl Fault for ReloadError {
    /// For whoever asked for the reload.
    fn exit_code(&self) -> u8 {
        match self {
            Self::NeedsRestart(_) | Self::Ungated => exit::CONFIG,
            Self::OtherIdentity { .. } => exit::INTEGRITY,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::NeedsRestart(_) | Self::Ungated | Self::OtherIdentity { .. } => Severity::Slip,
        }
    }
}

/// What a reload came to.
pub(super) enum Reloaded {
    /// A new sidecar serves beside the old one.
    Beside(Box<Sidecar>),
    /// Neither the file nor what the sidecar is told changed: the one that runs goes on under these settings.
    Unchanged(Rc<Settings>),
}

/// What `cryftgo-tee reload` waits for: `reload.json` beside the private socket.
#[derive(Debug, Serialize, serde::Deserialize)]
pub struct Answer {
    /// Differs from answer to answer.
    pub id: String,
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why nothing was.
    pub message: String,
}

/// The name of the file.
pub const ANSWER: &str = "reload.json";

impl Verifier<'_> {
    /// Everything up to the point where the new sidecar, if there is to be one, was admitted.
    ///
    /// Not where the two would share the one socket on which the verifier asks them: then it could not tell who answers.
    pub(super) async fn reload(&self, old: &Facts) -> Result<Reloaded, Error> {
        let settings = (self.reread)()?;
        if let Some(key) = needs_restart(&old.settings, &settings) {
            return Err(ReloadError::NeedsRestart(key).into());
        }
        // The next start would be refused.
        self.wanted_keys(&settings)?;
        let settings = Rc::new(settings);
        let told = ChildEnvironment::new(std::env::vars_os(), &settings, &old.digest, None, None);
        let disk = self.disk_check(old.digest, &settings);
        let on_disk = blocking::run(move || disk.look()).await.map_err(Error::Thread)?;
        if on_disk == OnDisk::Verified && told == old.environment && settings.image == old.settings.image {
            return Ok(Reloaded::Unchanged(settings));
        }
        if !self.sockets.borrow().gated() {
            return Err(ReloadError::Ungated.into());
        }
        let life = Lifecycle::default();
        let attempt = Attempt { life: &life, place: Place::Beside };
        match self.start_as(&settings, attempt, Some(&old.identity)).await {
            Ok(new) => Ok(Reloaded::Beside(Box::new(new))),
            Err(error) => {
                self.extend_again(&settings, old.digest).await;
                Err(error)
            }
        }
    }

    /// Watches the new sidecar from now on and lets the old one drain; where the new one's private socket cannot get its
    /// place, the other way round, since clients of both are served by now. Gives the one that drains as well.
    pub(super) fn take_over(&self, guarded: Guarded, new: Sidecar) -> Result<(Guarded, Draining), Error> {
        let Guarded { sidecar: old, watch, .. } = guarded;
        // The old one is no longer asked for its health: its private socket makes way.
        drop(watch);
        if let Err(error) = self.sockets.borrow().promote() {
            let (mut guarded, error) = (self.watch_over(old), Error::from(error));
            self.publish_again(&guarded.sidecar);
            self.reload_refused(&mut guarded, error.step(), &error.one_line())?;
            return Ok((guarded, drain(new)));
        }
        *self.settings.borrow_mut() = Rc::clone(&new.settings);
        let (pid, old_digest) = (old.child.pid(), old.digest);
        let draining = drain(old);
        let guarded = self.watch_over(new);
        let sidecar = &guarded.sidecar;
        let what = if sidecar.digest == old_digest {
            format!("the settings of the sidecar; pid {} serves in place of {pid}", sidecar.child.pid())
        } else {
            format!("the sidecar; pid {} serves {} in place of {}", sidecar.child.pid(), sidecar.digest, old_digest)
        };
        self.reloaded(&guarded, what)?;
        Ok((guarded, draining))
    }

    /// Goes on with the same sidecar under other settings.
    pub(super) fn apply(&self, guarded: &mut Guarded, settings: Rc<Settings>) -> Result<(), Error> {
        let references = match appraise::read_libraries(&settings.trust) {
            Ok(references) => references,
            Err(error) => {
                let error = Error::from(error);
                return self.reload_refused(guarded, error.step(), &error.one_line());
            }
        };
        let rules = Rules { policy: settings.mappings, check_path: settings.check_path, references };
        *self.settings.borrow_mut() = Rc::clone(&settings);
        guarded.sidecar.settings = Rc::clone(&settings);
        let (asking, disk) = (self.asking(&guarded.sidecar), self.disk_check(guarded.sidecar.digest, &settings));
        guarded.watch.change(interval(&settings), hints(&settings), settings.health, asking, disk, rules);
        guarded.refused = None;
        self.reloaded(guarded, "the configuration and the reference values; the sidecar is the same".to_owned())
    }

    /// The new one failed at some step and is gone. What is tampering in it is told as that: it had the public socket.
    pub(super) fn reload_failed(&self, guarded: &mut Guarded, error: &Error) -> Result<(), Error> {
        let launched = !matches!(error, Error::Appraise(_));
        if launched && error.is_tampering() {
            let pid = guarded.sidecar.child.pid();
            let what = format!("in the sidecar that was to take the place of pid {pid}: {}", error.one_line());
            self.found(pid, what, Action::Kill);
        }
        self.publish_again(&guarded.sidecar);
        self.reload_refused(guarded, error.step(), &error.one_line())
    }

    /// Who the node is and what serves it: the new one may have been named already.
    fn publish_again(&self, serving: &Sidecar) {
        let Sidecar { identity, digest, evidence, .. } = serving;
        if let Err(error) = self.publication.publish(identity, *digest, &evidence.cryfttee_version) {
            tracing::error!(error = crate::text::one_line(&error), "publish who serves");
        }
    }

    /// The one that serves goes on.
    pub(super) fn reload_refused(&self, guarded: &mut Guarded, step: &'static str, reason: &str) -> Result<(), Error> {
        let event = Event::ReloadRefused { step, reason: reason.to_owned() };
        self.audit.record(&event);
        guarded.refused = Some(format!("reload refused at step {step}: {reason}"));
        self.happened(Life::ReloadEnded, &guarded.status_now())?;
        self.answer(false, &event.message());
        self.still_degraded(guarded)
    }

    fn reloaded(&self, guarded: &Guarded, what: String) -> Result<(), Error> {
        let event = Event::Reloaded { digest: guarded.sidecar.digest, what };
        self.audit.record(&event);
        self.happened(Life::ReloadEnded, &guarded.status_now())?;
        self.answer(true, &event.message());
        self.still_degraded(guarded)
    }

    /// The end of a reload is READY; that the signer is away is told again.
    fn still_degraded(&self, guarded: &Guarded) -> Result<(), Error> {
        if guarded.degraded.is_none() {
            return Ok(());
        }
        self.happened(Life::SignerLost, &guarded.status_now())
    }

    /// Tells whoever runs `cryftgo-tee reload`. That it cannot be written is theirs to notice: they wait with a deadline.
    pub(super) fn answer(&self, done: bool, message: &str) {
        let folder = self.settings().control_socket.parent().map(std::path::Path::to_owned).unwrap_or_default();
        let told = ReloadState { at: clock::utc(clock::now()), done, message: sanitise(message) };
        self.board.change(|state| state.reload = Some(told));
        let answer = Answer { id: clock::stamp(), done, message: message.to_owned() };
        let text = serde_json::to_vec(&answer).expect("plain data");
        if let Err(cause) = durable::make_folder(&folder).and_then(|()| durable::write(&folder.join(ANSWER), &text)) {
            tracing::warn!(%cause, "answer the reload");
        }
    }
}

/// Has a sidecar answer what it accepted, and end.
fn drain(sidecar: Sidecar) -> Draining {
    let (pid, grace) = (sidecar.child.pid(), sidecar.settings.stop_grace);
    Draining { pid, ended: tokio::spawn(sidecar.child.stop(grace)) }
}

/// The first setting that differs and that a running service cannot change.
fn needs_restart(old: &Settings, new: &Settings) -> Option<&'static str> {
    [
        ("cryfttee.signer", old.signer != new.signer),
        ("cryfttee.transport", old.transport != new.transport),
        ("cryfttee.socket", old.socket != new.socket),
        ("cryfttee.http_addr", old.http_addr != new.http_addr),
        ("handoff", old.handoff != new.handoff),
        ("control.socket", old.control_socket != new.control_socket),
        ("launch.user", old.user != new.user),
        ("identity.state_dir", old.identity_dir != new.identity_dir),
        ("identity.file", old.identity_file != new.identity_file),
        ("state_dir", old.state_dir != new.state_dir),
        ("state_file", old.state_file != new.state_file),
    ]
    .into_iter()
    .find_map(|(key, differs)| differs.then_some(key))
}
