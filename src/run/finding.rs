//! What follows from the end of a watch: a restart, an alert, or evidence, the kill and the lock.

use std::io;
use std::path::Path;
use std::time::Duration;

use contract::Digest;

use super::Verifier;
use super::error::Error;
use super::guard::{Guarded, Judged, Lost};
use crate::audit::{Action, Audit, Event};
use crate::blocking;
use crate::config::OnMismatch;
use crate::fault::Fault as _;
use crate::launch::Child;
use crate::launch::sockets::Place;
use crate::lifecycle::Event as Life;
use crate::notify::Notify;
use crate::text::one_line;
use crate::watch::{Evidence, Finding, Gathering, Outcome};

impl Verifier<'_> {
    /// Tells a finding, in the audit trail and to whoever asks for the state.
    pub(super) fn found(&self, pid: u32, what: String, action: Action) {
        self.board.found(&what, action);
        self.audit.record(&Event::Finding { pid, what, action });
    }

    /// Decides what follows. An error ends the service; the sidecar is gone then.
    pub(super) async fn judge(&self, mut guarded: Guarded, outcome: Outcome) -> Result<Judged, Error> {
        let pid = guarded.sidecar.child.pid();
        let finding = match outcome {
            Outcome::Ended(how) => {
                self.audit.record(&Event::SidecarEnded { pid, how: how.to_string() });
                return Ok(Judged::Lost(Lost(how.to_string())));
            }
            Outcome::Hung(why) => {
                self.audit.record(&Event::SidecarHung { pid, why: why.clone() });
                kill(guarded.sidecar.child).await;
                return Ok(Judged::Lost(Lost(format!("it hung: {why}"))));
            }
            Outcome::Found(finding) => finding,
        };
        let what = one_line(&finding);
        if finding.is_mended_by_a_restart() {
            self.found(pid, what.clone(), Action::Restart);
            kill(guarded.sidecar.child).await;
            return Ok(Judged::Lost(Lost(what)));
        }
        if !finding.is_tampering() {
            kill(guarded.sidecar.child).await;
            return Err(finding.into());
        }
        if guarded.sidecar.settings.on_mismatch == OnMismatch::Alert {
            self.alert(&mut guarded, &finding, what).await?;
            return Ok(Judged::GoOn(Box::new(guarded)));
        }
        self.found(pid, what.clone(), Action::Kill);
        // Frozen first: what is looked at must not change, nor sign, meanwhile.
        freeze(&guarded.sidecar.child);
        let evidence = gather(&guarded.sidecar.child, guarded.sidecar.digest, &what).await;
        kill(guarded.sidecar.child).await;
        // Written when the mark is set, which must not wait for it, nor for room on the disk.
        *self.evidence.borrow_mut() = Some(evidence);
        Err(finding.into())
    }

    /// The same for a sidecar that was found out before it was let in: on its way to the service, whose end is then
    /// near, or beside another one, which goes on.
    pub(super) async fn quarantine(&self, place: Place, child: Child, digest: Digest, error: &Error) {
        freeze(&child);
        let evidence = gather(&child, digest, &error.one_line()).await;
        kill(child).await;
        match place {
            Place::First => *self.evidence.borrow_mut() = Some(evidence),
            Place::Beside => keep(self.audit, &self.settings().state_dir, evidence).await,
        }
    }

    /// Tells a finding, each about something else once, and keeps evidence of the first few: later ones, which a sidecar
    /// can make up at will, must not push those out.
    async fn alert(&self, guarded: &mut Guarded, finding: &Finding, what: String) -> Result<(), Error> {
        const EVIDENCE_OF: usize = 4;
        const MOST: usize = 256;
        let pid = guarded.sidecar.child.pid();
        if guarded.told.len() < MOST && guarded.told.insert(finding.about()) {
            self.found(pid, what.clone(), Action::Alert);
            if guarded.told.len() <= EVIDENCE_OF {
                let evidence = gather(&guarded.sidecar.child, guarded.sidecar.digest, &what).await;
                keep(self.audit, &guarded.sidecar.settings.state_dir, evidence).await;
            }
        }
        guarded.alert = Some(what);
        if finding.is_of_a_check() {
            return self.happened(Life::AlertRaised, &guarded.status_now());
        }
        Notify.status(&guarded.status_now());
        Ok(())
    }
}

/// Writes evidence down, for as long as a disk may take.
pub(super) async fn keep(audit: &Audit, state_dir: &Path, evidence: Evidence) {
    const AT_MOST: Duration = Duration::from_secs(5);
    let state_dir = state_dir.to_owned();
    let kept = match blocking::start(move || evidence.keep(&state_dir)) {
        Ok(mut keeping) => tokio::time::timeout(AT_MOST, blocking::wait(&mut keeping))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut))),
        Err(error) => Err(error),
    };
    audit.record(&match kept {
        Ok(folder) => Event::Quarantined { folder },
        Err(error) => Event::QuarantineFailed { reason: error.to_string() },
    });
}

/// The finding is what is reported, whatever comes of the kill: dropping the child kills too.
async fn kill(child: Child) {
    if let Err(error) = child.kill().await {
        tracing::error!(error = one_line(&error), "kill the sidecar");
    }
}

fn freeze(child: &Child) {
    if let Err(error) = child.freeze() {
        tracing::error!(error = one_line(&error), "freeze the sidecar");
    }
}

/// Gathers evidence, for no longer than a tampered sidecar may be left alive. What is there by then is the evidence.
async fn gather(child: &Child, expected: Digest, finding: &str) -> Evidence {
    const AT_MOST: Duration = Duration::from_millis(150);
    let evidence = Gathering::begin(child.pid(), &expected, finding, child.last_words());
    let filling = evidence.clone();
    // Neither a thread that cannot be had nor a deadline takes away what is there.
    let _ = tokio::time::timeout(AT_MOST, blocking::run(move || filling.fill())).await;
    evidence.take()
}
