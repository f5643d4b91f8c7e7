//! A client of the sidecar's API: one HTTP/1.1 request per connection over the unix socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long one read or write may stand still.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer of the API comes near this.
const ANSWER_MAX: u64 = 1024 * 1024;

/// Why a call gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("connect for {call}: {source}")]
    Connect { call: String, source: std::io::Error },
    #[error("send {call}: {source}")]
    Send { call: String, source: std::io::Error },
    #[error("read the answer to {call}: {source}")]
    Read { call: String, source: std::io::Error },
    #[error("the answer to {call} is not HTTP/1.1 with a whole body")]
    NotHttp { call: String },
    #[error("{call} answered {status}: {text}")]
    Refused { call: String, status: u16, text: String },
    #[error("understand the answer to {call}: {source}")]
    Shape { call: String, source: serde_json::Error },
}

/// A whole answer, whatever its status.
pub(crate) struct Answer {
    call: String,
    status: u16,
    body: Vec<u8>,
}

/// `GET`.
pub(crate) fn get(socket: &Path, path: &str) -> Result<Answer, CallError> {
    exchange(socket, format!("GET {path}"), &[])
}

/// `POST` with a JSON body.
pub(crate) fn post(socket: &Path, path: &str, body: &Value) -> Result<Answer, CallError> {
    exchange(socket, format!("POST {path}"), body.to_string().as_bytes())
}

impl Answer {
    /// The body of a good answer, as `T`; any status but 2xx is an error with the body in it.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, CallError> {
        if !(200..300).contains(&self.status) {
            let text = String::from_utf8_lossy(&self.body).trim().to_owned();
            return Err(CallError::Refused { call: self.call, status: self.status, text });
        }
        serde_json::from_slice(&self.body).map_err(|source| CallError::Shape { call: self.call, source })
    }
}

fn exchange(socket: &Path, call: String, body: &[u8]) -> Result<Answer, CallError> {
    let mut stream = UnixStream::connect(socket).map_err(|source| CallError::Connect { call: call.clone(), source })?;
    let sent = (|| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // "close" makes the end of the stream the end of the answer.
        let head = format!(
            "{call} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())
    })();
    sent.map_err(|source| CallError::Send { call: call.clone(), source })?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_MAX)
        .read_to_end(&mut answer)
        .map_err(|source| CallError::Read { call: call.clone(), source })?;
    parse(&answer).map(|(status, body)| Answer { call: call.clone(), status, body }).ok_or(CallError::NotHttp { call })
}

/// Status and body of an answer whose body has a length and is all there.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(good), Some((200, b"{}".to_vec())));
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n"), Some((204, Vec::new())));
        assert_eq!(parse(&good[..good.len() - 1]), None, "cut short");
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}
