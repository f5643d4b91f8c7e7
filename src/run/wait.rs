//! Step 7: the signer. After a boot it may well come up later than this service, or come up empty because its Vault is
//! sealed, so it is waited for, within the start, for `web3signer.startup_timeout`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::wire::StakingStatus;

use super::error::Error;
use super::guard::interval;
use super::start::Attempt;
use super::{Verifier, shown};
use crate::audit::{Event, in_step};
use crate::blocking;
use crate::config::{Settings, SignerReload};
use crate::identity::{self, Actions, Decision, Misconfigured, SignerFault, WantedKeys};
use crate::launch::sockets::Place;
use crate::lifecycle::Event as Life;
use crate::notify::Notify;
use crate::sidecar::Client;
use crate::signer_report;
use crate::text::{self, one_line};
use crate::watch::{Finding, Inspector};

/// A sidecar beside the one that serves does not wait longer: whoever runs `systemctl reload` waits too.
pub(crate) const PATIENCE_OF_A_RELOAD: Duration = Duration::from_secs(30);
/// What systemd is asked for now and then while the signer is waited for, so that TimeoutStartSec= of the unit need not know
/// of it. As long as that: what comes after the wait has its whole time.
const EXTENSION: Duration = Duration::from_secs(150);

/// What one look at the signer came to.
struct Look {
    decision: Decision,
    status: Option<StakingStatus>,
    url: String,
}

