//! A signer on a real socket, and a client that shows exactly what came back.

#![allow(dead_code, unreachable_pub, reason = "a small library, of which each file of tests uses a part")]

pub mod manager;
pub mod merkle;
pub mod typed;
pub mod verify;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use cryfttee_devsigner::options::Options;
use cryfttee_devsigner::{Server, Store};
use serde_json::Value;
use tokio::sync::oneshot;

/// A running signer; stopped when dropped.
pub struct Signer {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Signer {
    /// Both kinds of key and every extension.
    pub fn start(keys: &Path) -> Self {
        Self::with(keys, Options::everything())
    }

    pub fn with(keys: &Path, options: Options) -> Self {
        let store = Store::open_for(keys, None, &options).expect("a good folder");
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = Server::bind_with(([127, 0, 0, 1], 0).into(), store, options).await.expect("a free port");
                tell.send(server.address()).expect("the test waits");
                server
                    .serve(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
        });
        let address = told.recv().expect("the server tells");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// One that runs elsewhere: dropping it stops nothing.
    pub fn of_other_process(address: SocketAddr) -> Self {
        Self { address, stop: None, thread: None }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        stream
    }

    /// Sends raw bytes on a new connection and reads one answer.
    pub fn raw(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request).expect("send");
        Reply::read(&mut BufReader::new(stream))
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.raw(request(method, path, headers, body).as_bytes())
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    /// POST of JSON by a client that accepts anything.
    pub fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, &[("Content-Type", "application/json")], body)
    }

    /// POST of JSON by a client that wants JSON.
    pub fn post_for_json(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, &[("Content-Type", "application/json"), ("Accept", "application/json")], body)
    }

    /// Makes a key and returns its public key as the signer spells it.
    pub fn generate(&self, kind: &str) -> String {
        let reply = self.post("/eth/v1/keystores", &format!(r#"{{"type":"{kind}"}}"#));
        assert_eq!(reply.status, 200, "{}", reply.body);
        text(&reply.json()["pubkey"])
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// An answer, as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn read(stream: &mut BufReader<TcpStream>) -> Self {
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).expect("an answer");
            line.trim_end().to_owned()
        };
        let status = line().split(' ').nth(1).expect("a status line").parse().expect("a status");
        let mut headers = Vec::new();
        while let Some((name, value)) = line().split_once(": ") {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut reply = Self { status, headers, body: String::new() };
        let length = reply.header("content-length").parse().expect("a length");
        stream.take(length).read_to_string(&mut reply.body).expect("the body");
        reply
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json; charset=utf-8", "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn text(&self) -> &str {
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8", "{}", self.body);
        &self.body
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// The bytes of `0x` hex, which must be in lower case and have the right length.
pub fn bytes<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text, text.to_lowercase());
    let digits = text.strip_prefix("0x").expect("0x");
    hex::decode(digits).expect("hex").try_into().expect("the length")
}

/// Signs one block after the other until the signer is gone; returns the last slot whose signature arrived,
/// and tells it meanwhile in `last`.
pub fn until_it_breaks(address: SocketAddr, key: &str, first: u64, last: &AtomicU64) -> u64 {
    let mut signed = first - 1;
    for slot in first.. {
        let body = typed::block(slot).to_string();
        let headers = [("Content-Type", "application/json"), ("Connection", "close")];
        let request = request("POST", &format!("/api/v1/eth2/sign/{key}"), &headers, &body);
        let mut answer = String::new();
        let asked = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        if asked.is_err() || answer.split("\r\n\r\n").nth(1).is_none_or(|body| body.len() != 194) {
            break;
        }
        signed = slot;
        last.store(slot, Ordering::Relaxed);
    }
    signed
}
