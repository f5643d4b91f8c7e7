//! The sidecar's own lines. They come through a pipe, so that the last of them can be kept as evidence and none of them
//! can hold the sidecar up; they go to the journal by a stream of their own, under the name `cryfttee`, or to standard
//! error. On the verifier's own stream they would read as the verifier's words.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::Interest;
use tokio::task::JoinHandle;

use crate::text::sanitise_up_to;
use crate::{journald, sys};

/// `LOG_INFO`.
const PRIORITY: u8 = 6;
/// What is kept of the sidecar's lines, for evidence.
const KEPT: usize = 64 * 1024;
/// A longer line is cut.
const LONGEST_LINE: usize = 4 * 1024;

/// What was read of a sidecar's output. The relay ends when this is dropped.
#[derive(Debug)]
pub struct Output {
    relay: Arc<Mutex<Relay>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Relay {
    reader: File,
    sink: Sink,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    kept: VecDeque<u8>,
    dropped: u64,
    /// The sink took nothing a moment ago, and is not asked again in this turn.
    full: bool,
}

/// How much of what the pipe holds was relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    /// All of it.
    All,
    /// There may be more.
    Some,
    /// All of it, and nobody can write to it any more.
    End,
}

#[derive(Debug)]
enum Sink {
    Journal(UnixStream),
    Stderr,
}

impl Output {
    /// Makes the pipe and starts to relay; the other end is the child's.
    ///
    /// # Errors
    /// No pipe can be had, or journald does not take streams.
    pub(super) fn open() -> io::Result<(OwnedFd, Self)> {
        let (reader, writer) = io::pipe()?;
        let reader = File::from(OwnedFd::from(reader));
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let ready = sys::register(reader.as_fd().try_clone_to_owned()?, Interest::READABLE)?;
        let relay =
            Relay { reader, sink: Sink::open()?, line: Vec::new(), kept: VecDeque::new(), dropped: 0, full: false };
        let relay = Arc::new(Mutex::new(relay));
        let shared = Arc::clone(&relay);
        let task = tokio::spawn(async move {
            while let Ok(mut ready) = ready.readable().await {
                let passed = shared.lock().unwrap_or_else(PoisonError::into_inner).pass_on();
                match passed {
                    Passed::All => ready.clear_ready(),
                    // There is more, and nothing will say so again. Others get their turn first.
                    Passed::Some => tokio::task::yield_now().await,
                    Passed::End => return,
                }
            }
        });
        Ok((writer.into(), Self { relay, task }))
    }

    /// Relays what is still in the pipe, and gives the last lines. Does not wait for more.
    pub fn last_words(&self) -> String {
        let mut relay = self.relay.lock().unwrap_or_else(PoisonError::into_inner);
        relay.pass_on();
        relay.end_line();
        String::from_utf8_lossy(relay.kept.make_contiguous()).into_owned()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.task.abort();
        let mut relay = self.relay.lock().unwrap_or_else(PoisonError::into_inner);
        relay.pass_on();
        relay.end_line();
    }
}

impl Relay {
    /// Relays what the pipe holds now, or a good part of it.
    fn pass_on(&mut self) -> Passed {
        let mut chunk = [0; 4096];
        // Bounded: a sidecar that writes without end must not keep the verifier from its work.
        self.full = false;
        for _ in 0..8 {
            match self.reader.read(&mut chunk) {
                Ok(0) => return Passed::End,
                Ok(count) => self.take(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Passed::All,
            }
        }
        Passed::Some
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                // The rest of a line that is too long is left out, and sanitise_up_to says so.
                _ if self.line.len() > LONGEST_LINE => {}
                byte => self.line.push(*byte),
            }
        }
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        if self.full {
            self.line.clear();
            self.dropped += 1;
            return;
        }
        let mut line = sanitise_up_to(&String::from_utf8_lossy(&self.line), LONGEST_LINE);
        self.line.clear();
        line.push('\n');
        self.keep(line.as_bytes());
        if self.dropped > 0 {
            let told = format!("cryftgo-tee: {} lines of the sidecar before this one were dropped\n", self.dropped);
            if !self.sink.write(told.as_bytes()) {
                self.full = true;
                self.dropped += 1;
                return;
            }
            self.dropped = 0;
        }
        if !self.sink.write(line.as_bytes()) {
            self.full = true;
            self.dropped += 1;
        }
    }

    fn keep(&mut self, line: &[u8]) {
        let surplus = (self.kept.len() + line.len()).saturating_sub(KEPT);
        self.kept.drain(..surplus.min(self.kept.len()));
        self.kept.extend(line);
    }
}

impl Sink {
    fn open() -> io::Result<Self> {
        if !journald::stderr_is_journal() {
            return Ok(Self::Stderr);
        }
        let mut stream = UnixStream::connect(journald::STREAM)?;
        // The protocol's seven lines: name, unit (journald knows it better), priority, whether "<3>" at a line's
        // start is one, and whether to forward to syslog, the kernel's log and the console.
        write!(stream, "cryfttee\n\n{PRIORITY}\n0\n0\n0\n0\n")?;
        stream.shutdown(std::net::Shutdown::Read)?;
        stream.set_nonblocking(true)?;
        Ok(Self::Journal(stream))
    }

    /// Whether the line was taken, whole. A journald that takes nothing, or half a line, gets no more of it; the next
    /// line then starts in the middle of one, which is the lesser evil.
    fn write(&mut self, line: &[u8]) -> bool {
        match self {
            Self::Journal(stream) => stream.write(line).is_ok_and(|count| count == line.len()),
            Self::Stderr => io::stderr().write_all(line).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> (io::PipeWriter, Relay) {
        let (reader, writer) = io::pipe().expect("pipe");
        let reader = File::from(OwnedFd::from(reader));
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("flags");
        let (line, kept) = (Vec::new(), VecDeque::new());
        (writer, Relay { reader, sink: Sink::Stderr, line, kept, dropped: 0, full: false })
    }

    #[test]
    fn the_last_words_are_kept_up_to_a_bound_whole_line_or_not() {
        let (mut writer, mut relay) = relay();
        for number in 0..4000 {
            writeln!(writer, "line {number} {}", "x".repeat(30)).expect("write");
            relay.pass_on();
        }
        write!(writer, "without an end").expect("write");
        relay.pass_on();
        relay.end_line();
        let kept = String::from_utf8(relay.kept.make_contiguous().to_vec()).expect("text");
        assert!(kept.len() <= KEPT && kept.ends_with("without an end\n"), "{}", kept.len());
        assert!(kept.contains("line 3999 ") && !kept.contains("line 0 "));
    }

    #[test]
    fn control_bytes_and_endless_lines_come_out_harmless() {
        let (mut writer, mut relay) = relay();
        writer.write_all(b"\x1b[2Jred\r\x00\n").expect("write");
        for _ in 0..64 {
            writer.write_all(&[b'a'; 16 * 1024]).expect("write");
            relay.pass_on();
        }
        writer.write_all(b"\n").expect("write");
        drop(writer);
        assert_eq!(relay.pass_on(), Passed::End, "nobody can write any more");
        let kept = String::from_utf8(relay.kept.make_contiguous().to_vec()).expect("text");
        assert_eq!(kept.lines().count(), 2);
        assert!(kept.starts_with("\\u{1b}[2Jred\\u{d}\\u{0}\n"), "{kept:.40}");
        assert!(kept.len() < 2 * LONGEST_LINE);
    }
}
