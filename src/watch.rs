//! Watching: the sidecar runs, and everything that was true at its start is looked at again and again. Yields why that
//! ended.
//!
//! The timed check is the authority; what changes on disk makes the next check come at once. A check that passed, and
//! nothing else, is what WATCHDOG tells systemd. Bound from a change to its event: one interval and the time of a check.

mod budget;
mod disk;
mod files;
mod finding;
mod health;
mod inspect;
mod process;
mod quarantine;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::wire::Metrics;
use tokio::sync::oneshot;
use tokio::time::{Instant, Interval, MissedTickBehavior};

pub use budget::{OverBudget, RestartLog};
pub use disk::{DiskCheck, OnDisk};
pub use files::{Hint, Hints, mounts_over};
pub use finding::Finding;
pub use health::{Asking, Change, Health, HealthSettings};
pub use inspect::{Inspector, Looked, Rules};
pub use process::{MappingFinding, ProcessFinding};
pub use quarantine::{Evidence, Gathering, forget_oldest};

use crate::blocking;
use crate::launch::{self, Child, LaunchError, Stopped};

/// Something that whoever watches tells, and that does not end the watch.
#[derive(Debug)]
pub enum Seen {
    /// A full check was done in time.
    Checked {
        /// How long it took.
        took: Duration,
        /// What else it brought to light.
        looked: Looked,
    },
    /// What a check brought to light that also found what should not be there; that comes next.
    Looked(Looked),
    /// The file on disk and the reference values, as the look at them that goes with each check found them.
    OnDisk(OnDisk),
    /// Web3Signer is away, for this reason; or for another one than before.
    SignerLost(String),
    /// Web3Signer is back.
    SignerBack,
    /// Something else was mounted over the binary.
    Mounted(Vec<String>),
}

/// Why watching ended.
#[derive(Debug)]
pub enum Outcome {
    /// The sidecar ended by itself.
    Ended(Stopped),
    /// It does not answer any more.
    Hung(String),
    /// It must not go on.
    Found(Finding),
}

/// Whoever writes a file in pieces gives a hint for each: the check waits this long for the last one.
const SETTLE: Duration = Duration::from_millis(10);

/// How often to check: as configured, but always twice within systemd's watchdog time, since a ping is the
/// result of a check and of nothing else.
pub fn effective_interval(configured: Duration, watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(configured, |watchdog| configured.min(watchdog / 2))
}

/// The watch over one sidecar. It goes on where it was when a call of [`Watch::next`] was dropped half-way.
#[derive(Debug)]
pub struct Watch {
    interval: Duration,
    ticks: Interval,
    /// None where the host has none to give: then there is the timed check alone.
    hints: Option<Hints>,
    health: Health,
    asking: Asking,
    inspector: Arc<Mutex<Inspector>>,
    /// For the next look, which is the one to apply them: nobody waits for one that is under way.
    rules: Option<Rules>,
    disk: DiskCheck,
    /// The last look at the disk, while it is under way.
    disk_look: Option<DiskLook>,
    mounts: Vec<String>,
    /// A check is due: set when it is known, and taken back when one begins.
    due: bool,
    check: Option<Check>,
    /// What a check found, until it was judged: whoever drops [`Watch::next`] meanwhile must not lose it.
    found: VecDeque<Finding>,
    /// The last check found no image in a process that lives.
    unseen: bool,
}

/// A look at the disk that is under way.
#[derive(Debug)]
struct DiskLook {
    began: Instant,
    look: oneshot::Receiver<OnDisk>,
    /// It was told that it takes long.
    slow: bool,
    /// A check that came meanwhile may be about a change that this look was too early for.
    again: bool,
}

/// A check that is under way.
#[derive(Debug)]
struct Check {
    began: Instant,
    look: oneshot::Receiver<Result<Looked, ProcessFinding>>,
}

impl Watch {
    /// Begins to watch; the first check comes at once, the first timed one after one interval. `mounts` are those over the
    /// binary when it was measured.
    pub fn new(
        interval: Duration,
        hints: Option<Hints>,
        health: Health,
        asking: Asking,
        inspector: Arc<Mutex<Inspector>>,
        disk: DiskCheck,
        mounts: Vec<String>,
    ) -> Self {
        Self {
            interval,
            ticks: ticks(interval),
            hints,
            health,
            asking,
            inspector,
            rules: None,
            disk,
            disk_look: None,
            mounts,
            // What changed on disk since the binary was measured gave no hint yet.
            due: true,
            check: None,
            found: VecDeque::new(),
            unseen: false,
        }
    }

