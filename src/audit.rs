//! The audit trail: what happened, as typed events. Not logging: an event is a statement that somebody may
//! be held to, so each kind has a fixed id and fixed fields, and its delivery is checked.

pub mod chain;
pub mod entry;
mod event;
mod journal;

use std::cell::RefCell;
use std::time::{Duration, Instant};

pub use event::{Action, Event, Severity};
use journal::Journal;
pub use journal::{is_ours as stderr_is_journal, takes as journal_takes};

/// Where events go: to journald where this process was started by systemd, else to standard error as text.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    started: Instant,
}

#[derive(Debug)]
enum Sink {
    Journal(RefCell<Journal>),
    Text,
}

impl Audit {
    /// Opens the trail.
    pub fn open() -> Self {
        let sink = if stderr_is_journal() { Sink::Journal(RefCell::new(Journal::new())) } else { Sink::Text };
        Self { sink, started: Instant::now() }
    }

    /// Opens the trail for a command that an operator runs by hand, on a host where journald keeps it.
    pub fn open_for_command() -> Self {
        let sink = if journal::is_there() { Sink::Journal(RefCell::new(Journal::new())) } else { Sink::Text };
        Self { sink, started: Instant::now() }
    }

    /// Records an event. One that journald does not take now waits in order for the next, up to a bound;
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
            Sink::Journal(journal) => drop(journal.borrow_mut().send(step, event)),
            Sink::Text => self.write_text(step, event),
        }
    }

    /// Gives journald a last chance to take what waits, before the process ends.
    ///
    /// # Errors
    /// Why some of it is lost.
    pub fn close(&self) -> std::io::Result<()> {
        const TRIES: u32 = 20;
        const BETWEEN: Duration = Duration::from_millis(50);
        let Sink::Journal(journal) = &self.sink else { return Ok(()) };
        for _ in 1..TRIES {
            if journal.borrow_mut().flush().is_ok() {
                return Ok(());
            }
            std::thread::sleep(BETWEEN);
        }
        journal.borrow_mut().flush()
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

/// Text that may come from outside, made harmless: no line breaks, no control bytes, no escape sequences, no
/// more than a kilobyte.
pub fn sanitise(text: &str) -> String {
    sanitise_up_to(text, 1024)
}

/// The same with another bound, in bytes.
pub fn sanitise_up_to(text: &str, longest: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(longest));
    for character in text.chars() {
        if clean.len() >= longest {
            clean.push('…');
            break;
        }
        match character {
            // Also the characters that turn or hide text on a terminal: bidirectional controls and the like.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}') =>
            {
                clean.extend(c.escape_unicode());
            }
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_start_a_line_or_an_escape_sequence() {
        let hostile = "ok\nREADY=1\r\x1b[31m\0\u{202e}";
        let clean = sanitise(hostile);
        assert!(!clean.chars().any(char::is_control), "{clean:?}");
        assert!(clean.starts_with("ok\\u{a}READY=1"), "{clean:?}");
    }

    #[test]
    fn a_megabyte_is_cut_to_a_kilobyte() {
        assert!(sanitise(&"é".repeat(1024 * 1024)).len() <= 1024 + 8);
        assert_eq!(sanitise("short"), "short");
    }
}
