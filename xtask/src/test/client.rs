//! A client for inside the containers, where there is no other program that speaks HTTP over a unix socket.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::tpm_device::TpmDevice;
use super::trail::{Attack, Record};

/// No answer of the API comes near this.
const ANSWER_MAX: u64 = 1024 * 1024;

/// What the scenarios call.
#[derive(clap::Subcommand)]
pub(crate) enum Inside {
    /// One request: prints the body; exit code 0 for 2xx, 22 for another status, 7 where nobody could be asked
    #[command(hide = true)]
    Call(Call),
    /// Many clients, one connection for each request, until a file appears; prints how it went
    #[command(hide = true)]
    Hammer(Hammer),
    /// Many events into the audit trail
    #[command(hide = true)]
    Record(Record),
    /// Many attacks on an exported audit trail
    #[command(hide = true)]
    Attack(Attack),
    /// A TPM's character device in front of a software TPM's socket; prints its path
    #[command(hide = true)]
    TpmDevice(TpmDevice),
}

#[derive(clap::Args)]
pub(crate) struct Call {
    method: String,
    path: String,
    #[arg(default_value = "")]
    body: String,
    #[arg(long, default_value = "/run/cryfttee.sock")]
    socket: PathBuf,
    /// An address on TCP in the place of the socket
    #[arg(long, value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Seconds to wait for the answer
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

#[derive(clap::Args)]
pub(crate) struct Hammer {
    #[arg(long, default_value = "/run/cryfttee.sock")]
    socket: PathBuf,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    #[arg(long)]
    until: PathBuf,
    /// And until so many were answered
    #[arg(long, default_value_t = 0)]
    at_least: u64,
    /// Seconds after which an unanswered request counts as lost
    #[arg(long, default_value_t = 20)]
    patience: u64,
}

pub(super) fn run(inside: Inside) -> ExitCode {
    match inside {
        Inside::Call(call) => call.run(),
        Inside::Hammer(hammer) => hammer.run(),
        Inside::Record(record) => record.run(),
        Inside::Attack(attack) => attack.run(),
        Inside::TpmDevice(device) => device.run(),
    }
}

/// How one request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// 2xx, and whole.
    Answered,
    /// Another status.
    NotOk,
    /// Nobody could be connected to.
    Refused,
    /// Connected, and then the connection ended before the answer did.
    Broken,
    /// No answer in time.
    Lost,
}

/// Whom to ask.
#[derive(Clone, Copy)]
enum Peer<'a> {
    Unix(&'a Path),
    Tcp(SocketAddr),
}

impl Peer<'_> {
    /// A connection, of either kind: both are read and written alike.
    fn connect(self, patience: Duration) -> io::Result<File> {
        let fd: OwnedFd = match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                stream.into()
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(&address, patience)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                stream.into()
            }
        };
        Ok(File::from(fd))
    }
}

/// One request on a connection of its own. Errors: how it failed, and why.
fn exchange(
    peer: Peer<'_>,
    call: &str,
    body: &str,
    patience: Duration,
) -> Result<(u16, Vec<u8>), (Outcome, io::Error)> {
    let mut stream = peer.connect(patience).map_err(|error| (Outcome::Refused, error))?;
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => (Outcome::Lost, error),
        _ => (Outcome::Broken, error),
    };
    // "close" makes the end of the stream the end of the answer.
    let request = format!(
        "{call} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(broken)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).map_err(broken)?;
    let cut_short = || (Outcome::Broken, io::Error::from(io::ErrorKind::UnexpectedEof));
    parse(&answer).ok_or_else(cut_short)
}

/// Status and body of an answer that is all there.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    // 204 carries neither body nor length.
    (body.len() == length.unwrap_or(0)).then(|| (status, body.to_vec()))
}

impl Call {
    fn run(&self) -> ExitCode {
        let call = format!("{} {}", self.method, self.path);
        let peer = self.tcp.map_or(Peer::Unix(&self.socket), Peer::Tcp);
        match exchange(peer, &call, &self.body, Duration::from_secs(self.patience)) {
            Ok((status, body)) => {
                println!("{}", String::from_utf8_lossy(&body));
                if (200..300).contains(&status) {
                    return ExitCode::SUCCESS;
                }
                eprintln!("{call} answered {status}");
                ExitCode::from(22)
            }
            Err((outcome, error)) => {
                eprintln!("{call}: {outcome:?}: {error}");
                ExitCode::from(7)
            }
        }
    }
}

