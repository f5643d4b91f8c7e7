//! journald's native protocol: one datagram an event, a failure to deliver is seen.
//!
//! tracing-journald ignores send errors, which is right for diagnostics and wrong here.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;

use nix::sys::stat::fstat;

use super::event::Event;
use super::sanitise;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether systemd connected this process's standard error to the journal. `JOURNAL_STREAM` alone may be
/// inherited from a parent whose stream it was.
pub fn is_ours() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(found) = fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", found.st_dev, found.st_ino)
}

/// A connection to journald.
#[derive(Debug)]
pub(super) struct Journal(UnixDatagram);

impl Journal {
    pub(super) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        // Never wait for a journald that does not read; the caller then writes text.
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    pub(super) fn send(&self, event: &Event) -> io::Result<()> {
        let datagram = encode(event);
        let sent = self.0.send(&datagram)?;
        if sent == datagram.len() { Ok(()) } else { Err(io::Error::other("the datagram was cut short")) }
    }
}

/// `NAME=value` lines. A value is sanitised and so has no line break, which is what this form requires.
fn encode(event: &Event) -> Vec<u8> {
    let mut datagram = String::new();
    let mut add = |name: &str, value: &str| {
        datagram.push_str(name);
        datagram.push('=');
        datagram.push_str(&sanitise(value));
        datagram.push('\n');
    };
    add("MESSAGE", &event.message());
    add("MESSAGE_ID", event.id());
    add("PRIORITY", &(event.severity() as u8).to_string());
    add("SYSLOG_IDENTIFIER", "cryftgo-tee");
    for (name, value) in event.fields() {
        add(name, &value);
    }
    datagram.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_value_cannot_add_a_field() {
        let event = Event::Refused {
            step: "attest",
            reason: "x\nPRIORITY=0\nMESSAGE=all is well".to_owned(),
            exit_code: contract::exit::INTEGRITY,
        };
        let datagram = String::from_utf8(encode(&event)).expect("text");
        assert_eq!(datagram.lines().filter(|line| line.starts_with("MESSAGE=")).count(), 1);
        assert_eq!(datagram.lines().filter(|line| line.starts_with("PRIORITY=")).collect::<Vec<_>>(), ["PRIORITY=2"]);
        assert!(datagram.contains("\nCRYFTTEE_EVENT=refused\n"), "{datagram}");
    }
}
