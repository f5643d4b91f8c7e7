//! Steps 5 to 8 of the contract: from the launch of a sidecar to the moment when its clients are let in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::Digest;
use contract::wire::{AdmitRequest, Attestation};

use super::error::Error;
use super::reload::ReloadError;
use super::start::Attempt;
use super::{Verifier, status};
use crate::appraise;
use crate::attest::attest;
use crate::audit::Event;
use crate::blocking;
use crate::config::{OnAuditFailure, Settings};
use crate::identity::{self, Identity, WantedKeys};
use crate::launch::{self, Child, LaunchError};
use crate::lifecycle::Event as Life;
use crate::measure::ImageFacts;
use crate::notify::Notify;
use crate::watch::{Finding, Inspector, Rules};

/// What is known of a sidecar that passed.
pub(super) struct Proved {
    pub(super) evidence: Attestation,
    pub(super) identity: Identity,
    pub(super) inspector: Arc<Mutex<Inspector>>,
}

/// Which keys a sidecar has to turn out to have.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// By what is saved and configured.
    pub(super) wanted: &'a WantedKeys,
    /// Those of the sidecar that serves meanwhile.
    pub(super) serving: Option<&'a Identity>,
}

/// How often what was decided about the keys may turn out to hold no more when it is to be done. Then the signer is waited
/// for once more: it is being loaded, or reloaded.
const MOST_CHANGES_OF_MIND: u32 = 10;
const BETWEEN_CHANGES_OF_MIND: Duration = Duration::from_secs(1);

