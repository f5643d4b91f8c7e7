//! The end of a sidecar while clients are at work: what was accepted is served.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Running, handed};
use crate::support::Served;
use crate::support::client::{Client, get, header};
use cryfttee::config::Limits;
use cryfttee::listen::Role;
use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

const ATTESTATION: &str = "/v1/runtime/attestation";
const REQUEST: &[u8] = b"GET /v1/runtime/attestation HTTP/1.1\r\nhost: x\r\n\r\n";
/// Sidecars, one after the other.
const GENERATIONS: usize = 8;
/// So many are served by one thread.
const FEW: usize = 4;
/// So many by two.
const MANY: usize = 60;

/// What one exchange came to.
enum Outcome {
    /// Whether this was the connection's last answer.
    Answered { last: bool },
    /// The connection ended without an answer, or could not be made.
    Broken(String),
}

fn exchange(stream: &mut UnixStream, pause: Duration) -> Outcome {
    // The longer a client takes to ask, the likelier the sidecar is told to stop meanwhile.
    thread::sleep(pause);
    if let Err(error) = stream.write_all(REQUEST) {
        return Outcome::Broken(format!("write: {error}"));
    }
    let mut text = Vec::new();
    loop {
        let mut room = [0; 4096];
        match stream.read(&mut room) {
            Ok(0) => return Outcome::Broken(format!("ended after {} bytes", text.len())),
            Ok(count) => text.extend_from_slice(&room[..count]),
            Err(error) => return Outcome::Broken(format!("read: {error}")),
        }
        let head = String::from_utf8_lossy(&text).to_ascii_lowercase();
        let Some(end) = head.find("\r\n\r\n") else { continue };
        let length: usize = header(&head, "content-length").expect("a length").parse().expect("a number");
        if text.len() == end + 4 + length {
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            return Outcome::Answered { last: header(&head[..end], "connection") == Some("close") };
        }
    }
}

/// So many clients, which ask until they are told to stop; `kept`: on connections that they keep. How many answers they got,
/// and what broke.
fn ask_on(path: &Path, clients: usize, kept: bool, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    let mut broken = Vec::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || {
                    let (mut open, mut broken, mut turn) = (None::<UnixStream>, Vec::new(), client);
                    while !stop.load(Ordering::Relaxed) {
                        turn += 1;
                        let mut stream = open.take().unwrap_or_else(|| UnixStream::connect(path).expect("connect"));
                        match exchange(&mut stream, Duration::from_micros((turn % 5 * 300) as u64)) {
                            Outcome::Answered { last } => {
                                answered.fetch_add(1, Ordering::Relaxed);
                                open = (kept && !last).then_some(stream);
                            }
                            Outcome::Broken(how) => broken.push(how),
                        }
                    }
                    broken
                })
            })
            .collect();
        for client in clients {
            broken.extend(client.join().expect("it did not panic"));
        }
    });
    broken
}

/// Runs one sidecar after the other on the same socket: the next is there before the last is told to stop.
async fn hand_over_under_load(clients: usize, kept: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api");
    let socket = UnixListener::bind(&path).expect("bind");
    let start = || {
        let unused = File::open("/dev/null").expect("open").into();
        let mut running = Running::start(&mut handed([socket.try_clone().expect("clone").into(), unused], "1", "api"));
        while !running.line().contains("ready: serving api") {}
        running
    };
    let mut serving = start();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let broken = thread::scope(|scope| {
        let clients = scope.spawn(|| ask_on(&path, clients, kept, &stop, &answered));
        for _ in 1..GENERATIONS {
            let enough = answered.load(Ordering::Relaxed) + 500;
            while answered.load(Ordering::Relaxed) < enough && !clients.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            let next = start();
            serving.signal(Signal::SIGTERM);
            let ended = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(std::mem::replace(&mut serving, next).end())
            });
            assert_eq!(ended.0, Some(0), "{}", ended.1);
        }
        stop.store(true, Ordering::Relaxed);
        clients.join().expect("it did not panic")
    });
    let answered = answered.load(Ordering::Relaxed);
    assert!(broken.is_empty(), "{} of {} requests broke: {broken:?}", broken.len(), answered + broken.len());
    assert!(answered >= 500 * (GENERATIONS - 1), "{answered} answers say nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fresh_connection_breaks_while_one_sidecar_follows_another_on_a_socket() {
    hand_over_under_load(FEW, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kept_connection_breaks_while_one_sidecar_follows_another_on_a_socket() {
    hand_over_under_load(FEW, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_of_many_breaks_while_one_sidecar_with_two_threads_follows_another_on_a_socket() {
    hand_over_under_load(MANY, true).await;
}

fn draining(drain: Duration) -> Served {
    Served::start("http://127.0.0.1:9", Limits { drain, ..Limits::default() }, &[Role::Api])
}

#[tokio::test]
async fn a_connection_that_stands_idle_at_the_stop_gets_one_more_answer_which_says_that_it_is_the_last() {
    let mut served = draining(Duration::from_secs(60));
    let mut kept = Client::connect(&served.api).await;
    let first = kept.get(ATTESTATION).await;
    assert_eq!((first.status, header(&first.head, "connection")), (200, None));
    let mut fresh = Client::connect(&served.api).await;
    // It is accepted when its turn in the sidecar's runtime has come.
    assert_eq!(get(&served.api, ATTESTATION).await.status, 200);

    served.tell_to_stop();
    // Well within the second that an idle connection has.
    sleep(Duration::from_millis(50)).await;
    for client in [&mut kept, &mut fresh] {
        let answer = client.get(ATTESTATION).await;
        assert_eq!((answer.status, header(&answer.head, "connection")), (200, Some("close")));
        assert!(client.answer().await.is_none(), "and it is the last");
    }
    timeout(Duration::from_secs(20), served.stopped()).await.expect("nobody is left to wait for");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_half_of_the_drain_time_or_a_second() {
    for (drain, lingers) in [(1_800_u64, 900), (30_000, 1_000)] {
        let mut served = draining(Duration::from_millis(drain));
        let mut idle = Client::connect(&served.api).await;
        assert_eq!(idle.get(ATTESTATION).await.status, 200);
        let told = Instant::now();
        served.tell_to_stop();
        assert!(timeout(Duration::from_secs(40), idle.answer()).await.expect("closed").is_none());
        let took = told.elapsed().as_millis();
        assert!((lingers..u128::from(drain)).contains(&took), "closed after {took} ms of {lingers}");
        timeout(Duration::from_secs(20), served.stopped()).await.expect("nobody is left to wait for");
    }
}

#[tokio::test]
async fn a_request_of_which_half_a_head_has_arrived_has_the_whole_drain_time() {
    let mut served = draining(Duration::from_secs(60));
    let mut fresh = Client::connect(&served.api).await;
    let mut kept = Client::connect(&served.api).await;
    assert_eq!(kept.get(ATTESTATION).await.status, 200);
    let (start, rest) = REQUEST.split_at(20);
    for client in [&mut fresh, &mut kept] {
        client.send(start).await;
    }
    sleep(Duration::from_millis(500)).await;
    served.tell_to_stop();
    // Longer than an idle connection is kept.
    sleep(Duration::from_millis(1_500)).await;
    for client in [&mut fresh, &mut kept] {
        client.send(rest).await;
        assert_eq!(client.answer().await.expect("an answer").status, 200);
        assert!(client.answer().await.is_none(), "and it is the last");
    }
    timeout(Duration::from_secs(20), served.stopped()).await.expect("nobody is left to wait for");
}