/// How all requests ended.
#[derive(Default)]
struct Report {
    answered: u64,
    not_ok: u64,
    refused: u64,
    broken: u64,
    lost: u64,
    longest: Duration,
    /// Of the last request that failed in a way that systemd's socket should make impossible.
    last_error: String,
}

impl Report {
    fn note(&mut self, outcome: Outcome, took: Duration) {
        *match outcome {
            Outcome::Answered => &mut self.answered,
            Outcome::NotOk => &mut self.not_ok,
            Outcome::Refused => &mut self.refused,
            Outcome::Broken => &mut self.broken,
            Outcome::Lost => &mut self.lost,
        } += 1;
        self.longest = self.longest.max(took);
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.not_ok += other.not_ok;
        self.refused += other.refused;
        self.broken += other.broken;
        self.lost += other.lost;
        self.longest = self.longest.max(other.longest);
        if !other.last_error.is_empty() {
            self.last_error = other.last_error;
        }
    }
}

/// One `name value` on each line, for a shell to read.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, not_ok, refused, broken, lost, longest, last_error } = self;
        writeln!(f, "answered {answered}\nnot_ok {not_ok}\nrefused {refused}\nbroken {broken}\nlost {lost}")?;
        write!(f, "longest_ms {}\nlast_error {last_error}", longest.as_millis())
    }
}

impl Hammer {
    fn run(&self) -> ExitCode {
        let mut report = Report::default();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients).map(|_| scope.spawn(|| self.one_client())).collect();
            for client in clients {
                match client.join() {
                    Ok(of_one) => report.add(of_one),
                    Err(_) => report.last_error = "a client panicked".to_owned(),
                }
            }
        });
        println!("{report}");
        ExitCode::SUCCESS
    }

    fn one_client(&self) -> Report {
        let patience = Duration::from_secs(self.patience);
        let mut report = Report::default();
        let share = self.at_least.div_ceil(self.clients as u64);
        while report.answered < share || !self.until.exists() {
            let start = Instant::now();
            match exchange(Peer::Unix(&self.socket), "GET /v1/staking/status", "", patience) {
                Ok((200..300, _)) => report.note(Outcome::Answered, start.elapsed()),
                Ok((status, body)) => {
                    report.note(Outcome::NotOk, start.elapsed());
                    report.last_error = format!("{status} {}", String::from_utf8_lossy(&body));
                }
                Err((outcome, error)) => {
                    report.note(outcome, start.elapsed());
                    report.last_error = format!("{outcome:?}: {error}");
                    // A socket that is not there refuses a million times a second; one in a while is enough to know.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    /// What a client makes of a server that accepts once, reads the request and does `behave`.
    fn outcome_of(behave: impl FnOnce(UnixStream) + Send) -> Result<u16, Outcome> {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("bind");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().expect("accept");
                let _ = stream.read(&mut [0; 4096]).expect("read");
                behave(stream);
            });
            exchange(Peer::Unix(&socket), "GET /", "", PATIENCE)
                .map(|(status, _)| status)
                .map_err(|(outcome, _)| outcome)
        })
    }

    #[test]
    fn answered_broken_lost_and_refused_are_told_apart() {
        let answer = |mut stream: UnixStream, text: &str| stream.write_all(text.as_bytes()).expect("write");
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(outcome_of(|stream| answer(stream, whole)), Ok(200));
        assert_eq!(outcome_of(|stream| answer(stream, &whole[..whole.len() - 1])), Err(Outcome::Broken));
        assert_eq!(outcome_of(drop), Err(Outcome::Broken));
        assert_eq!(
            outcome_of(|stream| {
                std::thread::sleep(PATIENCE * 2);
                drop(stream);
            }),
            Err(Outcome::Lost)
        );
        let nobody = exchange(Peer::Unix(Path::new("/nonexistent/socket")), "GET /", "", PATIENCE);
        assert_eq!(nobody.map_err(|(outcome, _)| outcome), Err(Outcome::Refused));
    }
}
