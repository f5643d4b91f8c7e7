//! Is the sidecar alive, and does it reach its signer? Asked over the private socket, judged with thresholds: one
//! answer that is late is no reason to do anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::wire::{Metrics, StakingStatus};
use contract::{BlsPublicKey, TlsPublicKey};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::sidecar::{Client, SidecarError};
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

/// The keys that this node signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// The BLS key.
    pub bls: BlsPublicKey,
    /// The TLS key.
    pub tls: TlsPublicKey,
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
    away: u32,
    degraded: bool,
}

impl Health {
    /// All is well so far.
    pub const fn new(failures: u32) -> Self {
        Self { failures, silent: 0, away: 0, degraded: false }
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
                (self.silent, self.away) = (0, self.away.saturating_add(1));
                if !self.degraded && self.away >= self.failures {
                    self.degraded = true;
                    return Some(Change::Lost(why));
                }
            }
            Answer::Well => {
                (self.silent, self.away) = (0, 0);
                if std::mem::take(&mut self.degraded) {
                    return Some(Change::Back);
                }
            }
        }
        None
    }
}

/// Judges one answer.
fn judge(answered: Result<StakingStatus, SidecarError>, keys: &Keys) -> Answer {
    match answered {
        Err(error @ SidecarError::Forged { .. }) => Answer::Forged(error),
        // It lives, and says that something behind it does not.
        Err(error) if error.is_refusal() => Answer::SignerAway(one_line(&error)),
        Err(error) => Answer::None(one_line(&error)),
        Ok(status) if !status.web3signer_connected => {
            Answer::SignerAway(format!("Web3Signer does not answer at {}", status.web3signer_url))
        }
        Ok(status) if !status.ready => Answer::SignerAway("the sidecar says that it is not ready".to_owned()),
        Ok(status) if !status.bls_pubkeys.contains(&keys.bls) => {
            Answer::SignerAway(format!("the BLS key {} is gone from the signer", keys.bls))
        }
        Ok(status) if !status.tls_pubkeys.contains(&keys.tls) => {
            Answer::SignerAway(format!("the TLS key {} is gone from the signer", keys.tls))
        }
        Ok(_) => Answer::Well,
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
    signer_answers: bool,
    requests: Option<Metrics>,
}

impl Asking {
    /// Starts to ask; the first question comes after one interval.
    pub fn start(client: &Client, keys: Keys, settings: HealthSettings) -> Self {
        let client = client.with_timeout(settings.timeout);
        let (answered, answers) = mpsc::channel(1);
        // The last step of a start was an answer of the signer's.
        let last = Arc::new(Mutex::new(Last { signer_answers: true, requests: None }));
        let told = Arc::clone(&last);
        let task = tokio::spawn(async move {
            let mut due = tokio::time::interval_at(tokio::time::Instant::now() + settings.interval, settings.interval);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut counts = Counts::Asked;
            loop {
                due.tick().await;
                let mut answer = judge(client.status().await, &keys);
                told.lock().unwrap_or_else(PoisonError::into_inner).signer_answers = matches!(answer, Answer::Well);
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

    /// Whether the last answer said that the signer can be used. One bad answer is no reason to do anything, and still
    /// one to know.
    pub fn signer_answers(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).signer_answers
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
