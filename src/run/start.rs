//! Steps 2 to 9 of the contract, for the first sidecar, for one that replaces a crashed one, and for one that is
//! launched beside another.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::Digest;
use contract::wire::{Attestation, StakingStatus};

use super::reload::ReloadError;
use super::{Verifier, status};
use crate::appraise::{self, Appraised, appraise};
use crate::attest::attest;
use crate::audit::{Action, Event};
use crate::blocking;
use crate::config::Settings;
use crate::error::{Error, one_line};
use crate::identity::{self, Identity, Saved};
use crate::launch::sockets::Place;
use crate::launch::{self, Child, ChildEnvironment, LaunchError, launch};
use crate::measure::{self, Image, PathCheck, Progress};
use crate::notify::Notify;
use crate::sidecar::{Client, Peer};
use crate::watch::lifecycle::{Event as Life, Lifecycle};
use crate::watch::{Finding, Inspector, Looked, ProcessFinding, Rules, mounts_over};

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

        let saved = self.store.load().map_err(identity::IdentityError::from)?;
        let environment = |bls, tls| ChildEnvironment::new(std::env::vars_os(), settings, &digest, bls, tls);
        let handed = environment(saved.bls.as_ref(), saved.tls.as_ref());
        let mut child = launch(&image, &handed, self.sockets.borrow_mut().handoff(attempt.place)?, self.run_as)?;
        let pid = child.pid();
        // The running image holds the bytes from here on.
        drop(image);
        self.step(4, &Event::Launched { pid, digest, user: settings.user.clone() });
        self.warn_of_gaps(pid);

        let run_as = self.run_as;
        let verified = blocking::run(move || launch::verify_running(pid, facts, run_as)).await;
        let running = match verified.map_err(Error::Thread)? {
            Ok(running) => running,
            // A sidecar that is gone has no image to look at: its end is the reason then.
            Err(error) => {
                return Err(match child.ended_already().await? {
                    Some(ended) if error.may_be_absence() => LaunchError::EndedEarly(ended).into(),
                    _ => error.of_a_living(pid).into(),
                });
            }
        };
        let references = appraise::read_libraries(&settings.trust)?;
        let rules = Rules { policy: settings.mappings, check_path: settings.check_path, references };
        let inspector = Arc::new(Mutex::new(Inspector::new(pid, facts, running, run_as, rules)));
        // Where the image lies is remembered from here on. What the sidecar executed in the milliseconds before is not seen.
        if let Err(finding) = self.look_at_mappings(pid, &inspector).await? {
            return Err(match child.ended_already().await? {
                Some(ended) if finding.may_be_absence() => LaunchError::EndedEarly(ended).into(),
                _ => Finding::from(finding).into(),
            });
        }
        self.step(5, &Event::Remeasured { pid, digest });
        self.entered(attempt, Life::Launched)?;

        // From here on the sidecar is waited for; that it ends instead must not be found out by a timeout.
        let (evidence, identity) = tokio::select! {
            biased;
            ended = child.ended() => return Err(LaunchError::EndedEarly(ended?).into()),
            agreed = self.agree(settings, attempt, pid, digest, &inspector, expected) => agreed?,
        };
        self.publication
            .publish(&identity, digest, &evidence.cryfttee_version)
            .map_err(identity::IdentityError::from)?;
        let words = attempt.life.on(Life::Admitted)?;
        let (settings, environment) = (Rc::clone(settings), environment(None, None));
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

    /// Steps 6 to 8, over the private socket; at their end the sidecar may serve clients.
    async fn agree(
        &self,
        settings: &Settings,
        attempt: Attempt<'_>,
        pid: u32,
        digest: Digest,
        inspector: &Arc<Mutex<Inspector>>,
        expected: Option<&Identity>,
    ) -> Result<(Attestation, Identity), Error> {
        let client = self.client(settings, attempt.place, pid);

        // The kernel queues the connection until the sidecar accepts, so there is nothing to poll for.
        let evidence = attest(&client.with_timeout(settings.startup_timeout), digest, pid).await?;
        self.step(6, &Event::Attested { pid, digest, version: evidence.cryfttee_version.clone() });
        self.entered(attempt, Life::EvidenceAccepted)?;

        let saved = self.store.load().map_err(identity::IdentityError::from)?;
        let signer = self.signer(settings, &client, &saved).await?;
        self.step(7, &status::signer_ready(&signer));

        // By now the loader has done its work, and the sidecar has talked to its signer.
        self.look_at_mappings(pid, inspector).await?.map_err(Finding::from)?;

        let identity = identity::resolve(&client, &signer, &self.store).await?;
        self.step(8, &status::key("BLS", identity.bls.to_string(), identity.bls_origin));
        self.step(8, &status::key("TLS", identity.tls.to_string(), identity.tls_origin));
        let proved = identity.proof_of_possession.is_some();
        self.step(8, &Event::Possession { pubkey: identity.bls.to_string(), proved });
        if let Some(expected) = expected
            && (identity.node_id, identity.bls) != (expected.node_id, expected.bls)
        {
            return Err(ReloadError::OtherIdentity { expected: expected.node_id, found: identity.node_id }.into());
        }

        if self.sockets.borrow().gated() {
            client.admit().await?;
        }
        Ok((evidence, identity))
    }

    /// Step 7. After a boot the signer may well come up later than this service, so it is waited for.
    async fn signer(&self, settings: &Settings, client: &Client, saved: &Saved) -> Result<StakingStatus, Error> {
        const BETWEEN: Duration = Duration::from_millis(200);
        let deadline = Instant::now() + settings.startup_timeout;
        let mut told = false;
        loop {
            let mut url = settings.web3signer_url.clone();
            let checked = client.status().await.and_then(|status| {
                url.clone_from(&status.web3signer_url);
                identity::check_signer(&status, saved).map(|()| status)
            });
            match checked {
                Ok(status) => return Ok(status),
                // A sidecar that refuses because of something behind it is there, and passes on that its signer is not.
                Err(error) if (error.may_come() || error.is_refusal()) && Instant::now() < deadline => {
                    if !told {
                        told = true;
                        self.step(7, &Event::WaitingForSigner { url, why: one_line(&error) });
                    }
                    tokio::time::sleep(BETWEEN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn look_at_mappings(
        &self,
        pid: u32,
        inspector: &Arc<Mutex<Inspector>>,
    ) -> Result<Result<(), ProcessFinding>, Error> {
        let inspector = Arc::clone(inspector);
        let looked =
            blocking::run(move || inspector.lock().unwrap_or_else(PoisonError::into_inner).look_at_mappings()).await;
        Ok(looked.map_err(Error::Thread)?.map(|looked| self.tell_mappings(pid, &looked)))
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

    fn step(&self, number: u8, event: &Event) {
        self.audit.record_step(number, event);
        Notify.status(&crate::audit::in_step(Some(number), event));
    }

    /// A step of a start was done. What systemd is told of it is only STATUS, which has the step already.
    fn entered(&self, attempt: Attempt<'_>, event: Life) -> Result<(), Error> {
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
    let no_program = matches!(&error, Error::Measure(error) if error.is_no_program());
    let references = appraise::read(&settings.trust, &settings.state_dir);
    match references {
        Ok((references, _)) if no_program && !references.values.is_empty() => {
            Error::Appraise(appraise::Refusal::NoProgram { reason: error.one_line() })
        }
        _ => error,
    }
}
