//! journald's native protocol: one datagram an event, a failure to deliver is seen.
//!
//! tracing-journald ignores send errors, which is right for diagnostics and wrong here.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

use super::event::Event;
use super::{in_step, sanitise};

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether systemd connected this process's standard error to the journal. `JOURNAL_STREAM` alone may be
/// inherited from a parent whose stream it was.
pub fn is_ours() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(found) = fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", found.st_dev, found.st_ino)
}

/// Whether journald runs on this host.
pub(super) fn is_there() -> bool {
    std::path::Path::new(SOCKET).exists()
}

/// Whether a datagram to journald would be taken at once: its queue may be full.
pub fn takes() -> bool {
    let Ok(socket) = connect() else { return false };
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready == 1)
}

/// How many events wait for a journald that does not take them.
const MOST_WAITING: usize = 1024;

/// journald, and the events that it did not take yet, in order.
#[derive(Debug)]
pub(super) struct Journal {
    socket: Option<UnixDatagram>,
    waiting: VecDeque<Vec<u8>>,
    lost: u64,
}

impl Journal {
    pub(super) const fn new() -> Self {
        Self { socket: None, waiting: VecDeque::new(), lost: 0 }
    }

    /// Queues an event behind those that wait, and delivers as many as journald takes. Never blocks: the
    /// verifier has more to do than to wait for a log.
    ///
    /// # Errors
    /// Why the queue could not be emptied; the events stay in it, and the oldest give way when it is full.
    pub(super) fn send(&mut self, step: Option<u8>, event: &Event) -> io::Result<()> {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(encode(step, event));
        self.flush()
    }

    /// Delivers what waits.
    ///
    /// # Errors
    /// Why something still waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(next) = self.waiting.front() {
            let gap = (self.lost > 0).then(|| encode(None, &Event::EventsLost { count: self.lost }));
            let socket = match &mut self.socket {
                Some(socket) => socket,
                none => none.insert(connect()?),
            };
            let sent = match gap {
                Some(gap) => socket.send(&gap).map(|_| self.lost = 0),
                None => socket.send(next).map(|_| drop(self.waiting.pop_front())),
            };
            if let Err(error) = sent {
                if error.kind() != io::ErrorKind::WouldBlock {
                    // A journald that was restarted listens on another socket.
                    self.socket = None;
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SOCKET)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// `NAME=value` lines. A value is sanitised and so has no line break, which is what this form requires.
fn encode(step: Option<u8>, event: &Event) -> Vec<u8> {
    let mut datagram = String::new();
    let mut add = |name: &str, value: &str| {
        datagram.push_str(name);
        datagram.push('=');
        datagram.push_str(&sanitise(value));
        datagram.push('\n');
    };
    add("MESSAGE", &in_step(step, event));
    add("MESSAGE_ID", event.id());
    add("PRIORITY", &(event.severity() as u8).to_string());
    add("SYSLOG_IDENTIFIER", "cryftgo-tee");
    if let Some(number) = step {
        add("CRYFTTEE_STEP_NUMBER", &number.to_string());
    }
    for (name, value) in event.fields() {
        add(name, &value);
    }
    datagram.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_start_carries_its_number_in_the_message_and_in_a_field() {
        let event = Event::SharedUser { pid: 7 };
        let datagram = String::from_utf8(encode(Some(4), &event)).expect("text");
        assert!(datagram.starts_with("MESSAGE=[4/9] The sidecar, pid 7,"), "{datagram}");
        assert!(datagram.contains("\nCRYFTTEE_STEP_NUMBER=4\n"), "{datagram}");
        let datagram = String::from_utf8(encode(None, &event)).expect("text");
        assert!(datagram.starts_with("MESSAGE=The sidecar") && !datagram.contains("STEP_NUMBER"), "{datagram}");
    }

    #[test]
    fn a_hostile_value_cannot_add_a_field() {
        let event = Event::Refused {
            step: "attest",
            reason: "x\nPRIORITY=0\nMESSAGE=all is well".to_owned(),
            exit_code: contract::exit::INTEGRITY,
        };
        let datagram = String::from_utf8(encode(None, &event)).expect("text");
        assert_eq!(datagram.lines().filter(|line| line.starts_with("MESSAGE=")).count(), 1);
        assert_eq!(datagram.lines().filter(|line| line.starts_with("PRIORITY=")).collect::<Vec<_>>(), ["PRIORITY=2"]);
        assert!(datagram.contains("\nCRYFTTEE_EVENT=refused\n"), "{datagram}");
    }
}