    /// Other intervals, files and policies from now on, as after a reload.
    pub fn change(
        &mut self,
        interval: Duration,
        hints: Option<Hints>,
        health: HealthSettings,
        asking: Asking,
        disk: DiskCheck,
        rules: Rules,
    ) {
        if interval != self.interval {
            (self.interval, self.ticks) = (interval, ticks(interval));
        }
        self.health.forgive(health.failures);
        (self.hints, self.asking, self.disk, self.due) = (hints, asking, disk, true);
        // A look under the old policy says nothing about the new one.
        self.disk_look = None;
        self.rules = Some(rules);
    }

    /// Why the signer could not be used when it was asked about last.
    pub fn signer_trouble(&self) -> Option<String> {
        self.asking.signer_trouble()
    }

    /// What the sidecar counted of its clients' requests, where it counts.
    pub fn requests(&self) -> Option<Metrics> {
        self.asking.requests()
    }

    /// Waits for what happens next. `is_shut_down` looks at the public socket. Safe to drop half-way: a check that is under
    /// way goes on, and the next call waits for it.
    ///
    /// # Errors
    /// Why the watch ended; [`LaunchError::Wait`] when the child's end cannot be waited for.
    pub async fn next(
        &mut self,
        child: &mut Child,
        is_shut_down: impl Fn() -> io::Result<bool>,
    ) -> Result<Result<Seen, Outcome>, LaunchError> {
        loop {
            if let Some(finding) = self.found.front() {
                let meaning = explained(child, finding).await?;
                // Taken only now that nothing is waited for any more.
                let found = self.found.pop_front().map(Outcome::Found);
                match meaning {
                    Meaning::Other(outcome) => return Ok(Err(outcome)),
                    // A program that is executed by another thread than the first has no image for a moment.
                    Meaning::Unseen if !self.unseen => (self.unseen, self.due) = (true, true),
                    Meaning::Unseen | Meaning::Itself => {
                        if let Some(found) = found {
                            return Ok(Err(found));
                        }
                    }
                }
            }
            if self.due && self.check.is_none() {
                if self.mounts_changed() {
                    self.mounts = mounts_over(&self.disk.path).unwrap_or_default();
                    return Ok(Ok(Seen::Mounted(self.mounts.clone())));
                }
                match is_shut_down() {
                    Ok(false) => {}
                    Ok(true) => return Ok(Err(Outcome::Found(Finding::SocketShutDown))),
                    Err(error) => return Ok(Err(Outcome::Found(Finding::LookAtSocket(error)))),
                }
                if let Err(error) = self.begin_check() {
                    return Ok(Err(Outcome::Found(Finding::NoThread(error))));
                }
            }
            tokio::select! {
                // An end explains a failed measurement, so it is looked at first.
                biased;
                ended = child.ended() => return ended.map(|how| Err(Outcome::Ended(how))),
                answer = self.asking.next() => match self.health.take(answer) {
                    None => {}
                    Some(Change::Lost(why)) => return Ok(Ok(Seen::SignerLost(why))),
                    Some(Change::Back) => return Ok(Ok(Seen::SignerBack)),
                    Some(Change::Hung(why)) => return Ok(Err(Outcome::Hung(why))),
                    Some(Change::Forged(error)) => return Ok(Err(Outcome::Found(Finding::Forged(error)))),
                },
                (began, looked) = looked(&mut self.check, deadline(self.interval)) => {
                    self.check = None;
                    self.unseen &= looked.is_err();
                    match looked {
                        Ok(looked) if looked.findings.is_empty() => {
                            return Ok(Ok(Seen::Checked { took: began.elapsed(), looked }));
                        }
                        Ok(mut looked) => {
                            self.found.extend(looked.findings.drain(..).map(Finding::from));
                            return Ok(Ok(Seen::Looked(looked)));
                        }
                        Err(finding) => self.found.push_back(finding),
                    }
                }
                (on_disk, again) = disk_looked(&mut self.disk_look, &self.disk.path) => {
                    if again {
                        self.begin_disk_look();
                    }
                    return Ok(Ok(Seen::OnDisk(on_disk)));
                }
                hint = next_hint(&mut self.hints) => match hint {
                    // Most mounts of a host are none of ours.
                    Hint::Mounts => self.due |= self.mounts_changed(),
                    Hint::Overflow => self.due = true,
                    Hint::File => {
                        self.due = true;
                        tokio::time::sleep(SETTLE).await;
                        if let Some(hints) = &self.hints {
                            hints.forget();
                        }
                    }
                },
                _ = self.ticks.tick() => self.due = true,
            }
        }
    }

