//! Clients that make a connection for each request, and go on whatever happens to it.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::super::http::{Answer, Exchange, ROOM, Target};

/// How requests ended, over all clients.
#[derive(Default)]
struct Tally {
    /// 200 with the expected signature.
    answered: AtomicU64,
    /// `connect()` failed, whatever the reason.
    refused: AtomicU64,
    /// The connection was made, and ended before the answer was whole.
    broken: AtomicU64,
    /// The connection was made and nothing came for 20 s: it waited in a queue that nobody took it from.
    lost: AtomicU64,
    /// Another answer.
    wrong: AtomicU64,
}

/// The same, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) broken: u64,
    pub(crate) lost: u64,
    pub(crate) wrong: u64,
}

/// Running clients. Dropping it ends them.
pub(crate) struct Fresh {
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Fresh {
    /// Starts `clients` threads that ask without pause.
    pub(crate) fn start(target: &Target, exchange: &Exchange, clients: usize) -> Self {
        let (tally, stop) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let start = |_| {
            let (target, exchange) = (target.clone(), exchange.clone());
            let (tally, stop) = (Arc::clone(&tally), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    tally.note(&once(&target, &exchange));
                }
            })
        };
        let clients = (0..clients).map(start).collect();
        Self { tally, stop, clients }
    }

    /// How the requests ended so far.
    pub(crate) fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Tally { answered, refused, broken, lost, wrong } = &*self.tally;
        Counts {
            answered: read(answered),
            refused: read(refused),
            broken: read(broken),
            lost: read(lost),
            wrong: read(wrong),
        }
    }

    /// Waits for the requests under way, and tells how all ended.
    pub(crate) fn finish(mut self) -> Counts {
        self.join();
        self.counts()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has said so on stderr; what it did not count is not claimed.
            let _ = client.join();
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.join();
    }
}

/// How one request ended.
#[derive(Debug)]
pub(crate) enum End {
    Answered,
    Refused(#[allow(dead_code, reason = "told by Debug")] io::Error),
    Broken,
    Lost,
    Wrong,
}

impl Tally {
    fn note(&self, end: &End) {
        let count = match end {
            End::Answered => &self.answered,
            End::Refused(error) => {
                // The first few only: they are all alike.
                if self.refused.load(Ordering::Relaxed) < 3 {
                    eprintln!("  connect: {error}");
                }
                &self.refused
            }
            End::Broken => &self.broken,
            End::Lost => &self.lost,
            End::Wrong => &self.wrong,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One request on a connection of its own.
pub(crate) fn once(target: &Target, exchange: &Exchange) -> End {
    let mut stream = match target.connect() {
        Ok(stream) => stream,
        Err(error) => return End::Refused(error),
    };
    if stream.write_all(&exchange.request).is_err() {
        return End::Broken;
    }
    let (mut room, mut filled) = ([0; ROOM], 0);
    loop {
        match stream.read(&mut room[filled..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The read's time-out.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return End::Lost,
            Err(_) | Ok(0) => return End::Broken,
            Ok(read) => filled += read,
        }
        match exchange.judge(&room[..filled]) {
            Answer::Partial => {}
            Answer::Right => return End::Answered,
            Answer::Wrong => return End::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    fn ask(path: &Path) -> End {
        once(&Target::Unix(path.to_owned()), &Exchange::post("/", "{}", "close", b"yes".to_vec()))
    }

    #[test]
    fn each_way_to_end_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        assert!(matches!(ask(&path), End::Refused(_)), "nobody listens");
        let listener = UnixListener::bind(&path).expect("bound");
        let answers: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes",
            b"HTTP/1.1 503 Away\r\ncontent-length: 3\r\n\r\nyes",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nye",
        ];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let _ = stream.read(&mut [0; ROOM]).expect("a request");
                stream.write_all(answer).expect("taken");
            }
        });
        assert!(matches!(ask(&path), End::Answered));
        assert!(matches!(ask(&path), End::Wrong));
        assert!(matches!(ask(&path), End::Broken));
        server.join().expect("done");
        assert!(matches!(ask(&path), End::Refused(_)), "nobody listens any more");
    }
}
