//! The life of the service: one table of states, events and transitions, and what systemd is told at each.
//!
//! READY and WATCHDOG are consequences of a transition and of nothing else: no other code sends them.
//! `docs/lifecycle.svg` is drawn from this table, by a test that fails when the picture is old.

#[cfg(test)]
mod picture;

use std::cell::Cell;
use std::fmt;

use contract::exit;

use crate::fault::{Fault, Severity};

/// Where the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the sentence")]
pub enum State {
    /// Nothing runs yet.
    Idle,
    /// Step 2.
    Measuring,
    /// Step 3.
    Appraising,
    /// Steps 4 and 5.
    Launching,
    /// Step 6.
    Attesting,
    /// Steps 7 and 8.
    Identifying,
    /// Clients are served, and every check passed.
    Ready,
    /// Clients are served, but Web3Signer is away.
    Degraded,
    /// Clients are served by the old sidecar while a new one goes through the same steps beside it.
    Reloading,
    /// The sidecar ended; clients wait in the queue.
    Restarting,
    /// The sidecar drains.
    Stopping,
    /// The end as asked, also with the signer disabled.
    Stopped,
    /// Tampering was found: down until an operator unlocks.
    Locked,
    /// The end with an error that is not tampering.
    Failed,
}

/// What happens to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the sentence")]
pub enum Event {
    SignerDisabled,
    StartBegan,
    Measured,
    Accepted,
    /// The image runs, and was measured again as it runs.
    Launched,
    EvidenceAccepted,
    /// A full check passed while the signer is waited for.
    CheckedInWaiting,
    /// Keys and Node ID are known, and the sidecar was admitted to its clients.
    Admitted,
    /// A full check passed in time.
    CheckPassed,
    /// A full check was done in time and found something that the policy only reports.
    AlertRaised,
    SignerLost,
    SignerBack,
    ReloadAsked,
    /// The reload is over; a sidecar that passed every step serves, the new one or the old one.
    ReloadEnded,
    /// The sidecar ended, or was ended because it hung; or a start failed for a reason that may pass.
    SidecarLost,
    StopAsked,
    SidecarGone,
    TamperingFound,
    GaveUp,
}

/// What systemd is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `READY=1`.
    Ready,
    /// `RELOADING=1`.
    Reloading,
    /// `WATCHDOG=1`.
    Watchdog,
    /// `STOPPING=1`.
    Stopping,
}

/// An event that cannot happen in this state: a bug of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event {event:?} cannot happen in the state {state:?}; this is a bug in cryftgo-tee")]
pub struct IllegalTransition {
    /// Where the service was.
    pub state: State,
    /// What happened.
    pub event: Event,
}

impl Fault for IllegalTransition {
    fn exit_code(&self) -> u8 {
        exit::INTERNAL
    }

    fn severity(&self) -> Severity {
        Severity::Slip
    }
}

impl State {
    /// Every state, in the order of a good life.
    pub const ALL: [Self; 14] = [
        Self::Idle,
        Self::Measuring,
        Self::Appraising,
        Self::Launching,
        Self::Attesting,
        Self::Identifying,
        Self::Ready,
        Self::Degraded,
        Self::Reloading,
        Self::Restarting,
        Self::Stopping,
        Self::Stopped,
        Self::Locked,
        Self::Failed,
    ];

