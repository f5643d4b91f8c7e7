//! Steps 2 to 4 and 9 of the contract (5 to 8 are in `prove`), for the first sidecar, for one that replaces a crashed one, and for one that is
//! launched beside another.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use contract::Digest;
use contract::wire::Attestation;

use super::error::Error;
use super::prove::{Keys, Proved};
use super::{Verifier, status};
use crate::appraise::{self, Appraised, appraise};
use crate::audit::{Action, Event};
use crate::blocking;
use crate::config::Settings;
use crate::fault::Fault as _;
use crate::identity::{self, Identity, SignerFault, WantedKeys};
use crate::launch::sockets::Place;
use crate::launch::{Child, ChildEnvironment, launch};
use crate::lifecycle::{Event as Life, Lifecycle};
use crate::measure::{self, Image, PathCheck, Progress};
use crate::notify::Notify;
use crate::sidecar::{Client, Peer};
use crate::signer_report::NodeKeys;
use crate::text::one_line;
use crate::watch::{Inspector, Looked, mounts_over};

/// One way through the steps.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// Of the service, or of a sidecar that is launched beside the one that serves.
    pub(super) life: &'a Lifecycle,
    pub(super) place: Place,
}

/// A sidecar that passed every step and serves clients.
pub(super) struct Sidecar {
    pub(super) child: Child,
    pub(super) settings: Rc<Settings>,
    /// What it was told, apart from the keys, which an earlier start may not have known yet.
    pub(super) environment: ChildEnvironment,
    pub(super) digest: Digest,
    /// What accepted it; none where nothing was demanded.
    pub(super) reference: Option<String>,
    pub(super) evidence: Attestation,
    pub(super) identity: Identity,
    pub(super) inspector: Arc<Mutex<Inspector>>,
    /// Over the binary, when it was measured.
    pub(super) mounts: Vec<String>,
}

/// What a reload has to know of the sidecar that serves meanwhile.
pub(super) struct Facts {
    pub(super) settings: Rc<Settings>,
    pub(super) environment: ChildEnvironment,
    pub(super) digest: Digest,
    pub(super) identity: Identity,
}

impl Sidecar {
    pub(super) fn facts(&self) -> Facts {
        let (settings, environment) = (Rc::clone(&self.settings), self.environment.clone());
        Facts { settings, environment, digest: self.digest, identity: self.identity.clone() }
    }
}

