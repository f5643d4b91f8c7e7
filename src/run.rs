//! The story: one call a stage, in the order of the contract's start-up.

mod signals;
mod status;

use std::time::{Duration, Instant};

use contract::Digest;
use contract::wire::{Attestation, StakingStatus};

use crate::appraise::{self, Accepted, Appraised, appraise};
use crate::attest::attest;
use crate::audit::{Audit, Event};
use crate::blocking;
use crate::config::Settings;
use crate::error::{Error, one_line};
use crate::identity::{self, Identity, Origin, Store};
use crate::launch::sockets::{Inherited, Sockets};
use crate::launch::{self, Child, ChildEnvironment, LaunchError, launch};
use crate::lock::Lock;
use crate::measure::{self, Image, PathCheck, Progress};
use crate::notify::{self, Notify};
use crate::sidecar::{Client, Peer};
use crate::sys::{self, RunAs};
use crate::watch::{self, Outcome, RestartLog, watch};
use signals::Stop;

/// The verifier gave up. `told` says that the journal has the reason already.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// Whether it needs no printing.
    pub told: bool,
}

/// Runs the sidecar until it is told to stop.
///
/// # Errors
/// [`Failure`]; the sidecar is gone then.
pub async fn run(settings: &Settings, inherited: Inherited) -> Result<(), Failure> {
    let audit = Audit::open();
    let ended = serve(settings, inherited, &audit).await;
    if let Err(error) = &ended
        && error.is_tampering()
    {
        lock_down(settings, &audit, error.step(), &error.one_line());
    }
    ended.map_err(|error| refused(&audit, error)).inspect(|()| report(audit.close()))
}

