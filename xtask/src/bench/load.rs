//! Load: clients that ask again as soon as they are answered, and believe no answer that they did not check.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::http::{Answer, Exchange, ROOM, Target};

mod fresh;

pub(super) use fresh::{Counts, End, Fresh, once};

/// How long all connections together may stand still.
const PATIENCE_MS: u16 = 20_000;

/// Why a load was no load.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("load: connect to {target:?}: {source}")]
    Connect { target: Target, source: io::Error },
    #[error("load: wait for answers: {0}")]
    Wait(#[source] Errno),
    #[error("load: no answer within {PATIENCE_MS} ms")]
    Still,
    #[error("load: a kept connection broke: {0}")]
    Broke(#[source] io::Error),
    #[error("load: an answer is not 200 with the expected signature: {0}")]
    Wrong(String),
}

/// What a load came to.
pub(super) struct Load {
    /// Right answers a second.
    pub(super) rate: f64,
    /// Microseconds from each request that counts to its answer.
    pub(super) latencies: Vec<u32>,
    /// All right answers, those before and after the counted time as well.
    pub(super) answered: u64,
}

/// One kept connection with at most one request under way.
struct Connection {
    stream: File,
    sent: Instant,
    room: [u8; ROOM],
    filled: usize,
}

/// Keeps one request under way on each of `connections` kept connections, and counts what is answered within
/// `counted`, after `warm_up`. The calling thread is the only one: what a client costs is small and the same
/// for every target.
pub(super) fn kept(
    target: &Target,
    exchange: &Exchange,
    connections: usize,
    warm_up: Duration,
    counted: Duration,
) -> Result<Load, LoadError> {
    let connect = || target.connect().map_err(|source| LoadError::Connect { target: target.clone(), source });
    let open = |_| connect().map(Connection::new);
    let mut clients: Vec<Connection> = (0..connections).map(open).collect::<Result<_, _>>()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(LoadError::Wait)?;
    for (index, client) in clients.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, index as u64);
        epoll.add(client.stream.as_fd(), event).map_err(LoadError::Wait)?;
    }
    let from = Instant::now() + warm_up;
    let until = from + counted;
    let mut latencies = Vec::with_capacity(1 << 18);
    let (mut under_way, mut answered) = (connections, 0);
    for client in &mut clients {
        client.ask(exchange, Instant::now())?;
    }
    let mut ready = vec![EpollEvent::empty(); connections];
    while under_way > 0 {
        // A single client has nothing to wait for but its own answer, which its read waits for.
        let count = if connections == 1 { 1 } else { wait(&epoll, &mut ready)? };
        for event in &ready[..count] {
            let index = usize::try_from(event.data()).unwrap_or_default();
            let client = &mut clients[index];
            if !client.answered(exchange)? {
                continue;
            }
            answered += 1;
            let now = Instant::now();
            if now >= until {
                under_way -= 1;
                continue;
            }
            if now >= from {
                latencies.push(u32::try_from((now - client.sent).as_micros()).unwrap_or(u32::MAX));
            }
            client.ask(exchange, now)?;
        }
    }
    Ok(Load { rate: latencies.len() as f64 / counted.as_secs_f64(), latencies, answered })
}

fn wait(epoll: &Epoll, ready: &mut [EpollEvent]) -> Result<usize, LoadError> {
    loop {
        match epoll.wait(ready, EpollTimeout::from(PATIENCE_MS)) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(LoadError::Still),
            other => return other.map_err(LoadError::Wait),
        }
    }
}

impl Connection {
    fn new(stream: File) -> Self {
        Self { stream, sent: Instant::now(), room: [0; ROOM], filled: 0 }
    }

    fn ask(&mut self, exchange: &Exchange, now: Instant) -> Result<(), LoadError> {
        (self.sent, self.filled) = (now, 0);
        self.stream.write_all(&exchange.request).map_err(LoadError::Broke)
    }

    /// Reads once; true when the answer is whole, and right.
    fn answered(&mut self, exchange: &Exchange) -> Result<bool, LoadError> {
        match self.stream.read(&mut self.room[self.filled..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(LoadError::Broke(error)),
            Ok(0) => return Err(LoadError::Broke(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => self.filled += read,
        }
        let received = &self.room[..self.filled];
        match exchange.judge(received) {
            Answer::Partial => Ok(false),
            Answer::Right => Ok(true),
            Answer::Wrong => Err(LoadError::Wrong(String::from_utf8_lossy(received).into_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A server that gives `answers` in turn to whoever connects once.
    fn server(answers: &'static [&'static [u8]]) -> (tempfile::TempDir, Target) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut answers = answers.iter().cycle();
            while stream.read(&mut [0; ROOM]).is_ok_and(|read| read > 0) {
                if stream.write_all(answers.next().expect("endless")).is_err() {
                    return;
                }
            }
        });
        (folder, Target::Unix(path))
    }

    fn exchange() -> Exchange {
        Exchange::post("/", "{}", "keep-alive", b"yes".to_vec())
    }

    #[test]
    fn right_answers_are_counted() {
        let (_folder, target) = server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes"]);
        let load = kept(&target, &exchange(), 1, Duration::ZERO, Duration::from_millis(50)).expect("a load");
        assert!(load.latencies.len() > 10);
        assert_eq!(load.rate, load.latencies.len() as f64 / 0.05);
    }

    #[test]
    fn one_wrong_answer_among_right_ones_is_an_error() {
        let (_folder, target) = server(&[
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
        ]);
        let load = kept(&target, &exchange(), 1, Duration::ZERO, Duration::from_secs(5));
        assert!(matches!(load, Err(LoadError::Wrong(_))));
    }
}