    /// Starts both looks, each on a thread of its own: the one at the process must not wait for a disk.
    fn begin_check(&mut self) -> io::Result<()> {
        self.due = false;
        // Before anything is read: what changes from here on gives a hint.
        if let Some(hints) = &mut self.hints {
            hints.arm();
        }
        let (inspector, rules) = (Arc::clone(&self.inspector), self.rules.take());
        let look = blocking::start(move || {
            let mut inspector = inspector.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(rules) = rules {
                inspector.change(rules);
            }
            inspector.look()
        })?;
        self.check = Some(Check { began: Instant::now(), look });
        match &mut self.disk_look {
            None => self.begin_disk_look(),
            // One that stands still is waited for, and not joined by another.
            Some(under_way) => under_way.again = true,
        }
        Ok(())
    }

    /// Where the system has no thread for it, the next check tries again.
    fn begin_disk_look(&mut self) {
        let disk = self.disk.clone();
        let started = blocking::start(move || disk.look()).ok();
        self.disk_look = started.map(|look| DiskLook { began: Instant::now(), look, slow: false, again: false });
    }

    /// Whether the mounts over the binary are not what they were.
    fn mounts_changed(&self) -> bool {
        mounts_over(&self.disk.path).is_ok_and(|now| now != self.mounts)
    }
}

/// The outcome of the check that is under way; never returns where there is none.
async fn looked(check: &mut Option<Check>, deadline: Duration) -> (Instant, Result<Looked, Finding>) {
    let Some(Check { began, look }) = check else { return std::future::pending().await };
    let looked = match tokio::time::timeout_at(*began + deadline, blocking::wait(look)).await {
        Err(_) => Err(Finding::TooSlow(deadline)),
        Ok(looked) => looked.map_err(Finding::from),
    };
    (*began, looked)
}

async fn next_hint(hints: &mut Option<Hints>) -> Hint {
    match hints {
        Some(hints) => hints.next().await,
        None => std::future::pending().await,
    }
}

/// What the look at the disk brought, and whether another one is wanted; never returns where there is none. One that takes
/// long says so once, and is waited for: a disk is no reason to end a sidecar that runs from memory.
async fn disk_looked(under_way: &mut Option<DiskLook>, path: &Path) -> (OnDisk, bool) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let Some(DiskLook { began, look, slow, again }) = under_way else { return std::future::pending().await };
    let on_disk = if *slow {
        blocking::wait(look).await
    } else {
        match tokio::time::timeout_at(*began + PATIENCE, blocking::wait(look)).await {
            Ok(on_disk) => on_disk,
            Err(_) => {
                *slow = true;
                let why = format!("looking at {} takes longer than {PATIENCE:?}", path.display());
                return (OnDisk::Unusable { why }, false);
            }
        }
    };
    // On a disk that slow the timed check is often enough.
    let again = *again && !*slow;
    *under_way = None;
    (on_disk, again)
}

/// What a finding really is.
enum Meaning {
    /// What it says.
    Itself,
    /// This.
    Other(Outcome),
    /// Nothing was there to look at, in a process that lives.
    Unseen,
}

/// What a finding really is. A sidecar that ended while it was measured has no image any more: that is a crash, not
/// tampering. An image that could be measured and is another one is tampering even if the process is gone now.
async fn explained(child: &mut Child, finding: &Finding) -> Result<Meaning, LaunchError> {
    if !finding.may_be_absence() {
        return Ok(Meaning::Itself);
    }
    if let Some(ended) = child.ended_already().await? {
        return Ok(Meaning::Other(Outcome::Ended(ended)));
    }
    let pid = child.pid();
    let headless = || Meaning::Other(Outcome::Found(Finding::Process(ProcessFinding::Headless { pid })));
    Ok(if launch::is_headless(pid) { headless() } else { Meaning::Unseen })
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A check that takes this long is no check: hashing the largest image takes a second.
fn deadline(interval: Duration) -> Duration {
    interval.max(Duration::from_secs(10))
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
}
