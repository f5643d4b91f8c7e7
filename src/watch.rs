//! Watching: the sidecar runs, and it is measured again and again. Yields why that ended.

mod budget;

use std::io;
use std::time::Duration;

use contract::{Digest, exit};
use tokio::time::{Instant, MissedTickBehavior};

pub use budget::{OverBudget, RestartLog};

use crate::blocking;
use crate::launch::{Child, LaunchError, Stopped};
use crate::measure::{self, MeasureError};

/// The running image is not what was appraised, or can no longer be told to be: both end the sidecar, but only
/// the first is tampering. A host that stood still, or a disk that did, must not lock a validator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the finding")]
pub enum Finding {
    #[error("the running image is {found}, but {expected} was appraised")]
    OtherImage { expected: Digest, found: Digest },
    #[error("the running image cannot be measured")]
    Unmeasurable(#[source] MeasureError),
    #[error("start a thread to measure the running image on")]
    NoThread(#[source] io::Error),
    #[error("measuring the running image took longer than {0:?}")]
    TooSlow(Duration),
}

impl Finding {
    /// Exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OtherImage { .. } => exit::INTEGRITY,
            Self::Unmeasurable(error) => error.exit_code(),
            Self::TooSlow(_) | Self::NoThread(_) => exit::OS,
        }
    }
}

/// Why watching ended.
#[derive(Debug)]
pub enum Outcome {
    /// The sidecar ended by itself.
    Ended(Stopped),
    /// It must not go on.
    Found(Finding),
}

/// How often to check: as configured, but always twice within systemd's watchdog time, since a ping is the
/// result of a check and of nothing else.
pub fn effective_interval(configured: Duration, watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(configured, |watchdog| configured.min(watchdog / 2))
}

/// Measures the image that `child` runs every `interval` and calls `passed` after each check that passed in
/// time. Returns when the sidecar ended or must not go on. Safe to drop half-way.
///
/// # Errors
/// [`LaunchError::Wait`] when the child's end cannot be waited for.
pub async fn watch(
    child: &mut Child,
    expected: Digest,
    interval: Duration,
    mut passed: impl FnMut(Duration),
) -> Result<Outcome, LaunchError> {
    let pid = child.pid();
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // An end explains a failed measurement, so it is looked at first.
            biased;
            ended = child.ended() => return ended.map(Outcome::Ended),
            _ = ticks.tick() => {}
        }
        let began = Instant::now();
        let finding = match check(pid, expected, deadline(interval)).await {
            Ok(()) => {
                passed(began.elapsed());
                continue;
            }
            Err(finding) => finding,
        };
        // A sidecar that ended while it was measured has no image any more: that is a crash, not tampering.
        // An image that could be measured and is another one is tampering even if the process is gone now.
        if matches!(finding, Finding::Unmeasurable(_))
            && let Some(ended) = child.ended_already().await?
        {
            return Ok(Outcome::Ended(ended));
        }
        return Ok(Outcome::Found(finding));
    }
}

/// A check that takes this long is no check: hashing the largest image takes a second.
fn deadline(interval: Duration) -> Duration {
    interval.max(Duration::from_secs(10))
}

async fn check(pid: u32, expected: Digest, deadline: Duration) -> Result<(), Finding> {
    let measuring = blocking::run(move || measure::running(pid));
    let measured = match tokio::time::timeout(deadline, measuring).await {
        Err(_) => return Err(Finding::TooSlow(deadline)),
        Ok(measured) => measured.map_err(Finding::NoThread)?,
    };
    match measured.map_err(Finding::Unmeasurable)? {
        found if found == expected => Ok(()),
        found => Err(Finding::OtherImage { expected, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_comes_twice_in_the_watchdogs_time_whatever_is_configured() {
        let seconds = Duration::from_secs;
        assert_eq!(effective_interval(seconds(10), None), seconds(10));
        assert_eq!(effective_interval(seconds(10), Some(seconds(60))), seconds(10));
        assert_eq!(effective_interval(seconds(10), Some(seconds(6))), seconds(3));
    }

    #[tokio::test]
    async fn another_image_than_the_appraised_one_is_a_finding() {
        let pid = std::process::id();
        let own = measure::running(pid).expect("measured");
        assert!(check(pid, own, Duration::from_secs(10)).await.is_ok());
        let finding = check(pid, Digest::new([0; 32]), Duration::from_secs(10)).await.expect_err("found");
        assert!(matches!(finding, Finding::OtherImage { found, .. } if found == own));
    }

    #[tokio::test]
    async fn an_image_that_cannot_be_measured_is_a_finding_and_never_a_pass() {
        let finding = check(u32::MAX, Digest::new([0; 32]), Duration::from_secs(10)).await.expect_err("found");
        assert!(matches!(finding, Finding::Unmeasurable(_)));
    }
}
