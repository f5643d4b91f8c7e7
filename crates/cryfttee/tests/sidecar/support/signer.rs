//! A Web3Signer that does what a test tells it to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{BLS, TLS_64};

/// A request as the signer got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
}

/// What the signer does with it.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A whole answer.
    Http(u16, &'static str, String),
    /// A whole answer, and then the connection is closed without having said so.
    ThenClose(u16, String),
    /// These bytes, and the connection stays open.
    Raw(Vec<u8>),
    /// A whole answer, and after a while, unasked, another.
    Twice(String, Duration, String),
    /// Nothing: the connection is closed.
    Close,
    /// Nothing, ever.
    Silence,
    /// A 200 whose body of 1 GiB is sent for as long as somebody reads.
    Endless,
    /// The answer after a while.
    After(Duration, Box<Reply>),
}

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::Http(200, "application/json", body.into())
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self::Http(status, "text/plain", body.into())
    }
}

/// The signer; its tasks end with the test's runtime.
pub(crate) struct FakeSigner {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl FakeSigner {
    /// One that answers every request with what `script` says.
    pub(crate) async fn start(script: impl Fn(&Got) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let got = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), Arc::clone(&got));
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("accept");
                stream.set_nodelay(true).expect("nodelay");
                tokio::spawn(attend(stream, connection, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { url, got }
    }

    /// One that works, but for the requests that `script` has an answer to.
    pub(crate) async fn working_but(script: impl Fn(&Got) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::start(move |got| script(got).unwrap_or_else(|| working(got))).await
    }

    /// One that works.
    pub(crate) async fn working() -> Self {
        Self::start(working).await
    }

    /// What it got so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("not poisoned").clone()
    }

    /// What it got to sign.
    pub(crate) fn signs(&self) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.path.contains("/sign")).collect()
    }
}

/// A signer with one key of each kind and with no extension but the one that makes keys.
pub(crate) fn working(got: &Got) -> Reply {
    match (got.method.as_str(), got.path.as_str()) {
        ("GET", "/upcheck") => Reply::text(200, "OK"),
        ("GET", "/api/v1/eth2/publicKeys") => Reply::json(format!("[\"{BLS}\"]")),
        ("GET", "/api/v1/eth1/publicKeys") => Reply::json(format!("[\"{TLS_64}\"]")),
        ("GET", "/ext/cryft/v1") => Reply::json(r#"{"functions":["generate"]}"#),
        ("POST", "/eth/v1/keystores") if got.body.contains("bls") => {
            Reply::json(format!("{{\"pubkey\":\"{BLS}\",\"secret_path\":\"keys/bls-1\"}}"))
        }
        ("POST", "/eth/v1/keystores") => {
            Reply::json(format!("{{\"pubkey\":\"{TLS_64}\",\"secret_path\":\"keys/tls-1\"}}"))
        }
        ("POST", path) if path.starts_with("/api/v1/eth2/sign/") => Reply::json(signature(96)),
        ("POST", path) if path.starts_with("/api/v1/eth1/sign/") => Reply::text(200, format!("0x{}", "cd".repeat(65))),
        _ => Reply::text(404, "Resource not found"),
    }
}

/// `{"signature":"0xabab…"}`
pub(crate) fn signature(bytes: usize) -> String {
    format!("{{\"signature\":\"0x{}\"}}", "ab".repeat(bytes))
}

async fn attend<F: Fn(&Got) -> Reply>(
    mut stream: TcpStream,
    connection: usize,
    script: Arc<F>,
    seen: Arc<Mutex<Vec<Got>>>,
) {
    let mut buffer = Vec::new();
    while let Some(got) = read(&mut stream, &mut buffer, connection).await {
        seen.lock().expect("not poisoned").push(got.clone());
        if !reply(&mut stream, script(&got)).await {
            return;
        }
    }
}

/// Whether the connection goes on.
async fn reply(stream: &mut TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Http(status, kind, body) => {
            let answer = format!(
                "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.is_ok()
        }
        Reply::ThenClose(status, body) => {
            let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            false
        }
        Reply::Twice(first, pause, second) => {
            let first = Box::pin(self::reply(stream, Reply::json(first))).await;
            tokio::time::sleep(pause).await;
            first && Box::pin(self::reply(stream, Reply::json(second))).await
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await.is_ok(),
        Reply::Close => false,
        Reply::Silence => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            false
        }
        Reply::Endless => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
            for _ in 0..(1 << 30) / 0x10000 {
                if stream.write_all(&chunk).await.is_err() {
                    return false;
                }
            }
            false
        }
        Reply::After(time, then) => {
            tokio::time::sleep(time).await;
            Box::pin(self::reply(stream, *then)).await
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Got> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).expect("heads are ASCII").to_ascii_lowercase();
    let length = super::client::header(&head, "content-length").map_or(0, |value| value.parse().expect("a number"));
    while buffer.len() < head_end + length {
        more(stream, buffer).await?;
    }
    let first = String::from_utf8_lossy(&buffer[..head_end]).lines().next().unwrap_or_default().to_owned();
    let mut words = first.split(' ').map(str::to_owned);
    let got = Got {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        head,
        body: String::from_utf8(buffer[head_end..head_end + length].to_vec()).expect("bodies are UTF-8"),
        connection,
    };
    buffer.drain(..head_end + length);
    Some(got)
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
