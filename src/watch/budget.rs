//! How many crashes are answered with a restart, and how long each waits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use contract::exit;

use crate::config::RestartBudget;
use crate::fault::{Fault, Severity};

/// The sidecar crashed more often than is forgiven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{crashes} crashes within {within:?}, the last: {last}")]
pub struct OverBudget {
    crashes: usize,
    within: Duration,
    last: String,
}

impl Fault for OverBudget {
    fn exit_code(&self) -> u8 {
        exit::CRASH_BUDGET
    }

    fn severity(&self) -> Severity {
        Severity::Slip
    }
}

/// The crashes that still count.
#[derive(Debug)]
pub struct RestartLog {
    budget: RestartBudget,
    crashes: VecDeque<Instant>,
}

/// One restart that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Which one within the window, from 1.
    pub attempt: u32,
    /// How long to wait before it.
    pub after: Duration,
}

impl RestartLog {
    /// An empty log.
    pub const fn new(budget: RestartBudget) -> Self {
        Self { budget, crashes: VecDeque::new() }
    }

    /// Another budget from now on; the crashes so far count in it.
    pub const fn change(&mut self, budget: RestartBudget) {
        self.budget = budget;
    }

    /// The restart after a wait for the signer that was in vain: at once, since it took its time, and not counted.
    pub fn waited(&self) -> Restart {
        let attempt = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX).saturating_add(1);
        Restart { attempt, after: Duration::ZERO }
    }

    /// Notes a crash at `now` and says whether it is answered with a restart.
    ///
    /// # Errors
    /// [`OverBudget`].
    pub fn crashed(&mut self, now: Instant, how: &str) -> Result<Restart, OverBudget> {
        while self.crashes.front().is_some_and(|first| now.duration_since(*first) > self.budget.within) {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        let crashes = self.crashes.len();
        let attempt = u32::try_from(crashes).unwrap_or(u32::MAX);
        if attempt > self.budget.max {
            return Err(OverBudget { crashes, within: self.budget.within, last: how.to_owned() });
        }
        Ok(Restart { attempt, after: backoff(attempt) })
    }
}

/// None before the first, since clients wait; then doubling from 100 ms up to 5 s.
fn backoff(attempt: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    match attempt {
        0 | 1 => Duration::ZERO,
        n => FIRST.saturating_mul(2_u32.saturating_pow(n - 2)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_forgiven_up_to_the_budget_and_forgotten_after_its_time() {
        let budget = RestartBudget { max: 2, within: Duration::from_secs(60) };
        let mut log = RestartLog::new(budget);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(log.crashed(at(0), "x").map(|restart| restart.attempt), Ok(1));
        assert_eq!(log.crashed(at(1), "x").map(|restart| restart.attempt), Ok(2));
        assert!(log.crashed(at(2), "signal KILL").expect_err("over").to_string().contains("signal KILL"));
        assert_eq!(log.crashed(at(100), "x").map(|restart| restart.attempt), Ok(1));
    }

    #[test]
    fn a_wait_for_the_signer_uses_up_nothing() {
        let mut log = RestartLog::new(RestartBudget { max: 1, within: Duration::from_secs(60) });
        for _ in 0..100 {
            assert_eq!(log.waited(), Restart { attempt: 1, after: Duration::ZERO });
        }
        assert!(log.crashed(Instant::now(), "x").is_ok());
    }

    #[test]
    fn the_wait_doubles_and_is_bounded() {
        let waits: Vec<u128> = (1..=9).map(|attempt| backoff(attempt).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff(u32::MAX), Duration::from_secs(5));
    }
}
