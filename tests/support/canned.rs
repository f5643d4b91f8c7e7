//! A sidecar that gives canned answers and remembers what it was asked, over any stream.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

pub const BLS: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
pub const OTHER_BLS: &str =
    "0xa572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e";
pub const TLS: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
pub const NODE_ID: &str = "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2";

/// Status and body for a request line without the version, and its body.
type Answer = dyn Fn(&str, &str) -> (u16, String) + Send + Sync;

/// Gives the same kind of answer to everybody.
#[derive(Clone)]
pub struct Canned {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Canned {
    pub fn new(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    /// A sidecar that can do everything.
    pub fn well() -> Self {
        Self::new(well)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().expect("no panic").clone()
    }

    pub fn on_unix(&self, path: &Path) {
        let (listener, canned) = (UnixListener::bind(path).expect("listen"), self.clone());
        std::thread::spawn(move || listener.incoming().for_each(|stream| canned.serve(stream.expect("accept"))));
    }

    pub fn on_tcp(&self) -> SocketAddr {
        let (listener, address) = listen();
        let canned = self.clone();
        std::thread::spawn(move || listener.incoming().for_each(|stream| canned.serve(stream.expect("accept"))));
        address
    }

    pub fn on_tls(&self, config: ServerConfig) -> SocketAddr {
        let (listener, address) = listen();
        let (canned, config) = (self.clone(), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).expect("TLS");
                canned.serve(StreamOwned::new(connection, stream.expect("accept")));
            }
        });
        address
    }

    /// Answers one request. A client that goes away before is none of this server's business.
    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let Some((request, body)) = read(&mut stream) else { return };
        let (status, answer) = (self.answer)(&request, &body);
        self.asked.lock().expect("no panic").push((request, body));
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", answer.len());
        let _ = stream.get_mut().write_all(format!("{head}{answer}").as_bytes());
        let _ = stream.get_mut().flush();
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

fn read(stream: &mut BufReader<impl Read>) -> Option<(String, String)> {
    let mut request = String::new();
    stream.read_line(&mut request).ok().filter(|count| *count > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = String::new();
    stream.take(length).read_to_string(&mut body).ok()?;
    Some((request.rsplit_once(' ')?.0.to_owned(), body))
}

/// The answers of a sidecar that is well; it says that it is this process.
pub fn well(request: &str, _: &str) -> (u16, String) {
    let (path, query) = request.split_once('?').unwrap_or((request, ""));
    match path {
        "GET /v1/staking/status" => (200, status(&[BLS], true)),
        "POST /v1/staking/bls/sign" => (200, format!("{{\"signature\":\"0x{}\"}}", "ab".repeat(96))),
        "POST /v1/staking/tls/sign" => (200, format!("{{\"signature\":\"0x{}\"}}", "cd".repeat(65))),
        "POST /v1/staking/bls/register" => (
            201,
            format!("{{\"pubkey\":\"{BLS}\",\"secret_path\":\"\",\"proof_of_possession\":\"0x{}\"}}", "ef".repeat(96)),
        ),
        "POST /v1/staking/tls/register" => (201, format!("{{\"pubkey\":\"{TLS}\",\"secret_path\":\"x\"}}")),
        "GET /v1/runtime/attestation" => {
            let nonce = query.strip_prefix("nonce=").unwrap_or_default();
            (200, evidence(nonce, std::process::id(), "verified"))
        }
        "POST /v1/runtime/admit" => (204, String::new()),
        _ => refusal(404, "not_found"),
    }
}

/// The digest in [`evidence`].
pub fn digest() -> String {
    format!("sha256:{}", "11".repeat(32))
}

pub fn evidence(nonce: &str, pid: u32, source: &str) -> String {
    format!(
        "{{\"core_binary_hash\":\"{}\",\"hash_source\":\"{source}\",\"cryfttee_version\":\"0\",\
         \"manifest_hash\":\"sha256:{}\",\"loaded_modules\":[],\"pid\":{pid},\"nonce\":\"{nonce}\",\"timestamp\":0}}",
        digest(),
        "0".repeat(64)
    )
}

pub fn status(bls: &[&str], ready: bool) -> String {
    let bls: Vec<String> = bls.iter().map(|key| format!("\"{key}\"")).collect();
    format!(
        "{{\"ready\":{ready},\"web3signer_url\":\"http://signer/\\u001b[31m\\u202e\",\"web3signer_connected\":{ready},\
         \"bls_pubkeys\":[{}],\"tls_pubkeys\":[\"{TLS}\"],\"module_version\":\"0\",\
         \"capabilities\":[\"bls_signing\"]}}",
        bls.join(",")
    )
}

pub fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, format!("{{\"error\":\"no\",\"code\":\"{code}\",\"details\":\"because\"}}"))
}