impl Verifier<'_> {
    /// Takes a sidecar through every step.
    pub(super) async fn start(&self, settings: &Rc<Settings>, attempt: Attempt<'_>) -> Result<Sidecar, Error> {
        self.start_as(settings, attempt, None).await
    }

    /// The same, for a sidecar that must turn out to have this identity before it is admitted.
    pub(super) async fn start_as(
        &self,
        settings: &Rc<Settings>,
        attempt: Attempt<'_>,
        expected: Option<&Identity>,
    ) -> Result<Sidecar, Error> {
        self.entered(attempt, Life::StartBegan)?;
        let mounts = mounts_over(&settings.binary).unwrap_or_default();
        let began = Instant::now();
        let image = self.measure(settings).await.map_err(|error| judge_unmeasured(settings, error))?;
        self.step(2, &status::measured(settings, &image, began.elapsed()));
        if settings.check_path == PathCheck::Off {
            self.audit.record(&Event::PathUnchecked { path: settings.binary.clone() });
        }
        self.entered(attempt, Life::Measured)?;

        let image = self.appraise(settings, image)?;
        let facts = image.get().facts();
        let digest = facts.digest;
        self.step(3, &status::appraised(&image));
        let reference = status::reference(&image);
        self.entered(attempt, Life::Accepted)?;
        self.extend(settings, digest).await?;

        let wanted = self.wanted_keys(settings)?;
        let environment = |keys: NodeKeys| {
            ChildEnvironment::new(std::env::vars_os(), settings, &digest, keys.bls.as_ref(), keys.tls.as_ref())
        };
        let handed = environment(wanted.keys());
        let mut child = launch(&image, &handed, self.sockets.borrow_mut().handoff(attempt.place)?, self.run_as)?;
        let pid = child.pid();
        // The running image holds the bytes from here on.
        drop(image);
        self.step(4, &Event::Launched { pid, digest, user: settings.user.clone() });
        self.warn_of_gaps(pid);

        let keys = Keys { wanted: &wanted, serving: expected };
        let proved = self.prove(settings, attempt, &mut child, facts, keys).await;
        let Proved { evidence, identity, inspector } = match proved {
            Ok(proved) => proved,
            Err(error) => {
                if error.is_tampering() {
                    self.quarantine(attempt.place, child, digest, &error).await;
                }
                return Err(error);
            }
        };
        let words = attempt.life.on(Life::Admitted)?;
        let (settings, environment) = (Rc::clone(settings), environment(NodeKeys::default()));
        let sidecar =
            Sidecar { child, settings, environment, digest, reference, evidence, identity, inspector, mounts };
        let Sidecar { identity, evidence, .. } = &sidecar;
        if attempt.place == Place::First {
            // Before READY: who was waiting for it may look at once.
            self.show_sidecar(&sidecar);
            self.board.follow(attempt.life.state());
            Notify.tell(words, Some(&status::ready(identity, evidence, &digest)))?;
        }
        self.audit.record_step(9, &Event::Ready { node_id: identity.node_id, digest, pid });
        Ok(sidecar)
    }

    /// Which keys are the node's, by what is saved and what is configured.
    pub(super) fn wanted_keys(&self, settings: &Settings) -> Result<WantedKeys, Error> {
        let saved = self.store.load().map_err(identity::IdentityError::from)?;
        Ok(WantedKeys::of(&saved, &settings.chosen_keys).map_err(SignerFault::from)?)
    }

    /// Step 2, with a word now and then while a large binary is read.
    async fn measure(&self, settings: &Settings) -> Result<Image, Error> {
        const NOW_AND_THEN: Duration = Duration::from_secs(1);
        const MIB: u64 = 1024 * 1024;
        let (path, kind, check) = (settings.binary.clone(), settings.image, settings.check_path);
        let progress = Progress::default();
        let seen = progress.clone();
        let sealed = blocking::run(move || measure::seal(&path, kind, check, &progress));
        tokio::pin!(sealed);
        loop {
            match tokio::time::timeout(NOW_AND_THEN, &mut sealed).await {
                Ok(image) => return Ok(image.map_err(Error::Thread)??),
                Err(_) => Notify.status(&format!(
                    "[2/9] Measuring {}: {} MiB read",
                    settings.binary.display(),
                    seen.bytes() / MIB
                )),
            }
        }
    }

    /// Step 3. Reference values are read anew for every start: an upgrade brings its own, and one that was
    /// taken back no longer counts.
    fn appraise(&self, settings: &Settings, image: Image) -> Result<Appraised<Image>, Error> {
        let (trust, state_dir) = (&settings.trust, &settings.state_dir);
        let (mut references, floor) = appraise::read(trust, state_dir)?;
        if let Some(floor) = floor {
            floor.save(state_dir).map_err(appraise::ReferenceError::from)?;
        }
        if let Some(first) = self.first.get() {
            references.hold_on_to(first);
        }
        let signed = appraise::detached(&image, &settings.binary, trust)?;
        let image = appraise(image, &references, &signed)?;
        self.first.set(Some(image.get().digest()));
        Ok(image)
    }

    /// A client of the private socket of one sidecar.
    pub(super) fn client(&self, settings: &Settings, place: Place, pid: u32) -> Client {
        let socket = self.sockets.borrow().attested_at(place);
        Client::new(socket, Peer { pid, uid: self.sidecar_uid() }, settings.request_timeout)
    }

    /// What else than its image a sidecar executes.
    pub(super) fn tell_mappings(&self, pid: u32, looked: &Looked) {
        for (path, digest) in &looked.added {
            self.audit.record(&Event::LibraryMapped { pid, path: path.clone(), digest: *digest });
        }
        for path in &looked.replaced {
            self.audit.record(&Event::LibraryReplaced { path: path.clone() });
        }
        for finding in &looked.reported {
            self.found(pid, one_line(finding), Action::Report);
        }
    }

    pub(super) fn step(&self, number: u8, event: &Event) {
        self.audit.record_step(number, event);
        Notify.status(&crate::audit::in_step(Some(number), event));
    }

    /// A step of a start was done. What systemd is told of it is only STATUS, which has the step already.
    pub(super) fn entered(&self, attempt: Attempt<'_>, event: Life) -> Result<(), Error> {
        let words = attempt.life.on(event)?;
        if attempt.place == Place::First {
            self.board.follow(attempt.life.state());
        }
        Ok(Notify.tell(words, None)?)
    }

    /// What this configuration gives up is said once a launch.
    fn warn_of_gaps(&self, pid: u32) {
        if self.sidecar_uid() == nix::unistd::geteuid().as_raw() {
            self.audit.record(&Event::SharedUser { pid });
        }
        if !self.sockets.borrow().gated() {
            self.audit.record(&Event::Ungated { pid });
        }
    }
}

/// What cannot be measured because it is no program is tampering, where reference values say what should
/// stand there.
fn judge_unmeasured(settings: &Settings, error: Error) -> Error {
    let Error::Measure(measured) = &error else { return error };
    match appraise::read(&settings.trust, &settings.state_dir) {
        Ok((references, _)) if measured.is_no_program() && !references.values.is_empty() => {
            Error::Appraise(appraise::Refusal::NoProgram { reason: error.one_line() })
        }
        // None says so, or none could be read: then that is all that is known.
        Ok(_) | Err(_) => error,
    }
}