    /// Whether clients are served.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded | Self::Reloading)
    }

    /// Whether nothing follows.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Stopped | Self::Locked | Self::Failed)
    }

    /// Whether a sidecar is on its way to READY.
    const fn is_start(self) -> bool {
        matches!(self, Self::Measuring | Self::Appraising | Self::Launching | Self::Attesting | Self::Identifying)
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 19] = [
        Self::SignerDisabled,
        Self::StartBegan,
        Self::Measured,
        Self::Accepted,
        Self::Launched,
        Self::EvidenceAccepted,
        Self::CheckedInWaiting,
        Self::Admitted,
        Self::CheckPassed,
        Self::AlertRaised,
        Self::SignerLost,
        Self::SignerBack,
        Self::ReloadAsked,
        Self::ReloadEnded,
        Self::SidecarLost,
        Self::StopAsked,
        Self::SidecarGone,
        Self::TamperingFound,
        Self::GaveUp,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The table.
///
/// # Errors
/// [`IllegalTransition`] for every pair that is not in it.
pub const fn next(state: State, event: Event) -> Result<State, IllegalTransition> {
    use Event as E;
    use State as S;
    Ok(match (state, event) {
        (S::Idle, E::SignerDisabled) => S::Stopped,
        (S::Idle | S::Restarting, E::StartBegan) => S::Measuring,
        (S::Measuring, E::Measured) => S::Appraising,
        (S::Appraising, E::Accepted) => S::Launching,
        (S::Launching, E::Launched) => S::Attesting,
        (S::Attesting, E::EvidenceAccepted) => S::Identifying,
        (S::Identifying, E::CheckedInWaiting) => S::Identifying,
        (S::Identifying, E::Admitted) => S::Ready,

        // A check says nothing about the signer, and the signer nothing about a check.
        (serving, E::CheckPassed | E::AlertRaised) if serving.serves() => serving,
        (S::Ready | S::Degraded, E::SignerLost) => S::Degraded,
        (S::Ready | S::Degraded, E::SignerBack) => S::Ready,
        // Told when the reload is over: until then there is one more sidecar, which asks for itself.
        (S::Reloading, E::SignerLost | E::SignerBack) => S::Reloading,

        (S::Ready | S::Degraded, E::ReloadAsked) => S::Reloading,
        (S::Reloading, E::ReloadEnded) => S::Ready,

        (lost, E::SidecarLost) if lost.serves() || lost.is_start() => S::Restarting,

        (active, E::StopAsked) if !active.is_end() => S::Stopping,
        (S::Stopping, E::SidecarGone) => S::Stopped,
        (active, E::TamperingFound) if !active.is_end() => S::Locked,
        (active, E::GaveUp) if !active.is_end() => S::Failed,
        (state, event) => return Err(IllegalTransition { state, event }),
    })
}

/// What systemd is told of a transition, in a service that was READY before or not yet.
pub const fn told(event: Event, was_ready: bool) -> &'static [Word] {
    match event {
        // A step of a restart is a check that passed: of the image that is to run, of the one that runs, of the evidence.
        // Several restarts in a row, and one that waits for a signer, take longer than the watchdog waits.
        Event::Measured | Event::Accepted | Event::Launched | Event::EvidenceAccepted | Event::CheckedInWaiting
            if was_ready =>
        {
            &[Word::Watchdog]
        }
        // A start is a full check; after a restart of the sidecar the last ping may be long ago.
        Event::Admitted => &[Word::Ready, Word::Watchdog],
        Event::SignerDisabled | Event::ReloadEnded => &[Word::Ready],
        // An alert is told in STATUS. The check itself was done, and in time.
        Event::CheckPassed | Event::AlertRaised => &[Word::Watchdog],
        Event::ReloadAsked => &[Word::Reloading],
        Event::StopAsked | Event::TamperingFound | Event::GaveUp => &[Word::Stopping],
        Event::StartBegan
        | Event::Measured
        | Event::Accepted
        | Event::Launched
        | Event::EvidenceAccepted
        | Event::CheckedInWaiting
        | Event::SignerLost
        | Event::SignerBack
        | Event::SidecarLost
        | Event::SidecarGone => &[],
    }
}

/// The state of one service, or of the one sidecar that is launched beside another.
#[derive(Debug)]
pub struct Lifecycle {
    state: Cell<State>,
    was_ready: Cell<bool>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { state: Cell::new(State::Idle), was_ready: Cell::new(false) }
    }
}

impl Lifecycle {
    /// Where it is.
    pub const fn state(&self) -> State {
        self.state.get()
    }

    /// Whether clients were served at any time.
    pub const fn was_ready(&self) -> bool {
        self.was_ready.get()
    }

    /// Takes an event and says what systemd is to be told.
    ///
    /// # Errors
    /// [`IllegalTransition`]; the state stays what it was.
    pub fn on(&self, event: Event) -> Result<&'static [Word], IllegalTransition> {
        let state = next(self.state.get(), event)?;
        self.state.set(state);
        let words = told(event, self.was_ready.get());
        self.was_ready.set(self.was_ready.get() || state.serves());
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(state: State) -> Vec<(Event, State)> {
        Event::ALL.into_iter().filter_map(|event| Some((event, next(state, event).ok()?))).collect()
    }

