//! Is the sidecar alive, and does it reach its signer? Asked over the private socket, judged with thresholds: one
//! answer that is late is no reason to do anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::wire::{Metrics, StakingStatus};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::SignerReload;
use crate::sidecar::{Client, SidecarError};
use crate::signer_report::{self, NodeKeys};
use crate::text::one_line;

/// How often to ask, and how much is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthSettings {
    /// Between two questions.
    pub interval: Duration,
    /// How long an answer may take. The sidecar itself waits for its signer before it says that it is away.
    pub timeout: Duration,
    /// This many in a row without an answer: the sidecar hangs. And this many in a row that say that the signer is
    /// away: it is.
    pub failures: u32,
}

/// What one question brought.
#[derive(Debug)]
pub enum Answer {
    /// All is well.
    Well,
    /// The sidecar answers, but cannot sign, for this reason.
    SignerAway(String),
    /// No answer that counts as one.
    None(String),
    /// Somebody else answered.
    Forged(SidecarError),
}

/// What follows from it.
#[derive(Debug)]
pub enum Change {
    /// The signer is away.
    Lost(String),
    /// The signer is back.
    Back,
    /// The sidecar does not answer any more.
    Hung(String),
    /// Somebody else answered.
    Forged(SidecarError),
}

/// Counts answers and tells changes. Pure.
#[derive(Debug)]
pub struct Health {
    failures: u32,
    silent: u32,
    /// How many answers in a row gave this reason.
    away: (u32, String),
    /// The reason that was told.
    degraded: Option<String>,
}

impl Health {
    /// All is well so far.
    pub fn new(failures: u32) -> Self {
        Self { failures, silent: 0, away: (0, String::new()), degraded: None }
    }

    /// Another threshold from now on.
    pub const fn forgive(&mut self, failures: u32) {
        self.failures = failures;
    }

    /// Takes an answer; tells what changed, if anything did.
    #[must_use]
    pub fn take(&mut self, answer: Answer) -> Option<Change> {
        match answer {
            Answer::Forged(error) => return Some(Change::Forged(error)),
            Answer::None(why) => {
                self.silent += 1;
                return (self.silent >= self.failures).then_some(Change::Hung(why));
            }
            Answer::SignerAway(why) => {
                self.silent = 0;
                let (count, reason) = &mut self.away;
                // Away is away, whatever the reason; another reason is told once it has been the same for as long.
                *count = if self.degraded.is_some() && *reason != why { 1 } else { count.saturating_add(1) };
                reason.clone_from(&why);
                if *count >= self.failures && self.degraded.as_ref() != Some(&why) {
                    self.degraded = Some(why.clone());
                    return Some(Change::Lost(why));
                }
            }
            Answer::Well => {
                (self.silent, self.away.0) = (0, 0);
                if self.degraded.take().is_some() {
                    return Some(Change::Back);
                }
            }
        }
        None
    }
}

/// Judges one answer; gives it back as far as it has to do with the signer.
fn judge(answered: Result<StakingStatus, SidecarError>, keys: &NodeKeys) -> (Answer, Option<StakingStatus>) {
    match answered {
        Err(error @ SidecarError::Forged { .. }) => (Answer::Forged(error), None),
        // It lives, and says that something behind it does not.
        Err(error) if error.is_refusal() => (Answer::SignerAway(one_line(&error)), None),
        Err(error) => (Answer::None(one_line(&error)), None),
        Ok(status) => {
            let answer = signer_report::trouble(&status, keys).map_or(Answer::Well, Answer::SignerAway);
            (answer, Some(status))
        }
    }
}

/// When a signer that lists no key is asked to read its key files again: once a minute, and only while it is degraded.
#[derive(Debug)]
struct Reloads {
    /// None if it is never asked.
    after: Option<u32>,
    away: u32,
    last: Option<tokio::time::Instant>,
}

impl Reloads {
    const BETWEEN: Duration = Duration::from_secs(60);

    const fn new(reload: SignerReload, failures: u32) -> Self {
        let after = match reload {
            SignerReload::WhenEmpty => Some(failures),
            SignerReload::Never => None,
        };
        Self { after, away: 0, last: None }
    }

