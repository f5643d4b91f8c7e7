//! How the service stands, by what the verifier shows and by the tamper mark. One judgement for status, healthcheck and
//! metrics.

use contract::exit;

use crate::config::Settings;
use crate::lifecycle::State as Life;
use crate::lock::{Lock, LockError};
use crate::state::{self, Reading, Seen, State};
use crate::text::sanitise;

/// What is known.
pub(super) struct Known {
    /// What the verifier shows, if it shows anything.
    pub(super) state: Option<Box<State>>,
    /// Why that is not how the service is now; or why there is none.
    pub(super) unfit: Option<String>,
    /// The clocks when it was read.
    pub(super) seen: Option<Seen>,
    /// Whether the tamper mark is set.
    pub(super) mark: Mark,
}

/// The tamper mark, as far as this user may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Set(String),
    NotSet,
    /// This user may not look.
    Hidden,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Clients are served, every check passed, and the signer answers.
    Ready,
    /// They are not, for this reason.
    NotReady(String),
    /// Tampering was found: down until an operator unlocks.
    Locked(String),
}

impl Standing {
    /// Exit code of the contract.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Ready => exit::OK,
            Self::NotReady(_) => exit::UNAVAILABLE,
            Self::Locked(_) => exit::INTEGRITY,
        }
    }

    /// The word for scripts.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady(_) => "not-ready",
            Self::Locked(_) => "locked",
        }
    }

    /// Why it is not ready.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::NotReady(why) | Self::Locked(why) => Some(why),
        }
    }
}

impl Known {
    /// Reads both. Nobody is asked, and nothing is started by it.
    pub(super) fn read(settings: &Settings) -> Self {
        let mark = mark(settings);
        let without = |unfit: String| Self { state: None, unfit: Some(unfit), seen: None, mark: mark.clone() };
        let Some(file) = &settings.state_file else {
            return without("the verifier shows no state: state_file is empty".to_owned());
        };
        let path = file.display();
        match state::read(file) {
            Ok(Reading::Found(state)) => {
                let seen = Seen::about(&state, file);
                let unfit = state.stale(&seen);
                Self { state: Some(state), unfit, seen: Some(seen), mark }
            }
            Ok(Reading::Absent) => without(format!("no verifier has run in this boot: there is no {path}")),
            Ok(Reading::Damaged(why)) => without(format!("{path} is not what a verifier writes: {}", sanitise(&why))),
            Err(error) => without(format!("read {path}: {error}")),
        }
    }

    /// What was read, where it is how the service is now.
    pub(super) fn current(&self) -> Option<&State> {
        self.state.as_deref().filter(|_| self.unfit.is_none())
    }

    /// Judges. Pure.
    pub(super) fn standing(&self) -> Standing {
        if let Mark::Set(found) = &self.mark {
            return Standing::Locked(found.clone());
        }
        let Some(state) = self.current() else {
            return Standing::NotReady(self.unfit.clone().unwrap_or_default());
        };
        let ended = || state.ended.as_ref().map_or_else(|| "no reason is known".to_owned(), |end| sanitise(&end.why));
        match state.state {
            // The mark is the lock. Where it can be seen to be gone, an operator has cleared it.
            Life::Locked if self.mark == Mark::NotSet => {
                Standing::NotReady("it was locked, and is unlocked: systemctl start cryftgo-tee".to_owned())
            }
            Life::Locked => Standing::Locked(ended()),
            Life::Failed => Standing::NotReady(format!("it gave up: {}", ended())),
            Life::Stopped | Life::Stopping => Standing::NotReady("it was stopped".to_owned()),
            Life::Ready | Life::Degraded | Life::Reloading => serving(state),
            starting => Standing::NotReady(starts(state, starting)),
        }
    }
}

/// A start that waits for the signer says so; nothing else of a start takes long.
fn starts(state: &State, starting: Life) -> String {
    let waits_for = state.signer.as_ref().and_then(|signer| signer.trouble.as_ref());
    match (starting, waits_for) {
        (Life::Identifying, Some(trouble)) => format!("it waits for the signer: {}", sanitise(trouble)),
        (starting, _) => format!("it starts: {}", word(starting)),
    }
}

fn serving(state: &State) -> Standing {
    if let Some(finding) = &state.alert {
        return Standing::NotReady(format!("ALERT, tampering: {}", sanitise(finding)));
    }
    match (&state.degraded, state.state) {
        (Some(why), _) => Standing::NotReady(format!("degraded: {}", sanitise(why))),
        (None, Life::Degraded) => Standing::NotReady("degraded".to_owned()),
        (None, _) => Standing::Ready,
    }
}

/// A state of the lifecycle, as the file spells it.
pub(super) fn word(state: Life) -> String {
    state.to_string().to_ascii_lowercase()
}

fn mark(settings: &Settings) -> Mark {
    match Lock::at(&settings.state_dir).mark() {
        Ok(None) => Mark::NotSet,
        Ok(Some(found)) => Mark::Set(sanitise(&found)),
        Err(LockError::Read { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Mark::Hidden,
        // A mark that cannot be read is a mark.
        Err(error) => Mark::Set(crate::text::one_line(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Board, Ended};

    fn known(change: impl FnOnce(&mut State)) -> Known {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("state.json");
        Board::open(Some(&path)).change(change);
        let Ok(Reading::Found(state)) = state::read(&path) else { panic!("no state") };
        let seen = Seen::about(&state, &path);
        Known { unfit: state.stale(&seen), state: Some(state), seen: Some(seen), mark: Mark::Hidden }
    }

    fn standing(change: impl FnOnce(&mut State)) -> Standing {
        known(change).standing()
    }

    #[test]
    fn only_a_service_that_serves_unhindered_is_ready() {
        let ready = |life: Life| standing(|state| state.state = life) == Standing::Ready;
        let found: Vec<Life> = Life::ALL.into_iter().filter(|life| ready(*life)).collect();
        assert_eq!(found, [Life::Ready, Life::Reloading]);
        for change in [
            (|state: &mut State| state.degraded = Some("away".to_owned())) as fn(&mut State),
            |state| state.alert = Some("patched".to_owned()),
            |state| state.boot_id = "another".to_owned(),
            |state| state.verifier.started_ticks += 1,
            |state| state.since.boot_ms = u64::MAX,
        ] {
            let standing = standing(|state| {
                state.state = Life::Ready;
                change(state);
            });
            assert!(matches!(&standing, Standing::NotReady(why) if !why.is_empty()), "{standing:?}");
        }
    }

    #[test]
    fn a_mark_locks_whatever_the_state_says_and_its_absence_unlocks() {
        let locked = |state: &mut State| {
            state.state = Life::Locked;
            state.ended = Some(Ended { exit_code: 77, why: "wrong digest".to_owned() });
        };
        assert_eq!(standing(locked), Standing::Locked("wrong digest".to_owned()));
        let unlocked = Known { mark: Mark::NotSet, ..known(locked) };
        assert!(matches!(unlocked.standing(), Standing::NotReady(why) if why.contains("unlocked")));
        let marked = Known { mark: Mark::Set("x".to_owned()), ..known(|state| state.state = Life::Ready) };
        assert_eq!(marked.standing(), Standing::Locked("x".to_owned()));
        let nothing = Known { state: None, unfit: Some("none".to_owned()), seen: None, mark: Mark::Hidden };
        assert_eq!(nothing.standing().exit_code(), 69);
    }
}