    /// The whole table once more, written from the other side: state by state, so that each of the 266 pairs is
    /// decided twice by hand.
    #[test]
    fn every_pair_of_state_and_event_is_as_written_here() {
        use Event::*;
        let ending = [(StopAsked, State::Stopping), (TamperingFound, State::Locked), (GaveUp, State::Failed)];
        let step = |event, to| vec![(event, to), (SidecarLost, State::Restarting)];
        for (state, own) in [
            (State::Idle, vec![(SignerDisabled, State::Stopped), (StartBegan, State::Measuring)]),
            (State::Measuring, step(Measured, State::Appraising)),
            (State::Appraising, step(Accepted, State::Launching)),
            (State::Launching, step(Launched, State::Attesting)),
            (State::Attesting, step(EvidenceAccepted, State::Identifying)),
            (
                State::Identifying,
                vec![
                    (CheckedInWaiting, State::Identifying),
                    (Admitted, State::Ready),
                    (SidecarLost, State::Restarting),
                ],
            ),
            (
                State::Ready,
                vec![
                    (CheckPassed, State::Ready),
                    (AlertRaised, State::Ready),
                    (SignerLost, State::Degraded),
                    (SignerBack, State::Ready),
                    (ReloadAsked, State::Reloading),
                    (SidecarLost, State::Restarting),
                ],
            ),
            (
                State::Degraded,
                vec![
                    (CheckPassed, State::Degraded),
                    (AlertRaised, State::Degraded),
                    (SignerLost, State::Degraded),
                    (SignerBack, State::Ready),
                    (ReloadAsked, State::Reloading),
                    (SidecarLost, State::Restarting),
                ],
            ),
            (
                State::Reloading,
                vec![
                    (CheckPassed, State::Reloading),
                    (AlertRaised, State::Reloading),
                    (SignerLost, State::Reloading),
                    (SignerBack, State::Reloading),
                    (ReloadEnded, State::Ready),
                    (SidecarLost, State::Restarting),
                ],
            ),
            (State::Restarting, vec![(StartBegan, State::Measuring)]),
            (State::Stopping, vec![(SidecarGone, State::Stopped)]),
        ] {
            let mut expected = own;
            expected.extend(ending);
            let found = targets(state);
            assert_eq!(found.len(), expected.len(), "{state}: {found:?}");
            for pair in expected {
                assert!(found.contains(&pair), "{state}: {pair:?} is missing in {found:?}");
            }
        }
        for end in [State::Stopped, State::Locked, State::Failed] {
            assert_eq!(targets(end), [], "{end}");
        }
    }

    #[test]
    fn ready_is_told_on_entering_a_state_that_serves_and_a_watchdog_ping_in_one_or_by_a_step_of_a_restart() {
        for state in State::ALL {
            for event in Event::ALL {
                let Ok(to) = next(state, event) else { continue };
                for was_ready in [false, true] {
                    let words = told(event, was_ready);
                    if words.contains(&Word::Ready) {
                        assert!(to == State::Ready || event == Event::SignerDisabled, "{state} {event:?}");
                    }
                    if words.contains(&Word::Watchdog) {
                        assert!(to.serves() || was_ready && to.is_start(), "{state} {event:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn there_is_one_way_to_ready_and_it_goes_through_every_step() {
        let life = Lifecycle::default();
        let steps = [
            (Event::StartBegan, State::Measuring),
            (Event::Measured, State::Appraising),
            (Event::Accepted, State::Launching),
            (Event::Launched, State::Attesting),
            (Event::EvidenceAccepted, State::Identifying),
            (Event::Admitted, State::Ready),
        ];
        for (event, state) in steps {
            let before = life.state();
            assert!(before == State::Identifying || life.on(Event::Admitted).is_err(), "{before}");
            assert!(life.on(event).is_ok());
            assert_eq!(life.state(), state);
        }
        // Nothing else than the last step, or the end of a reload, enters READY from a state that does not serve.
        for state in State::ALL.into_iter().filter(|state| !state.serves() && *state != State::Identifying) {
            assert!(targets(state).iter().all(|(_, to)| *to != State::Ready), "{state}");
        }
    }

    #[test]
    fn an_illegal_event_changes_nothing() {
        let life = Lifecycle::default();
        let refused = life.on(Event::CheckPassed).expect_err("illegal");
        assert_eq!((refused.state, refused.event), (State::Idle, Event::CheckPassed));
        assert_eq!(life.state(), State::Idle);
    }
}
