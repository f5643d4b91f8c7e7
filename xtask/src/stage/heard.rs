//! What a program says, line by line, each with the time at which it came.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A line and when it was read.
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// The lines of one program, in order. They are written to its log as well.
pub(crate) struct Heard(Receiver<Line>);

impl Heard {
    /// Gives the end that the program writes to.
    pub(super) fn listen(log: &Path) -> io::Result<(Self, OwnedFd)> {
        let (from, to) = io::pipe()?;
        let (lines, heard) = channel();
        let log = log.to_owned();
        // Ends with the last of those who hold the other end.
        std::thread::spawn(move || {
            for text in BufReader::new(from).lines() {
                let at = Instant::now();
                let Ok(text) = text else { return };
                // After the clock: the log may be slow. One that cannot be written is missed by nobody but people.
                if let Ok(mut log) = OpenOptions::new().append(true).create(true).open(&log) {
                    let _ = writeln!(log, "{text}");
                }
                // Nobody listens any more: the program must be able to write all the same.
                let _ = lines.send(Line { at, text });
            }
        });
        Ok((Self(heard), to.into()))
    }

    /// The next line; `None` when none comes until then, or none will ever come.
    pub(crate) fn next(&self, until: Instant) -> Option<Line> {
        match self.0.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => {
                // Not at once: who waits in steps would spin.
                std::thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(5)));
                None
            }
            Err(RecvTimeoutError::Timeout) => None,
        }
    }
}