/// Records a refusal and gives it to whoever ends the process.
pub fn refused(audit: &Audit, error: Error) -> Failure {
    let (step, reason, exit_code) = (error.step(), error.one_line(), error.exit_code());
    // What the lock says stays in STATUS: it has what to do as well.
    if error.is_tampering() {
        Notify.stopping_as_said();
    } else {
        Notify.stopping(&format!("Refused at step {step}: {reason}"));
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
fn lock_down(settings: &Settings, audit: &Audit, step: &'static str, reason: &str) {
    match Lock::at(&settings.state_dir).set(step, reason) {
        Ok(()) => {
            audit.record(&Event::Locked { reason: reason.to_owned() });
            Notify.status(&format!("Locked; when the cause is known: cryftgo-tee unlock --reason \"…\". {reason}"));
        }
        Err(error) => audit.record(&Event::LockFailed { reason: one_line(&error) }),
    }
}

async fn serve(settings: &Settings, inherited: Inherited, audit: &Audit) -> Result<(), Error> {
    if !settings.signer {
        audit.record(&Event::SignerDisabled);
        Notify.ready("signer disabled")?;
        return Ok(());
    }
    sys::own_descendants().map_err(Error::Signals)?;
    let mut stop = Stop::listen().map_err(Error::Signals)?;
    Lock::at(&settings.state_dir).check()?;
    let mut verifier = Verifier {
        settings,
        audit,
        first: None,
        run_as: launch::find_user(settings.user.as_deref())?,
        store: Store::open(&settings.identity_dir).map_err(identity::IdentityError::from)?,
        sockets: Sockets::open(inherited, settings)?,
    };
    verifier.supervise(&mut stop).await
}

/// What lives as long as the verifier, across restarts of the sidecar.
struct Verifier<'a> {
    settings: &'a Settings,
    audit: &'a Audit,
    /// The first digest that was accepted in this run.
    first: Option<Digest>,
    run_as: Option<RunAs>,
    store: Store,
    sockets: Sockets,
}

/// A sidecar that passed every step and serves clients.
struct Sidecar {
    child: Child,
    digest: Digest,
    evidence: Attestation,
    identity: Identity,
}

impl Verifier<'_> {
    /// Keeps one good sidecar running: a crash is answered with a restart, anything else ends it.
    async fn supervise(&mut self, stop: &mut Stop) -> Result<(), Error> {
        let mut crashes = RestartLog::new(self.settings.restart);
        let mut was_ready = false;
        loop {
            let started = tokio::select! {
                started = self.start() => started,
                // The sidecar of a start that is given up dies with it.
                () = stop.asked() => return self.stopped("a start that was given up"),
            };
            let crash = match started {
                Ok(sidecar) => {
                    was_ready = true;
                    let Some(crash) = self.guard(sidecar, stop).await? else { return Ok(()) };
                    crash
                }
                // Clients wait in the queue of a service that worked: what may pass is tried again.
                Err(error) if was_ready && error.may_pass() => error.one_line(),
                Err(error) => return Err(error),
            };
            let restart = crashes.crashed(Instant::now(), &crash)?;
            self.audit.record(&Event::Restarting { attempt: restart.attempt, after: restart.after });
            Notify.status(&format!("Starting the sidecar again, attempt {}: {crash}", restart.attempt));
            tokio::select! {
                () = tokio::time::sleep(restart.after) => {}
                () = stop.asked() => return self.stopped("no sidecar running"),
            }
        }
    }

    /// Steps 2 to 9 of the contract.
    async fn start(&mut self) -> Result<Sidecar, Error> {
        let settings = self.settings;

        let began = Instant::now();
        let image = self.measure().await.map_err(|error| self.judge_unmeasured(error))?;
        self.step(2, &status::measured(settings, &image, began.elapsed()));
        if settings.check_path == PathCheck::Off {
            self.audit.record(&Event::PathUnchecked { path: settings.binary.clone() });
        }

        let image = self.appraise(image)?;
        let facts = image.get().facts();
        let digest = facts.digest;
        self.step(3, &status::appraised(&image));

        let saved = self.store.load().map_err(identity::IdentityError::from)?;
        let environment =
            ChildEnvironment::new(std::env::vars_os(), settings, &digest, saved.bls.as_ref(), saved.tls.as_ref());
        let mut child = launch(&image, &environment, self.sockets.handoff()?, self.run_as)?;
        let pid = child.pid();
        // The running image holds the bytes from here on.
        drop(image);
        self.step(4, &Event::Launched { pid, digest, user: settings.user.clone() });
        self.warn_of_gaps(pid);

        let run_as = self.run_as;
        let verified = blocking::run(move || launch::verify_running(pid, facts, run_as)).await;
        if let Err(error) = verified.map_err(Error::Thread)? {
            // A sidecar that is gone has no image to look at: its end is the reason then.
            return Err(match child.ended_already().await? {
                Some(ended) if error.may_be_absence() => LaunchError::EndedEarly(ended).into(),
                _ => error.into(),
            });
        }
        self.step(5, &Event::Remeasured { pid, digest });

        // From here on the sidecar is waited for; that it ends instead must not be found out by a timeout.
        let (evidence, identity) = tokio::select! {
            biased;
            ended = child.ended() => return Err(LaunchError::EndedEarly(ended?).into()),
            agreed = self.agree(pid, digest) => agreed?,
        };
        let ready = Event::Ready { node_id: identity.node_id, digest, pid };
        Notify.ready(&status::ready(&identity, &evidence, &digest))?;
        self.audit.record(&ready);
        Ok(Sidecar { child, digest, evidence, identity })
    }

    /// Step 2, with a word now and then while a large binary is read.
    async fn measure(&self) -> Result<Image, Error> {
        const NOW_AND_THEN: Duration = Duration::from_secs(1);
        const MIB: u64 = 1024 * 1024;
        let (path, kind, check) = (self.settings.binary.clone(), self.settings.image, self.settings.check_path);
        let progress = Progress::default();
        let seen = progress.clone();
        let sealed = blocking::run(move || measure::seal(&path, kind, check, &progress));
        tokio::pin!(sealed);
        loop {
            match tokio::time::timeout(NOW_AND_THEN, &mut sealed).await {
                Ok(image) => return Ok(image.map_err(Error::Thread)??),
                Err(_) => Notify.status(&format!(
                    "[2/9] Measuring {}: {} MiB read",
                    self.settings.binary.display(),
                    seen.bytes() / MIB
                )),
            }
        }
    }

    /// What cannot be measured because it is no program is tampering, where reference values say what should
    /// stand there.
    fn judge_unmeasured(&self, error: Error) -> Error {
        let no_program = matches!(&error, Error::Measure(error) if error.is_no_program());
        let references = appraise::read(&self.settings.trust, &self.settings.state_dir);
        match references {
            Ok((references, _)) if no_program && !references.values.is_empty() => {
                Error::Appraise(appraise::Refusal::NoProgram { reason: error.one_line() })
            }
            _ => error,
        }
    }

    /// Step 3. Reference values are read anew for every start: an upgrade brings its own, and one that was
    /// taken back no longer counts.
    fn appraise(&mut self, image: Image) -> Result<Appraised<Image>, Error> {
        let (trust, state_dir) = (&self.settings.trust, &self.settings.state_dir);
        let (mut references, floor) = appraise::read(trust, state_dir)?;
        if let Some(floor) = floor {
            floor.save(state_dir).map_err(appraise::ReferenceError::from)?;
        }
        if let Some(first) = self.first {
            references.hold_on_to(first);
        }
        let signed = appraise::detached(&image, &self.settings.binary, trust)?;
        let image = appraise(image, &references, &signed)?;
        self.first.get_or_insert(image.get().digest());
        Ok(image)
    }

    /// Steps 6 to 8, over the private socket; at their end the sidecar may serve clients.
    async fn agree(&self, pid: u32, digest: Digest) -> Result<(Attestation, Identity), Error> {
        let settings = self.settings;
        let socket = self.sockets.attested_at().to_owned();
        let client = Client::new(socket, Peer { pid, uid: self.sidecar_uid() }, settings.request_timeout);

        // The kernel queues the connection until the sidecar accepts, so there is nothing to poll for.
        let evidence = attest(&client.with_timeout(settings.startup_timeout), digest, pid).await?;
        self.step(6, &Event::Attested { pid, digest, version: evidence.cryfttee_version.clone() });

        let signer = self.signer(&client).await?;
        self.step(7, &status::signer_ready(&signer));

        let identity = identity::resolve(&client, &signer, &self.store).await?;
        self.step(8, &status::key("BLS", identity.bls.to_string(), identity.bls_origin));
        self.step(8, &status::key("TLS", identity.tls.to_string(), identity.tls_origin));

        if self.sockets.gated() {
            client.admit().await?;
        }
        Ok((evidence, identity))
    }

    /// Step 7. After a boot the signer may well come up later than this service, so it is waited for.
    async fn signer(&self, client: &Client) -> Result<StakingStatus, Error> {
        const BETWEEN: Duration = Duration::from_millis(200);
        let deadline = Instant::now() + self.settings.startup_timeout;
        let mut told = false;
        loop {
            let status = client.status().await?;
            match identity::check_signer(&status) {
                Ok(()) => return Ok(status),
                Err(error) if error.may_come() && Instant::now() < deadline => {
                    if !told {
                        told = true;
                        self.step(7, &Event::WaitingForSigner { url: status.web3signer_url, why: one_line(&error) });
                    }
                    tokio::time::sleep(BETWEEN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Watches a sidecar that serves. Returns how it crashed, or nothing when the service was told to stop.
    async fn guard(&self, mut sidecar: Sidecar, stop: &mut Stop) -> Result<Option<String>, Error> {
        let digest = sidecar.digest;
        let interval = watch::effective_interval(self.settings.watch_interval, notify::watchdog());
        let pid = sidecar.child.pid();
        let mut checks = 0_u64;
        let passed = |took: Duration| {
            checks += 1;
            Notify.checked(&status::checked(&sidecar.identity, &sidecar.evidence, &digest, checks, took));
        };
        let outcome = tokio::select! {
            outcome = watch(&mut sidecar.child, digest, interval, passed) => outcome?,
            () = stop.asked() => {
                Notify.stopping("Stopping the sidecar");
                self.audit.record(&Event::Stopping);
                let how = sidecar.child.stop(self.settings.stop_grace).await?;
                self.audit.record(&Event::Stopped { how: how.to_string() });
                return Ok(None);
            }
        };
        match outcome {
            Outcome::Ended(how) => {
                self.audit.record(&Event::SidecarEnded { pid, how: how.to_string() });
                Ok(Some(how.to_string()))
            }
            Outcome::Found(finding) => {
                // The finding is what is reported, whatever comes of the kill: dropping the child kills too.
                if let Err(error) = sidecar.child.kill().await {
                    tracing::error!(error = one_line(&error), "kill the sidecar");
                }
                Err(finding.into())
            }
        }
    }

    fn step(&self, number: u8, event: &Event) {
        self.audit.record(event);
        Notify.status(&format!("[{number}/9] {}", event.message()));
    }

    /// What this configuration gives up is said once a launch.
    fn warn_of_gaps(&self, pid: u32) {
        if self.sidecar_uid() == nix::unistd::geteuid().as_raw() {
            self.audit.record(&Event::SharedUser { pid });
        }
        if !self.sockets.gated() {
            self.audit.record(&Event::Ungated { pid });
        }
    }

    fn sidecar_uid(&self) -> u32 {
        self.run_as.map_or_else(|| nix::unistd::geteuid().as_raw(), |run_as| run_as.uid)
    }

    fn stopped(&self, how: &str) -> Result<(), Error> {
        Notify.stopping("Stopping");
        self.audit.record(&Event::Stopped { how: how.to_owned() });
        Ok(())
    }
}
