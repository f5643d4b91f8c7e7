//! Watching a sidecar that serves: checks, health, the state of the disk, requests to stop and to reload, and what
//! follows a finding.

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use contract::Digest;
use tokio::task::JoinHandle;

use super::denied::Denied;
use super::error::Error;
use super::reload::Reloaded;
use super::signals::{Asked, Signals};
use super::start::Sidecar;
use super::{Verifier, shown, status};
use crate::audit::Event;
use crate::config::Settings;
use crate::launch::sockets::Place;
use crate::launch::{LaunchError, Stopped};
use crate::lifecycle::Event as Life;
use crate::notify::{self, Notify};
use crate::signer_report::NodeKeys;
use crate::state::CheckState;
use crate::sys;
use crate::text::one_line;
use crate::watch::{Asking, DiskCheck, Health, Hints, OnDisk, Outcome, Seen, Watch, effective_interval};

/// A sidecar was lost, in these words, and is to be started again.
pub(super) struct Lost(pub(super) String);

/// A sidecar under watch, and what is known of it.
pub(super) struct Guarded {
    pub(super) sidecar: Sidecar,
    pub(super) watch: Watch,
    pub(super) checks: u64,
    pub(super) last_check: Option<CheckState>,
    pub(super) on_disk: OnDisk,
    pub(super) degraded: Option<String>,
    /// A finding that the policy only tells.
    pub(super) alert: Option<String>,
    /// What findings were about that were told already.
    pub(super) told: BTreeSet<String>,
    /// Why the last reload did nothing.
    pub(super) refused: Option<String>,
    pub(super) denied: Denied,
}

/// What follows from the end of a watch that is not an error.
pub(super) enum Judged {
    /// It was told, and nothing else.
    GoOn(Box<Guarded>),
    /// The sidecar is gone, and may be started again.
    Lost(Lost),
}

/// What is left to do after a reload was asked for.
enum After {
    /// To go on watching, the same one or another.
    Watching(Box<Guarded>),
    /// Nothing here: the service stops, or the sidecar was lost.
    Over(Option<Lost>),
}

/// The sidecar that was replaced and still answers what it had accepted.
pub(super) struct Draining {
    pub(super) pid: u32,
    pub(super) ended: JoinHandle<Result<Stopped, LaunchError>>,
}

