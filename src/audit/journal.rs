//! journald's native protocol: one datagram an event, a failure to deliver is seen.
//!
//! tracing-journald ignores send errors, which is right for diagnostics and wrong here.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::{journald, sys};

/// How long a journald that does not read is waited for at the end of the process.
const MOMENT: Duration = Duration::from_millis(250);
/// How long journald is given, once it has read an entry, to look up its sender in `/proc`.
const LOOKUP: Duration = Duration::from_millis(5);

/// journald's socket.
#[derive(Debug)]
pub(super) struct Journal {
    path: std::path::PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self::at(journald::SOCKET.into())
    }

    /// One at another place, for tests.
    pub(super) const fn at(path: std::path::PathBuf) -> Self {
        Self { path, socket: None }
    }

    /// Delivers one entry, or says why journald does not take it now. Never waits.
    pub(super) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(journald::connect(&self.path)?),
        };
        let sent = socket.send(datagram);
        if let Err(error) = &sent
            && error.kind() != io::ErrorKind::WouldBlock
        {
            // A journald that was restarted listens on another socket.
            self.socket = None;
        }
        sent.map(drop)
    }

    /// Waits a moment for journald to read what it was sent, and to look up who sent it. Of a process that has ended it
    /// knows neither the unit nor the program, and `journalctl --unit` would not show its last words.
    pub(super) fn wait_until_read(&self) {
        let Some(socket) = &self.socket else { return };
        let until = Instant::now() + MOMENT;
        while sys::unread(socket).is_ok_and(|bytes| bytes > 0) {
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(LOOKUP / 5);
        }
        std::thread::sleep(LOOKUP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the end of a process would wait for a journald that reads after this time; none: never.
    fn waited(reads_after: Option<Duration>) -> Duration {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let journald = UnixDatagram::bind(&path).expect("bound");
        let mut journal = Journal::at(path);
        journal.send(b"MESSAGE=last words").expect("sent");
        let (journald, start) = (&journald, Instant::now());
        std::thread::scope(|scope| {
            if let Some(after) = reads_after {
                scope.spawn(move || {
                    std::thread::sleep(after);
                    journald.recv(&mut [0; 64]).expect("read");
                });
            }
            journal.wait_until_read();
            start.elapsed()
        })
    }

    #[test]
    fn the_last_words_are_waited_for_until_they_are_read_and_not_for_ever() {
        let late = Duration::from_millis(50);
        let waited_for_late = waited(Some(late));
        let waited_for_none = waited(None);
        assert!(waited_for_late >= late && waited_for_late < waited_for_none, "{waited_for_late:?}");
        assert!(waited_for_none >= MOMENT && waited_for_none < 4 * MOMENT, "{waited_for_none:?}");
    }

    #[test]
    fn nothing_is_waited_for_where_nothing_was_said() {
        let start = Instant::now();
        Journal::at("/nonexistent".into()).wait_until_read();
        assert!(start.elapsed() < MOMENT);
    }
}