impl Verifier<'_> {
    /// Waits until both keys can be had. The sidecar is checked meanwhile as it is after READY.
    pub(super) async fn signer(
        &self,
        settings: &Settings,
        attempt: Attempt<'_>,
        client: &Client,
        pid: u32,
        inspector: &Arc<Mutex<Inspector>>,
        wanted: &WantedKeys,
    ) -> Result<(StakingStatus, Actions), Error> {
        let within = match attempt.place {
            Place::First => settings.signer_startup_timeout,
            Place::Beside => settings.signer_startup_timeout.min(PATIENCE_OF_A_RELOAD),
        };
        let mut pace = Pace::new(Instant::now(), within, settings.signer_reload);
        let mut next_check = Instant::now() + interval(settings);
        loop {
            let look = self.look_at_signer(settings, client, wanted).await?;
            let now = Instant::now();
            let (report, fault) = match (look.decision, &look.status) {
                (Decision::Go(actions), Some(status)) => return Ok((status.clone(), actions)),
                (Decision::Go(_), None) => unreachable!("nothing is decided without a status"),
                // Seen twice: health and list are two answers, and a reload of the signer may fall between them.
                (Decision::Refuse(fault), _) => {
                    if std::mem::replace(&mut pace.refused, true) {
                        return Err(fault.into());
                    }
                    tokio::time::sleep(Pace::SHORTEST).await;
                    continue;
                }
                (Decision::Never(never), _) => {
                    pace.refused = false;
                    let fault = SignerFault::from(never.clone());
                    if pace.is_settled(&never, now) {
                        return Err(fault.into());
                    }
                    (never.to_string(), fault)
                }
                (Decision::Wait { report, after }, _) => {
                    (pace.never, pace.refused) = (None, false);
                    (report, after)
                }
            };
            if now >= pace.deadline {
                let source = match (pace.never.is_some(), now >= pace.deadline + 2 * Pace::SETTLED) {
                    (false, _) => fault,
                    // Another moment, until it is known whether this passes.
                    (true, false) => {
                        tokio::time::sleep(Pace::SHORTEST).await;
                        continue;
                    }
                    // It is one thing and then another.
                    (true, true) => SignerFault::Away { report },
                };
                return Err(Error::Waited { within, source });
            }
            self.say_what_is_waited_for(attempt, &mut pace, look.url, report, now);
            if now >= next_check {
                next_check = now + interval(settings);
                self.check_while_waiting(attempt, pid, inspector).await?;
            }
            let nothing_listed = look.status.as_ref().is_some_and(signer_report::lists_nothing);
            if pace.reload_is_due(nothing_listed, now) {
                pace.can_reload = reload(client).await;
            }
            tokio::time::sleep(pace.pause(Instant::now())).await;
        }
    }

    /// Whether a new look comes to the same. Before a key is made or adopted: time has passed since the last one, and health
    /// and list are two answers, between which a reload of the signer may fall.
    pub(super) async fn decides_again(
        &self,
        settings: &Settings,
        client: &Client,
        wanted: &WantedKeys,
        actions: &Actions,
    ) -> Result<bool, Error> {
        let look = self.look_at_signer(settings, client, wanted).await?;
        Ok(match look.decision {
            Decision::Go(again) => again == *actions,
            Decision::Wait { .. } | Decision::Never(_) | Decision::Refuse(_) => false,
        })
    }

    /// Asks the sidecar, and decides. A sidecar that refuses because of something behind it is there, and passes on that its
    /// signer is not.
    async fn look_at_signer(&self, settings: &Settings, client: &Client, wanted: &WantedKeys) -> Result<Look, Error> {
        // The sidecar itself waits for its signer for up to four seconds before it says that it is away.
        const PATIENCE: Duration = Duration::from_secs(5);
        match client.with_timeout(settings.request_timeout.max(PATIENCE)).status().await {
            Ok(status) => Ok(Look {
                decision: identity::decide(&status, wanted, settings.sidecar.key_generation),
                url: signer_report::url(&status, &wanted.keys()),
                status: Some(status),
            }),
            Err(error) if error.is_refusal() => {
                let report = one_line(&error);
                let after = SignerFault::Away { report: report.clone() };
                let url = signer_report::without_secrets(&settings.web3signer_url);
                Ok(Look { decision: Decision::Wait { report, after }, status: None, url })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn say_what_is_waited_for(&self, attempt: Attempt<'_>, pace: &mut Pace, url: String, report: String, now: Instant) {
        // Not in a service that was READY: there it would put off the watchdog, which is fed by checks.
        if attempt.place == Place::First && !attempt.life.was_ready() && pace.extension_is_due(now) {
            Notify.extend_timeout(EXTENSION);
        }
        if pace.shown.as_ref() == Some(&report) {
            return;
        }
        if attempt.place == Place::First {
            self.show_signer_trouble(&url, &report);
        }
        let event = Event::WaitingForSigner { url, why: report.clone() };
        if pace.is_news(&report, now) {
            self.step(7, &event);
        } else {
            Notify.status(&in_step(Some(7), &event));
        }
        pace.shown = Some(report);
    }

    fn show_signer_trouble(&self, url: &str, report: &str) {
        self.board.change(|state| state.signer = Some(shown::signer(url, Some(report))));
    }

    /// The check of a sidecar that serves, of one that may wait for long. A passed one is a ping for systemd's watchdog, which
    /// waits for one if the service was READY before.
    async fn check_while_waiting(
        &self,
        attempt: Attempt<'_>,
        pid: u32,
        inspector: &Arc<Mutex<Inspector>>,
    ) -> Result<(), Error> {
        let inspector = Arc::clone(inspector);
        let looked = blocking::run(move || inspector.lock().unwrap_or_else(PoisonError::into_inner).look()).await;
        let looked = looked.map_err(Error::Thread)?.map_err(Finding::from)?;
        self.tell_mappings(pid, &looked);
        if let Some(finding) = looked.findings.into_iter().next() {
            return Err(Finding::from(finding).into());
        }
        self.entered(attempt, Life::CheckedInWaiting)
    }
}

/// Has the processes that list no key read their key files again. Returns whether the sidecar can do that.
async fn reload(client: &Client) -> bool {
    match client.reload_signer().await {
        Ok(asked) if asked.reloaded.is_empty() => {
            tracing::info!(why = ?asked.why, "no process of Web3Signer was asked to reload");
            true
        }
        Ok(asked) => {
            let which = text::sanitise(&asked.reloaded.join(", "));
            tracing::info!("asked Web3Signer ({which}) to read its key files again");
            true
        }
        Err(error) if error.status() == Some(hyper::StatusCode::NOT_FOUND) => false,
        Err(error) => {
            tracing::info!(error = one_line(&error), "ask Web3Signer to read its key files again");
            true
        }
    }
}

/// When what is done while the signer is waited for. Pure.
#[derive(Debug)]
struct Pace {
    deadline: Instant,
    pause: Duration,
    /// The fault that waiting does not mend, and since when it is seen.
    never: Option<(Misconfigured, Instant)>,
    /// The last look was one to refuse at once.
    refused: bool,
    /// What STATUS says.
    shown: Option<String>,
    /// What the journal was told, and when last.
    told: Vec<String>,
    told_at: Instant,
    extended_at: Option<Instant>,
    can_reload: bool,
    next_reload: Instant,
}

impl Pace {
    /// Between the first two looks; then it grows.
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);
    /// A proxy in front of the signer may route oddly while it starts.
    const SETTLED: Duration = Duration::from_secs(2);
    const BETWEEN_EXTENSIONS: Duration = Duration::from_secs(10);
    /// A signer that alternates between two faults must not fill the journal.
    const SAID_AGAIN: Duration = Duration::from_secs(60);
    const MOST_TOLD: usize = 16;
    const BETWEEN_MANY: Duration = Duration::from_secs(30);
    const FIRST_RELOAD: Duration = Duration::from_secs(5);
    const BETWEEN_RELOADS: Duration = Duration::from_secs(60);

    fn new(now: Instant, within: Duration, reload: SignerReload) -> Self {
        Self {
            deadline: now + within,
            pause: Self::SHORTEST,
            never: None,
            refused: false,
            shown: None,
            told: Vec::new(),
            told_at: now,
            extended_at: None,
            can_reload: reload == SignerReload::WhenEmpty,
            // Also if the start does not wait as long: each try asks once.
            next_reload: now + Self::FIRST_RELOAD.min(within / 2),
        }
    }

    /// Whether a fault has been the same for long enough to be no passing state.
    fn is_settled(&mut self, never: &Misconfigured, now: Instant) -> bool {
        match &self.never {
            Some((same, since)) if same == never => now.duration_since(*since) >= Self::SETTLED,
            Some(_) | None => {
                self.never = Some((never.clone(), now));
                false
            }
        }
    }

    /// Whether the journal is to be told: what it was not told before, or not for a while.
    fn is_news(&mut self, report: &String, now: Instant) -> bool {
        let since = now.duration_since(self.told_at);
        if self.told.contains(report) && since < Self::SAID_AGAIN {
            return false;
        }
        // One that is another at each look (a counter in it, say) must not fill the journal, nor the memory.
        if self.told.len() >= Self::MOST_TOLD {
            if since < Self::BETWEEN_MANY {
                return false;
            }
            self.told.remove(0);
        }
        self.told.push(report.clone());
        self.told_at = now;
        true
    }

    fn extension_is_due(&mut self, now: Instant) -> bool {
        let due = self.extended_at.is_none_or(|at| now.duration_since(at) >= Self::BETWEEN_EXTENSIONS);
        if due {
            self.extended_at = Some(now);
        }
        due
    }

    fn reload_is_due(&mut self, nothing_listed: bool, now: Instant) -> bool {
        let due = self.can_reload && nothing_listed && now >= self.next_reload;
        if due {
            self.next_reload = now + Self::BETWEEN_RELOADS;
        }
        due
    }

    /// How long until the next look, which comes at the deadline at the latest.
    fn pause(&mut self, now: Instant) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(Self::LONGEST);
        pause.min(self.deadline.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn pace(within: Duration) -> (Instant, Pace) {
        let now = Instant::now();
        (now, Pace::new(now, within, SignerReload::WhenEmpty))
    }

    #[test]
    fn looks_come_often_at_first_then_every_two_seconds_and_never_after_the_deadline() {
        let (now, mut pace) = pace(MINUTE);
        let pauses: Vec<u128> = (0..8).map(|_| pace.pause(now).as_millis()).collect();
        assert_eq!(pauses, [200, 300, 450, 675, 1012, 1518, 2000, 2000]);
        assert_eq!(pace.pause(now + MINUTE - Duration::from_millis(7)), Duration::from_millis(7));
        assert_eq!(pace.pause(now + MINUTE * 2), Duration::ZERO);
    }

    #[test]
    fn an_empty_signer_is_asked_to_reload_after_five_seconds_and_then_once_a_minute() {
        let (now, mut pace) = pace(MINUTE * 10);
        let at = |seconds| now + Duration::from_secs(seconds);
        let asked: Vec<u64> = (0..200).filter(|second| pace.reload_is_due(true, at(*second))).collect();
        assert_eq!(asked, [5, 65, 125, 185]);
        assert!(!pace.reload_is_due(false, at(300)), "others are listed, and a reload could drop them");
        assert!(pace.reload_is_due(true, at(300)));
        let mut never = Pace::new(now, MINUTE, SignerReload::Never);
        assert!(!never.reload_is_due(true, at(59)));
        let mut short = Pace::new(now, Duration::from_secs(2), SignerReload::WhenEmpty);
        assert!(short.reload_is_due(true, at(1)), "each try asks once, however short it is");
    }

    #[test]
    fn the_journal_is_told_each_reason_once_and_an_old_one_again_only_after_a_minute() {
        let (now, mut pace) = pace(MINUTE * 10);
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut told = |report: &str, second| pace.is_news(&report.to_owned(), at(second));
        assert!(told("refused", 0) && told("empty", 1));
        assert!(!told("refused", 2) && !told("empty", 60));
        assert!(told("refused", 61) && !told("empty", 62));
    }

    #[test]
    fn reasons_that_are_others_at_each_look_fill_neither_the_journal_nor_the_memory() {
        let (now, mut pace) = pace(MINUTE * 10);
        let told = (0..300).filter(|look| pace.is_news(&format!("{look} failed"), now + Duration::from_secs(2 * look)));
        assert_eq!(told.count(), 16 + (600 - 32) / 30);
        assert_eq!(pace.told.len(), 16);
    }

    #[test]
    fn a_fault_that_waiting_does_not_mend_has_to_stay_the_same_for_two_seconds() {
        let (now, mut pace) = pace(MINUTE);
        let at = |millis| now + Duration::from_millis(millis);
        let url = |url: &str| Misconfigured::OnlyEth2 { url: url.to_owned() };
        assert!(!pace.is_settled(&url("a"), at(0)) && !pace.is_settled(&url("a"), at(1999)));
        assert!(!pace.is_settled(&url("b"), at(2000)), "another one");
        assert!(!pace.is_settled(&url("b"), at(3999)) && pace.is_settled(&url("b"), at(4000)));
    }

    #[test]
    fn systemd_is_asked_for_more_time_long_before_the_last_extension_ends() {
        let (now, mut pace) = pace(MINUTE * 10);
        let at = |seconds| now + Duration::from_secs(seconds);
        let asked: Vec<u64> = (0..40).filter(|second| pace.extension_is_due(at(*second))).collect();
        assert_eq!(asked, [0, 10, 20, 30]);
        assert!(EXTENSION > Pace::BETWEEN_EXTENSIONS * 10);
    }
}