impl Verifier<'_> {
    /// Takes a sidecar that was launched through the rest of the steps; at their end it may serve clients. Where it ended
    /// meanwhile, its end is the reason, and not what could no longer be looked at.
    pub(super) async fn prove(
        &self,
        settings: &Settings,
        attempt: Attempt<'_>,
        child: &mut Child,
        facts: ImageFacts,
        keys: Keys<'_>,
    ) -> Result<Proved, Error> {
        let pid = child.pid();
        let inspector = match self.inspect(settings, pid, facts).await {
            Ok(inspector) => inspector,
            Err(error) => return Err(explained(child, error).await?),
        };
        self.step(5, &Event::Remeasured { pid, digest: facts.digest });
        self.entered(attempt, Life::Launched)?;

        // From here on the sidecar is waited for; that it ends instead must not be found out by a timeout.
        let agreed = tokio::select! {
            biased;
            ended = child.ended() => return Err(LaunchError::EndedEarly(ended?).into()),
            agreed = self.agree(settings, attempt, pid, facts.digest, &inspector, keys) => agreed,
        };
        match agreed {
            Ok((evidence, identity)) => Ok(Proved { evidence, identity, inspector }),
            Err(error) => Err(explained(child, error).await?),
        }
    }

    /// Step 5: the image that runs, and whatever else it can execute.
    async fn inspect(&self, settings: &Settings, pid: u32, facts: ImageFacts) -> Result<Arc<Mutex<Inspector>>, Error> {
        let run_as = self.run_as;
        let verified = blocking::run(move || launch::verify_running(pid, facts, run_as)).await;
        let running = verified.map_err(Error::Thread)??;
        let references = appraise::read_libraries(&settings.trust)?;
        let rules = Rules { policy: settings.mappings, check_path: settings.check_path, references };
        let inspector = Arc::new(Mutex::new(Inspector::new(pid, facts, running, run_as, rules)));
        // Where the image lies is remembered from here on. What the sidecar executed in the milliseconds before is not seen.
        self.look_at_mappings(pid, &inspector).await?;
        Ok(inspector)
    }

    /// Steps 6 to 8, over the private socket; at their end the sidecar may serve clients.
    async fn agree(
        &self,
        settings: &Settings,
        attempt: Attempt<'_>,
        pid: u32,
        digest: Digest,
        inspector: &Arc<Mutex<Inspector>>,
        keys: Keys<'_>,
    ) -> Result<(Attestation, Identity), Error> {
        let client = self.client(settings, attempt.place, pid);

        // The kernel queues the connection until the sidecar accepts, so there is nothing to poll for.
        let evidence = attest(&client.with_timeout(settings.startup_timeout), digest, pid).await?;
        self.step(6, &Event::Attested { pid, digest, version: evidence.cryfttee_version.clone() });
        self.entered(attempt, Life::EvidenceAccepted)?;

        let mut changes_of_mind = 0;
        let identity = loop {
            let (signer, actions) = self.signer(settings, attempt, &client, pid, inspector, keys.wanted).await?;
            self.step(7, &status::signer_ready(&signer));

            // By now the loader has done its work, and the sidecar has talked to its signer.
            self.look_at_mappings(pid, inspector).await?;

            self.hold_for_the_trail(settings, "no key is set up").await?;
            let settled = actions.are_known() || self.decides_again(settings, &client, keys.wanted, &actions).await?;
            if settled {
                match identity::resolve(&client, actions, &self.store).await {
                    Err(error) if error.is_signer_unready() && changes_of_mind < MOST_CHANGES_OF_MIND => {}
                    resolved => break resolved?,
                }
            } else if changes_of_mind >= MOST_CHANGES_OF_MIND {
                let report = "the keys that the signer lists are others at each look".to_owned();
                return Err(identity::SignerFault::Away { report }.into());
            }
            changes_of_mind += 1;
            tokio::time::sleep(BETWEEN_CHANGES_OF_MIND).await;
        };
        self.step(8, &status::key("BLS", identity.bls.to_string(), &identity.bls_origin));
        self.step(8, &status::key("TLS", identity.tls.to_string(), &identity.tls_origin));
        let proved = identity.proof_of_possession.is_some();
        self.step(8, &Event::Possession { pubkey: identity.bls.to_string(), proved });
        if let Some(expected) = keys.serving
            && (identity.node_id, identity.bls) != (expected.node_id, expected.bls)
        {
            return Err(ReloadError::OtherIdentity { expected: expected.node_id, found: identity.node_id }.into());
        }

        self.hold_for_the_trail(settings, "no client is admitted").await?;
        // Before clients are let in: what fails from here on would break their requests.
        self.publication
            .publish(&identity, digest, &evidence.cryfttee_version)
            .map_err(identity::IdentityError::from)?;
        if self.sockets.borrow().gated() {
            client.admit(&AdmitRequest { bls_pubkey: Some(identity.bls), tls_pubkey: Some(identity.tls) }).await?;
        }
        Ok((evidence, identity))
    }

    /// Where `audit.on_failure = "hold"`: what was done so far is in the journal before anything else is done. For no
    /// longer than half of what a start may take, so that a journald that stays away is a refusal with this reason.
    async fn hold_for_the_trail(&self, settings: &Settings, meanwhile: &str) -> Result<(), Error> {
        const AT_ONCE: Duration = Duration::from_millis(250);
        if settings.on_audit_failure == OnAuditFailure::Continue || self.audit.delivered(AT_ONCE).await {
            return Ok(());
        }
        let waiting = self.audit.waiting();
        Notify.status(&format!("Held: journald does not take {waiting} audit events, and {meanwhile} before it does"));
        if self.audit.delivered(settings.startup_timeout / 2).await {
            return Ok(());
        }
        let waiting = self.audit.waiting();
        Err(Error::Audit(std::io::Error::other(format!(
            "journald did not take {waiting} audit events in time, and audit.on_failure = \"hold\""
        ))))
    }

    async fn look_at_mappings(&self, pid: u32, inspector: &Arc<Mutex<Inspector>>) -> Result<(), Error> {
        let inspector = Arc::clone(inspector);
        let looked =
            blocking::run(move || inspector.lock().unwrap_or_else(PoisonError::into_inner).look_at_mappings()).await;
        let looked = looked.map_err(Error::Thread)?.map_err(Finding::from)?;
        self.tell_mappings(pid, &looked);
        // Each of them refuses the sidecar; the first is the reason.
        looked.findings.into_iter().next().map_or(Ok(()), |finding| Err(Finding::from(finding).into()))
    }
}

/// What a step that failed really means: a sidecar that ended meanwhile has nothing to look at any more.
async fn explained(child: &mut Child, error: Error) -> Result<Error, Error> {
    if error.may_be_absence()
        && let Some(ended) = child.ended_already().await?
    {
        return Ok(LaunchError::EndedEarly(ended).into());
    }
    Ok(match error {
        Error::Launch(error) => error.of_a_living(child.pid()).into(),
        error => error,
    })
}
