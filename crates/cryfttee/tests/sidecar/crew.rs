//! Many clients at once, which two threads serve.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use cryfttee::config::Limits;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::{Running, handed};
use crate::support::client::{Client, post};
use crate::support::signer::{FakeSigner, Got, Reply, working};
use crate::support::{Served, to_sign};

const SIGN: &str = "/v1/staking/bls/sign";
/// One thread serves so many.
const FEW: usize = 24;
const MANY: usize = 60;
/// Requests of each client.
const TURNS: usize = 30;

/// The program, with a socket of its own.
fn start(signer: &FakeSigner) -> (Running, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = UnixListener::bind(folder.path().join("api")).expect("bind");
    let unused = File::open("/dev/null").expect("open").into();
    let mut command = handed([socket.into(), unused], "1", "api");
    (Running::start(command.env(contract::env::WEB3SIGNER_URL, &signer.url)), folder)
}

/// What a client asks for in one of its turns.
fn request(client: usize, turn: usize) -> String {
    // Digits that are those of an integer and of hex.
    to_sign(0).to_string().replace("{\"epoch\":\"0\"", &format!("{{\"epoch\":\"{client:04}{turn:04}\""))
}

/// Signs by repeating what it is to sign, at once or after a moment.
fn repeat(got: &Got) -> Reply {
    let Some((_, data)) = got.body.split_once("\"randao_reveal\":{\"epoch\":\"") else { return working(got) };
    let data = &data[..8];
    let signed = Reply::json(format!("{{\"signature\":\"0x{}\"}}", data.repeat(24)));
    if data.ends_with('7') { Reply::After(Duration::from_millis(3), Box::new(signed)) } else { signed }
}

/// Clients on kept connections, each with one request under way.
async fn ask_on(api: &Path, clients: usize) {
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let api = api.to_owned();
            tokio::spawn(async move {
                let mut kept = Client::connect(&api).await;
                for turn in 0..TURNS {
                    let answer = kept.post(SIGN, request(client, turn)).await;
                    let expected = format!("0x{}", format!("{client:04}{turn:04}").repeat(24));
                    assert_eq!(answer.json()["signature"], expected, "client {client}, turn {turn}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("it got its answers");
    }
}

fn threads(running: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/task", running.pid())).expect("it runs").count()
}

/// How many threads serve many connections here.
fn expected_threads() -> usize {
    available_parallelism().expect("cores").get().min(2)
}

#[tokio::test]
async fn few_clients_are_served_by_one_thread_and_many_by_two_and_each_gets_the_answer_to_its_own_request() {
    let signer = FakeSigner::start(repeat).await;
    let (running, folder) = start(&signer);
    let api = folder.path().join("api");
    ask_on(&api, FEW).await;
    assert_eq!(threads(&running), 1);
    ask_on(&api, MANY).await;
    assert_eq!(threads(&running), expected_threads());
    let signs = signer.signs();
    assert_eq!(signs.len(), (FEW + MANY) * TURNS, "each request was sent once");
    let connections = signs.iter().map(|got| got.connection).max().expect("some") + 1;
    assert!(connections <= FEW + MANY, "{connections} connections to the signer: they are kept on both threads");
}

#[tokio::test]
async fn what_both_threads_have_in_flight_at_a_stop_is_answered() {
    let slow = |got: &Got| Reply::After(Duration::from_millis(300), Box::new(working(got)));
    let signer = FakeSigner::start(slow).await;
    let (running, folder) = start(&signer);
    let mut clients = Vec::new();
    for client in 0..MANY {
        let mut flying = Client::connect(&folder.path().join("api")).await;
        flying.send(post(SIGN, &request(client, 0))).await;
        clients.push(flying);
    }
    while signer.signs().len() < MANY {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(threads(&running), expected_threads());
    running.signal(Signal::SIGTERM);
    for mut client in clients {
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let (code, log) = running.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("every request in flight was answered"), "{log}");
}

#[tokio::test]
async fn a_stop_waits_no_longer_for_the_second_thread_than_it_may() {
    let signer = FakeSigner::working_but(|got| got.path.contains("/sign").then_some(Reply::Silence)).await;
    let mut served = Served::api(&signer.url, Limits { drain: Duration::from_millis(300), ..Limits::default() });
    let mut clients = Vec::new();
    for client in 0..MANY {
        let mut flying = Client::connect(&served.api).await;
        flying.send(post(SIGN, &request(client, 0))).await;
        clients.push(flying);
    }
    while signer.signs().len() < MANY {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    served.tell_to_stop();
    tokio::time::timeout(Duration::from_secs(10), served.stopped()).await.expect("it stops");
    // Those of the first thread are this test's own, and end with its runtime.
    for client in &mut clients[FEW..] {
        if expected_threads() == 2 && client.answer().await.is_none() {
            return;
        }
    }
    assert_eq!(expected_threads(), 1, "nothing was broken off");
}

#[tokio::test]
async fn many_clients_on_tcp_are_served_as_well() {
    let signer = FakeSigner::start(repeat).await;
    let (_served, address) = Served::tcp(&signer.url, |_| ());
    let mut clients = Vec::new();
    for _ in 0..MANY {
        clients.push(Client::over(TcpStream::connect(address).await.expect("connect")));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(post(SIGN, &request(number, 0))).await;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.json()["signature"], format!("0x{}", format!("{number:04}0000").repeat(24)));
    }
}