/// How a replaced sidecar ended; never returns where there is none.
async fn drained(draining: &mut Vec<Draining>) -> Event {
    let (at, how) = std::future::poll_fn(|context| {
        let ended = draining.iter_mut().enumerate().find_map(|(at, Draining { ended, .. })| {
            match Pin::new(ended).poll(context) {
                Poll::Ready(how) => Some((at, how)),
                Poll::Pending => None,
            }
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    let how = match how {
        Ok(Ok(how)) => how.to_string(),
        Ok(Err(error)) => one_line(&error),
        Err(error) => error.to_string(),
    };
    Event::Drained { pid: draining.remove(at).pid, how }
}

impl Drop for Draining {
    fn drop(&mut self) {
        // Its child is killed with it.
        self.ended.abort();
    }
}

impl Verifier<'_> {
    /// Watches a sidecar that serves, and those that take its place. Returns how it was lost, or nothing when the
    /// service was told to stop.
    pub(super) async fn guard(&self, sidecar: Sidecar, signals: &mut Signals) -> Result<Option<Lost>, Error> {
        // The start is over, and what it needed is not needed again.
        sys::give_memory_back();
        let mut guarded = self.watch_over(sidecar);
        let mut draining: Vec<Draining> = Vec::new();
        loop {
            self.show(&guarded);
            let asked = tokio::select! {
                biased;
                asked = signals.asked() => asked,
                outcome = self.watch(&mut guarded) => match self.judge(guarded, outcome?).await? {
                    Judged::GoOn(same) => {
                        guarded = *same;
                        continue;
                    }
                    Judged::Lost(lost) => return Ok(Some(lost)),
                },
                how = drained(&mut draining) => {
                    self.audit.record(&how);
                    continue;
                }
            };
            match asked {
                Asked::Stop => {
                    self.stop(guarded.sidecar, draining).await?;
                    return Ok(None);
                }
                Asked::Reload => match self.reload_asked(guarded, &mut draining, signals).await? {
                    After::Watching(next) => guarded = *next,
                    After::Over(lost) => return Ok(lost),
                },
            }
        }
    }

    /// Reloads, and watches the one that serves meanwhile.
    async fn reload_asked(
        &self,
        mut guarded: Guarded,
        draining: &mut Vec<Draining>,
        signals: &mut Signals,
    ) -> Result<After, Error> {
        self.audit.record(&Event::ReloadAsked);
        self.happened(Life::ReloadAsked, "Reloading")?;
        let serving = guarded.sidecar.facts();
        let mut reload = pin!(self.reload(&serving));
        let reloaded = loop {
            tokio::select! {
                biased;
                () = signals.stop().asked() => {
                    self.answer(false, "the service was told to stop during the reload");
                    self.stop(guarded.sidecar, std::mem::take(draining)).await?;
                    return Ok(After::Over(None));
                }
                outcome = self.watch(&mut guarded) => match self.judge(guarded, outcome?).await {
                    Ok(Judged::GoOn(same)) => guarded = *same,
                    // The new one, which is still on its way, dies with the reload.
                    ended => {
                        self.answer(false, "the sidecar that served was lost or was tampered with");
                        return ended.map(|judged| match judged {
                            Judged::Lost(lost) => After::Over(Some(lost)),
                            Judged::GoOn(same) => After::Watching(same),
                        });
                    }
                },
                reloaded = &mut reload => break reloaded,
            }
        };
        match reloaded {
            Ok(Reloaded::Beside(new)) => {
                let (new, gone) = self.take_over(guarded, *new)?;
                draining.push(gone);
                guarded = new;
            }
            Ok(Reloaded::Unchanged(settings)) => self.apply(&mut guarded, settings)?,
            Err(error) => self.reload_failed(&mut guarded, &error)?,
        }
        Ok(After::Watching(Box::new(guarded)))
    }

    pub(super) fn watch_over(&self, sidecar: Sidecar) -> Guarded {
        let settings = &sidecar.settings;
        let watch = Watch::new(
            interval(settings),
            hints(settings),
            Health::new(settings.health.failures),
            self.asking(&sidecar),
            Arc::clone(&sidecar.inspector),
            self.disk_check(sidecar.digest, settings),
            sidecar.mounts.clone(),
        );
        let (on_disk, told) = (OnDisk::Verified, BTreeSet::new());
        Guarded {
            sidecar,
            watch,
            checks: 0,
            last_check: None,
            on_disk,
            degraded: None,
            alert: None,
            told,
            refused: None,
            denied: Denied::default(),
        }
    }

    pub(super) fn asking(&self, sidecar: &Sidecar) -> Asking {
        let client = self.client(&sidecar.settings, Place::First, sidecar.child.pid());
        let keys = NodeKeys { bls: Some(sidecar.identity.bls), tls: Some(sidecar.identity.tls) };
        Asking::start(&client, keys, sidecar.settings.health, sidecar.settings.signer_reload)
    }

    pub(super) fn disk_check(&self, running: Digest, settings: &Settings) -> DiskCheck {
        DiskCheck {
            path: settings.binary.clone(),
            check_path: settings.check_path,
            trust: settings.trust.clone(),
            state_dir: settings.state_dir.clone(),
            running,
            first: self.first.get().unwrap_or(running),
        }
    }

    /// Watches until something ends it; what does not is told here.
    async fn watch(&self, guarded: &mut Guarded) -> Result<Outcome, Error> {
        loop {
            let sockets = &self.sockets;
            let seen = guarded.watch.next(&mut guarded.sidecar.child, || sockets.borrow().is_shut_down()).await?;
            match seen {
                Ok(seen) => {
                    self.seen(guarded, seen)?;
                    self.show(guarded);
                }
                Err(outcome) => return Ok(outcome),
            }
        }
    }

    fn seen(&self, guarded: &mut Guarded, seen: Seen) -> Result<(), Error> {
        match seen {
            Seen::Checked { took, looked } => {
                guarded.checks += 1;
                guarded.alert = None;
                guarded.last_check = Some(shown::checked(guarded, took));
                self.tell_mappings(guarded.sidecar.child.pid(), &looked);
                self.tell_denied(guarded);
                self.checkpoint(&guarded.sidecar);
                self.happened(Life::CheckPassed, &guarded.status(took))
            }
            Seen::Looked(looked) => {
                self.tell_mappings(guarded.sidecar.child.pid(), &looked);
                Ok(())
            }
            Seen::OnDisk(on_disk) if on_disk == guarded.on_disk => Ok(()),
            Seen::OnDisk(on_disk) => {
                self.audit.record(&status::on_disk(&guarded.sidecar, &on_disk));
                guarded.on_disk = on_disk;
                Notify.status(&guarded.status_now());
                Ok(())
            }
            Seen::Mounted(mounts) => {
                let path = guarded.sidecar.settings.binary.clone();
                self.audit.record(&Event::Mounted { path, mounts });
                Ok(())
            }
            Seen::SignerLost(why) => {
                self.audit.record(&Event::Degraded { why: why.clone() });
                guarded.degraded = Some(why);
                self.happened(Life::SignerLost, &guarded.status_now())
            }
            Seen::SignerBack => {
                self.audit.record(&Event::Recovered);
                guarded.degraded = None;
                self.happened(Life::SignerBack, &guarded.status_now())
            }
        }
    }

    fn tell_denied(&self, guarded: &mut Guarded) {
        let requests = guarded.watch.requests();
        if let Some(event) = requests.and_then(|requests| guarded.denied.look(&requests, Instant::now())) {
            self.audit.record(&event);
        }
    }

    async fn stop(&self, sidecar: Sidecar, draining: Vec<Draining>) -> Result<(), Error> {
        self.happened(Life::StopAsked, "Stopping the sidecar")?;
        self.audit.record(&Event::Stopping);
        self.last_checkpoint(&sidecar).await;
        let how = sidecar.child.stop(sidecar.settings.stop_grace).await?;
        // It was told before this one, so it is gone by now.
        drop(draining);
        self.audit.record(&Event::Stopped { how: how.to_string() });
        self.happened(Life::SidecarGone, "Stopped")
    }
}

/// How often to check, by the settings and by systemd's watchdog.
pub(super) fn interval(settings: &Settings) -> Duration {
    effective_interval(settings.watch_interval, notify::watchdog())
}

/// Where the host has none to give, the timed check is there, which is the authority anyway.
pub(super) fn hints(settings: &Settings) -> Option<Hints> {
    Hints::open(settings)
        .inspect_err(|cause| tracing::warn!(%cause, "watch for changes on disk; they are found by the timed check"))
        .ok()
}
