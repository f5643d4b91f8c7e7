//! As much of HTTP as a scraper needs: one request, one answer, and the end of the connection.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// How many clients are served at once; more wait in the kernel's queue.
const CLIENTS: usize = 16;
/// How long one may take.
const AT_MOST: Duration = Duration::from_secs(5);
/// The longest head of a request.
const HEAD: usize = 8 * 1024;

/// Serves until it is told to stop.
pub(super) fn serve(socket: TcpListener, page: impl Fn() -> String + 'static) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(accept(socket, Rc::new(page))))
}

async fn accept(socket: TcpListener, page: Rc<impl Fn() -> String + 'static>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?.0))
        };
        let (place, stream) = tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                // Descriptors are short, or the client is gone already: neither is a reason to end, nor to spin.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let page = Rc::clone(&page);
        tokio::task::spawn_local(async move {
            // A client that goes away, or stands still, has had its chance.
            let _ = tokio::time::timeout(AT_MOST, answer(stream, page.as_ref())).await;
            drop(place);
        });
    }
}

async fn answer(stream: TcpStream, page: &impl Fn() -> String) -> io::Result<()> {
    let Some(head) = read_head(&stream).await? else { return Ok(()) };
    write(&stream, respond(&head, page).as_bytes()).await
}

/// The head of a request; nothing where the client leaves before its end.
async fn read_head(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => head.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(head))
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The answer to a head. Pure, apart from the page, which is made only where it is asked for.
fn respond(head: &[u8], page: &impl Fn() -> String) -> String {
    const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
    const PLAIN: &str = "text/plain; charset=utf-8";
    let line = head.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or("");
    let words: Vec<&str> = line.split(' ').collect();
    let (status, kind, body) = match words[..] {
        _ if head.len() >= HEAD => ("431 Request Header Fields Too Large", PLAIN, "too long\n".to_owned()),
        [method, target, version] if version.starts_with("HTTP/1.") => {
            match (method, target.split('?').next().unwrap_or_default()) {
                ("GET" | "HEAD", "/metrics") => ("200 OK", METRICS, page()),
                ("GET" | "HEAD", _) => ("404 Not Found", PLAIN, "the metrics are at /metrics\n".to_owned()),
                _ => ("405 Method Not Allowed", PLAIN, "GET /metrics\n".to_owned()),
            }
        }
        _ => ("400 Bad Request", PLAIN, "GET /metrics\n".to_owned()),
    };
    let length = body.len();
    let body = if words.first() == Some(&"HEAD") { String::new() } else { body };
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &[u8]) -> String {
        let answer = respond(head, &|| "a 1\n".to_owned());
        answer.split(' ').nth(1).expect("a status").to_owned()
    }

    #[test]
    fn one_page_is_served_and_everything_else_is_refused() {
        for (head, code) in [
            (&b"GET /metrics HTTP/1.1\r\n\r\n"[..], "200"),
            (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"),
            (b"HEAD /metrics HTTP/1.1\r\n\r\n", "200"),
            (b"GET / HTTP/1.1\r\n\r\n", "404"),
            (b"GET /metrics/../etc HTTP/1.1\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics HTTP/2\r\n\r\n", "400"),
            (b"\xff\xfe /metrics HTTP/1.1\r\n\r\n", "400"),
            (b"\r\n\r\n", "400"),
            (&[b'a'; HEAD], "431"),
        ] {
            assert_eq!(status(head), code, "{}", String::from_utf8_lossy(head));
        }
        let answer = respond(b"HEAD /metrics HTTP/1.1\r\n\r\n", &|| "a 1\n".to_owned());
        assert!(answer.contains("Content-Length: 4\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
