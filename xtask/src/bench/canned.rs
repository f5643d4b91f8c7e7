//! `xtask canned-signer`: a signer that signs nothing and answers at once.
//!
//! The sidecar is measured against it, so it does as little as an HTTP signer can: one thread, one read and one
//! write for each request, an answer that is made once. Whatever it spent would make the sidecar look better.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::http::{ROOM, body_of};

/// The generators of the two groups: good keys, and nobody's.
const BLS_KEY: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const TLS_KEY: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// One read for each of so many connections at a time.
const EVENTS: usize = 256;
/// The listener's event.
const LISTENER: u64 = u64::MAX;

/// The one signature that it gives: 96 bytes, no two neighbours alike.
pub(super) fn signature() -> String {
    (0..96_u32).fold("0x".to_owned(), |text, index| text + &format!("{:02x}", (index * 37 + 11) % 256))
}

/// Never returns while it can serve.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("canned-signer: {error}");
            ExitCode::from(contract::exit::OS)
        }
    }
}

/// The answers, made once.
struct Answers {
    signed: Vec<u8>,
    upcheck: Vec<u8>,
    bls: Vec<u8>,
    tls: Vec<u8>,
    unknown: Vec<u8>,
}

impl Answers {
    fn make() -> Self {
        let answer = |status: &str, kind: &str, body: &str| {
            let length = body.len();
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        };
        let json = |body: String| answer("200 OK", "application/json", &body);
        Self {
            signed: json(format!("{{\"signature\":\"{}\"}}", signature())),
            upcheck: answer("200 OK", "text/plain", "OK"),
            bls: json(format!("[\"{BLS_KEY}\"]")),
            tls: json(format!("[\"{TLS_KEY}\"]")),
            unknown: answer("404 Not Found", "text/plain", ""),
        }
    }

    fn to(&self, request: &[u8]) -> &[u8] {
        let is = |start: &str| request.starts_with(start.as_bytes());
        if is("POST /api/v1/eth2/sign/") {
            &self.signed
        } else if is("GET /upcheck ") {
            &self.upcheck
        } else if is("GET /api/v1/eth2/publicKeys ") {
            &self.bls
        } else if is("GET /api/v1/eth1/publicKeys ") {
            &self.tls
        } else {
            &self.unknown
        }
    }
}

struct Client {
    stream: TcpStream,
    room: [u8; ROOM],
    filled: usize,
}

fn serve() -> io::Result<std::convert::Infallible> {
    let answers = Answers::make();
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("canned-signer: listening on http://{}", listener.local_addr()?);
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(listener.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut clients: HashMap<u64, Client> = HashMap::new();
    let mut next = 0;
    let mut ready = vec![EpollEvent::empty(); EVENTS];
    loop {
        let count = match epoll.wait(&mut ready, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            count => count?,
        };
        for event in &ready[..count] {
            if event.data() == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                epoll.add(stream.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, next))?;
                clients.insert(next, Client { stream, room: [0; ROOM], filled: 0 });
                next += 1;
            } else if let Some(client) = clients.get_mut(&event.data())
                && client.served(&answers).is_err()
            {
                // Closing the descriptor takes it out of the epoll.
                clients.remove(&event.data());
            }
        }
    }
}

impl Client {
    /// Reads once, and answers once what is whole. Err: the client left, or asks for what does not fit.
    fn served(&mut self, answers: &Answers) -> io::Result<()> {
        let read = self.stream.read(&mut self.room[self.filled..])?;
        self.filled += read;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let request = &self.room[..self.filled];
        let Some((body, length)) = body_of(request) else { return Ok(()) };
        // One at a time, as every client here does.
        if request.len() < body + length {
            return Ok(());
        }
        self.stream.write_all(answers.to(request))?;
        self.filled = 0;
        Ok(())
    }
}
