//! HTTP/1.1 as far as the bench's own ends speak it: heads with a `Content-Length`, and nothing allocated.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Room for one request or one answer; a signature with all its names takes half of it.
pub(super) const ROOM: usize = 2048;
/// How long one read or write of a client may stand still. Longer than a restart of the sidecar takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where requests go.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// The sidecar's socket.
    Unix(PathBuf),
    /// A signer's address.
    Tcp(SocketAddr),
}

impl Target {
    /// A connection, of either kind: both are read and written alike.
    pub(super) fn connect(&self) -> io::Result<File> {
        let fd: OwnedFd = match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.into()
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                // A request is one write; waiting to fill a segment only adds delay.
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.into()
            }
        };
        Ok(File::from(fd))
    }
}

/// A request, ready to be sent, and how the body of the one right answer begins.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) request: Vec<u8>,
    pub(super) expected: Vec<u8>,
}

/// What a buffer holds so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Less than an answer.
    Partial,
    /// 200, whole, with the expected body.
    Right,
    /// Anything else.
    Wrong,
}

impl Exchange {
    /// `POST` of a JSON body; the answer's body must begin with `expected`.
    pub(super) fn post(path: &str, body: &str, connection: &str, expected: Vec<u8>) -> Self {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { request: request.into_bytes(), expected }
    }

    /// Judges what was received for it.
    pub(super) fn judge(&self, received: &[u8]) -> Answer {
        let Some((body, length)) = body_of(received) else {
            return if received.len() < ROOM { Answer::Partial } else { Answer::Wrong };
        };
        match received.len().cmp(&(body + length)) {
            std::cmp::Ordering::Less if received.len() < ROOM => Answer::Partial,
            std::cmp::Ordering::Equal
                if received.starts_with(b"HTTP/1.1 200 ") && received[body..].starts_with(&self.expected) =>
            {
                Answer::Right
            }
            _ => Answer::Wrong,
        }
    }
}

/// Where the body begins and how long it is, once the head is whole. Without a `Content-Length` there is none.
pub(super) fn body_of(message: &[u8]) -> Option<(usize, usize)> {
    let head = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    let length = message[..head].split(|byte| *byte == b'\n').find_map(|line| {
        const NAME: &[u8] = b"content-length:";
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then(|| std::str::from_utf8(value).ok()?.trim().parse().ok()).flatten()
    });
    Some((head + 4, length.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_200_with_the_expected_body_is_right() {
        let exchange = Exchange::post("/", "{}", "close", b"{\"signature\":\"0xab\"".to_vec());
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"signature\":\"0xab\",\"a\":\"b\"";
        assert_eq!(exchange.judge(good), Answer::Right);
        for end in 0..good.len() {
            assert_eq!(exchange.judge(&good[..end]), Answer::Partial, "{end}");
        }
        assert_eq!(exchange.judge(&[good.as_slice(), b"x"].concat()), Answer::Wrong);
        assert_eq!(exchange.judge(&good.map(|byte| if byte == b'b' { b'c' } else { byte })), Answer::Wrong);
        assert_eq!(exchange.judge(b"HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n{}"), Answer::Wrong);
        assert_eq!(exchange.judge(&[b' '; ROOM]), Answer::Wrong);
    }

    #[test]
    fn a_head_without_a_length_has_no_body() {
        assert_eq!(body_of(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Some((27, 0)));
        assert_eq!(body_of(b"GET / HTTP/1.1\r\nHost: x\r\n"), None);
    }
}