    fn is_due(&mut self, answer: &Answer, status: Option<&StakingStatus>, now: tokio::time::Instant) -> bool {
        self.away = if matches!(answer, Answer::SignerAway(_)) { self.away.saturating_add(1) } else { 0 };
        let degraded = self.after.is_some_and(|after| self.away >= after);
        let rested = self.last.is_none_or(|last| now.duration_since(last) >= Self::BETWEEN);
        let due = degraded && rested && status.is_some_and(signer_report::lists_nothing);
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// Whether a sidecar counts its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Asked,
    /// It is one of another kind, and says that there is no such path.
    None,
}

/// What it counted, unless that is nothing a sidecar counts.
async fn count(client: &Client, interval: Duration) -> Result<Option<Metrics>, SidecarError> {
    const AT_MOST: Duration = Duration::from_secs(1);
    let metrics = client.with_timeout(interval.min(AT_MOST)).metrics().await?;
    Ok(Some(metrics).filter(Metrics::is_sound))
}

/// Asks on and on, beside whatever else is done. Ends when it is dropped.
#[derive(Debug)]
pub struct Asking {
    answers: mpsc::Receiver<Answer>,
    task: JoinHandle<()>,
    last: Arc<Mutex<Last>>,
}

/// What the last answers said.
#[derive(Debug)]
struct Last {
    trouble: Option<String>,
    requests: Option<Metrics>,
}

impl Asking {
    /// Starts to ask; the first question comes after one interval.
    pub fn start(client: &Client, keys: NodeKeys, settings: HealthSettings, reload: SignerReload) -> Self {
        let client = client.with_timeout(settings.timeout);
        let (answered, answers) = mpsc::channel(1);
        // The last step of a start was an answer of the signer's.
        let last = Arc::new(Mutex::new(Last { trouble: None, requests: None }));
        let told = Arc::clone(&last);
        let task = tokio::spawn(async move {
            let mut due = tokio::time::interval_at(tokio::time::Instant::now() + settings.interval, settings.interval);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut counts, mut reloads) = (Counts::Asked, Reloads::new(reload, settings.failures));
            loop {
                due.tick().await;
                let (mut answer, status) = judge(client.status().await, &keys);
                told.lock().unwrap_or_else(PoisonError::into_inner).trouble = match &answer {
                    Answer::Well => None,
                    Answer::SignerAway(why) | Answer::None(why) => Some(why.clone()),
                    Answer::Forged(error) => Some(one_line(error)),
                };
                if reloads.is_due(&answer, status.as_ref(), tokio::time::Instant::now()) {
                    match client.reload_signer().await {
                        Ok(asked) => tracing::info!(?asked, "asked Web3Signer to read its key files again"),
                        Err(error @ SidecarError::Forged { .. }) => answer = Answer::Forged(error),
                        Err(error) => {
                            tracing::info!(error = one_line(&error), "ask Web3Signer to read its key files again")
                        }
                    }
                }
                // Who does not answer at all is not asked for more.
                if counts == Counts::Asked && matches!(answer, Answer::Well | Answer::SignerAway(_)) {
                    match count(&client, settings.interval).await {
                        Ok(Some(requests)) => {
                            told.lock().unwrap_or_else(PoisonError::into_inner).requests = Some(requests);
                        }
                        Ok(None) => {}
                        Err(error) if error.status() == Some(hyper::StatusCode::NOT_FOUND) => counts = Counts::None,
                        Err(error @ SidecarError::Forged { .. }) => answer = Answer::Forged(error),
                        // Counters are nothing to restart a sidecar for.
                        Err(_) => {}
                    }
                }
                if answered.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Self { answers, task, last }
    }

    /// Why the signer cannot be used, by the last answer. One bad answer is no reason to do anything, and still one to know.
    pub fn signer_trouble(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }

    /// What the sidecar counted last.
    pub fn requests(&self) -> Option<Metrics> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    /// The next answer. Safe to drop half-way.
    pub async fn next(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            // The task ends only with this.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Answer {
        Answer::SignerAway("away".to_owned())
    }

    fn because(why: &str) -> Answer {
        Answer::SignerAway(why.to_owned())
    }

    fn none() -> Answer {
        Answer::None("timeout".to_owned())
    }

    #[test]
    fn a_signer_that_is_away_for_the_threshold_is_told_once_and_its_return_once() {
        let mut health = Health::new(3);
        assert!(health.take(away()).is_none());
        assert!(health.take(away()).is_none());
        assert!(matches!(health.take(away()), Some(Change::Lost(_))));
        assert!(health.take(away()).is_none());
        assert!(matches!(health.take(Answer::Well), Some(Change::Back)));
        assert!(health.take(Answer::Well).is_none());
        // Shorter than the threshold is forgiven.
        assert!(health.take(away()).is_none());
        assert!(health.take(Answer::Well).is_none());
    }

    #[test]
    fn another_reason_is_told_once_it_has_lasted_as_long_and_reasons_that_change_are_away_all_the_same() {
        let mut health = Health::new(2);
        assert!(health.take(because("refused")).is_none());
        assert!(matches!(health.take(because("empty")), Some(Change::Lost(why)) if why == "empty"));
        assert!(health.take(because("refused")).is_none());
        assert!(health.take(because("empty")).is_none(), "told already");
        assert!(health.take(because("sealed")).is_none());
        assert!(matches!(health.take(because("sealed")), Some(Change::Lost(why)) if why == "sealed"));
        assert!(matches!(health.take(Answer::Well), Some(Change::Back)));
    }

    #[test]
    fn a_degraded_signer_that_lists_nothing_is_asked_to_reload_once_a_minute() {
        let process = |keys| contract::wire::SignerProcess {
            role: contract::wire::SignerRole::Eth2,
            url: String::new(),
            state: contract::wire::SignerState::Answers,
            why: String::new(),
            serves_bls: Some(true),
            serves_tls: None,
            keys,
            health: contract::wire::SignerHealth::Up,
            failed_keys: 0,
            key_manager: None,
        };
        let status = |keys| StakingStatus {
            ready: true,
            web3signer_url: String::new(),
            web3signer_connected: true,
            bls_pubkeys: Vec::new(),
            tls_pubkeys: Vec::new(),
            module_version: String::new(),
            capabilities: Vec::new(),
            signers: vec![process(keys)],
        };
        let (empty, full) = (status(0), status(1));
        let now = tokio::time::Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut reloads = Reloads::new(SignerReload::WhenEmpty, 2);
        assert!(!reloads.is_due(&away(), Some(&empty), at(0)), "one bad answer is no degradation");
        assert!(!reloads.is_due(&away(), Some(&full), at(1)), "a reload could drop the others");
        assert!(!reloads.is_due(&away(), None, at(2)));
        assert!(reloads.is_due(&away(), Some(&empty), at(3)));
        assert!(!reloads.is_due(&away(), Some(&empty), at(62)));
        assert!(reloads.is_due(&away(), Some(&empty), at(63)));
        assert!(!reloads.is_due(&Answer::Well, Some(&empty), at(200)));
        let mut never = Reloads::new(SignerReload::Never, 1);
        assert!(!never.is_due(&away(), Some(&empty), at(0)));
    }

    #[test]
    fn silence_for_the_threshold_is_a_hung_sidecar_and_any_answer_starts_the_count_anew() {
        let mut health = Health::new(2);
        assert!(health.take(none()).is_none());
        assert!(health.take(Answer::Well).is_none());
        assert!(health.take(none()).is_none());
        assert!(health.take(away()).is_none());
        assert!(health.take(none()).is_none());
        assert!(matches!(health.take(none()), Some(Change::Hung(_))));
    }

    #[test]
    fn silence_does_not_end_a_degradation() {
        let mut health = Health::new(1);
        assert!(matches!(health.take(away()), Some(Change::Lost(_))));
        assert!(matches!(health.take(none()), Some(Change::Hung(_))));
        assert!(matches!(health.take(Answer::Well), Some(Change::Back)));
    }
}
