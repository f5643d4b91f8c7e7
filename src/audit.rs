//! The audit trail: what happened, as typed events. Not logging: an event is a statement that somebody may
//! be held to, so each kind has a fixed id and fixed fields, and its delivery is checked.

pub mod chain;
pub mod checkpoint;
pub mod entry;
mod event;
mod journal;
pub mod kept;
mod mailbox;
mod record;
pub mod report;
pub mod source;
mod trail;
pub mod verify;

use std::path::Path;
use std::time::{Duration, Instant};

use chain::{Link, Moment};
pub use event::{Action, Adopted, Event, Severity};
use mailbox::Mailbox;
use trail::Opener;

use crate::journald;
use crate::text::sanitise;

/// Where events go: to journald where this process was started by systemd, else to standard error as text.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    boot: String,
    started: Instant,
}

#[derive(Debug)]
enum Sink {
    Journal(Mailbox),
    Text,
}

impl Audit {
    /// Opens the trail of the service, whose chain is kept in `state_dir`.
    pub fn open(state_dir: &Path) -> Self {
        Self::open_as(Opener::Service, journald::stderr_is_journal(), state_dir)
    }

    /// Opens the trail for a command that an operator runs by hand, on a host where journald keeps it.
    pub fn open_for_command(state_dir: &Path) -> Self {
        Self::open_as(Opener::Command, journald::is_there(), state_dir)
    }

    fn open_as(opener: Opener, journal: bool, state_dir: &Path) -> Self {
        let boot = crate::clock::boot_id().unwrap_or_default().replace('-', "");
        // What is not known is said in the form of what would be.
        let boot = if boot.len() == 32 { boot } else { "0".repeat(32) };
        let mut audit = Self { sink: Sink::Text, boot, started: Instant::now() };
        if journal {
            audit.sink = Sink::Journal(Mailbox::open(state_dir.to_owned(), opener, audit.now()));
        }
        audit
    }

    /// Records an event, in the chain. One that journald does not take now waits in order, on disk, up to a bound;
    /// what falls off is itself an event. Nothing here blocks, not even a fallback: standard error leads to
    /// the same journald.
    pub fn record(&self, event: &Event) {
        self.record_in(None, event);
    }

    /// Records an event that is a step of a start, with its number: `[3/9] Accepted …`.
    pub fn record_step(&self, number: u8, event: &Event) {
        self.record_in(Some(number), event);
    }

    fn record_in(&self, step: Option<u8>, event: &Event) {
        match &self.sink {
            Sink::Journal(mailbox) => mailbox.put(record::happened(step, event, self.now())),
            Sink::Text => self.write_text(step, event),
        }
    }

    fn now(&self) -> Moment {
        let (monotonic, wall) = (crate::clock::monotonic_micros(), crate::clock::now_micros());
        Moment { boot: self.boot.clone(), monotonic, wall }
    }

    /// The last entry of the chain that is on disk; none where there is no chain, as on a terminal.
    pub fn head(&self) -> Option<Link> {
        match &self.sink {
            Sink::Journal(mailbox) => mailbox.link(),
            Sink::Text => None,
        }
    }

    /// How many events journald does not have yet.
    pub fn waiting(&self) -> u64 {
        match &self.sink {
            Sink::Journal(mailbox) => mailbox.waiting(),
            Sink::Text => 0,
        }
    }

    /// Waits until journald has every event, and says whether it has, within this time.
    pub async fn delivered(&self, within: Duration) -> bool {
        const BETWEEN: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + within;
        while self.waiting() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        true
    }

    /// Closes the trail, and gives journald a last chance to take what waits, before the process ends.
    ///
    /// # Errors
    /// What was not delivered, and whether the next start will.
    pub fn close(&self) -> std::io::Result<()> {
        match &self.sink {
            Sink::Journal(mailbox) => mailbox.close(),
            Sink::Text => Ok(()),
        }
    }

    /// Whether a refusal that was recorded is in the journal already, and need not be printed once more.
    pub const fn is_journal(&self) -> bool {
        matches!(self.sink, Sink::Journal(_))
    }

    fn write_text(&self, step: Option<u8>, event: &Event) {
        use std::io::Write as _;
        // `main` prints the refusal, once.
        if matches!(event, Event::Refused { .. }) {
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let _ = writeln!(std::io::stderr(), "[{seconds:8.3}s] {}", sanitise(&in_step(step, event)));
    }
}

/// How many steps a start has (CONTRACT: start-up).
const STEPS: u8 = 9;

/// The message of an event, with the step of a start that it is.
pub fn in_step(step: Option<u8>, event: &Event) -> String {
    match step {
        Some(number) => format!("[{number}/{STEPS}] {}", event.message()),
        None => event.message(),
    }
}
