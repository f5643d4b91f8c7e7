//! A client of the sidecar that sees every byte.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// An answer of the sidecar.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Status and code of an error.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {}", self.body)).to_owned())
    }
}

/// The value of a header in a head that is in lower case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// One connection.
pub(crate) struct Client<S = UnixStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).await.expect("connect"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("write");
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
        self.answer().await.expect("an answer")
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl ToString) -> Answer {
        self.send(post(path, &body.to_string())).await;
        self.answer().await.expect("an answer")
    }

    /// The next answer; `None` where the connection ends first.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer[..head_end].to_vec()).expect("heads are ASCII").to_ascii_lowercase();
        let length = header(&head, "content-length").map_or(0, |value| value.parse().expect("a number"));
        while self.buffer.len() < head_end + length {
            self.more().await?;
        }
        let body = String::from_utf8(self.buffer[head_end..head_end + length].to_vec()).expect("UTF-8");
        self.buffer.drain(..head_end + length);
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        Some(Answer { status, head, body })
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

/// A POST with a JSON body.
pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A GET on a connection of its own.
pub(crate) async fn get(socket: &Path, path: &str) -> Answer {
    Client::connect(socket).await.get(path).await
}

/// A POST on a connection of its own.
pub(crate) async fn ask(socket: &Path, path: &str, body: impl ToString) -> Answer {
    Client::connect(socket).await.post(path, body).await
}
