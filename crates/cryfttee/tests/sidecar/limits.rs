//! What a client may do, how long it may take, and how many there may be.

use std::time::{Duration, Instant};

use crate::support::client::{Client, ask, get, header};
use crate::support::signer::{FakeSigner, Reply, working};
use crate::support::{Served, to_sign};
use cryfttee::config::Limits;
use cryfttee::listen::Role;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

const SIGN: &str = "/v1/staking/bls/sign";
const ATTESTATION: &str = "/v1/runtime/attestation";

/// A sidecar whose signer is away: these tests end before it.
fn alone(limits: Limits) -> Served {
    Served::api("http://127.0.0.1:9", limits)
}

fn request() -> serde_json::Value {
    to_sign(1)
}

#[tokio::test]
async fn an_unknown_path_is_a_404_and_a_wrong_method_a_405_that_names_the_right_one() {
    let served = alone(Limits::default());
    let mut client = Client::connect(&served.api).await;
    for path in ["/", "/v1", "/v1/staking/status/", "/v1/runtime/admit", "/v1/staking/BLS/sign"] {
        assert_eq!(client.get(path).await.refusal(), (404, "not_found".to_owned()), "{path}");
    }
    let answer = client.get(SIGN).await;
    assert_eq!(answer.refusal(), (405, "method_not_allowed".to_owned()));
    assert_eq!(header(&answer.head, "allow"), Some("post"));
    let answer = client.post("/v1/staking/status", "{}").await;
    assert_eq!((answer.status, header(&answer.head, "allow")), (405, Some("get")));
}

#[tokio::test]
async fn a_body_that_is_declared_as_something_else_is_a_415() {
    let served = alone(Limits::default());
    for (kind, status) in [
        ("content-type: text/plain\r\n", 415),
        ("content-type: application/x-www-form-urlencoded\r\n", 415),
        ("content-type: \r\n", 415),
        ("content-type: Application/JSON; charset=utf-8\r\n", 400),
        ("content-type: application/problem+json\r\n", 400),
        ("", 400),
    ] {
        let mut client = Client::connect(&served.api).await;
        client.send(format!("POST {SIGN} HTTP/1.1\r\nhost: x\r\n{kind}content-length: 2\r\n\r\n{{}}")).await;
        assert_eq!(client.answer().await.expect("an answer").status, status, "{kind:?}");
    }
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_read_and_one_byte_more_is_a_413() {
    let served = alone(Limits::default());
    let most = contract::defaults::MAX_BODY;
    let answer = ask(&served.api, SIGN, " ".repeat(most)).await;
    assert_eq!(answer.refusal(), (400, "malformed".to_owned()));
    let answer = ask(&served.api, SIGN, " ".repeat(most + 1)).await;
    assert_eq!(answer.refusal(), (413, "too_large".to_owned()));

    // Without a declared length.
    let mut client = Client::connect(&served.api).await;
    client.send(format!("POST {SIGN} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")).await;
    for _ in 0..=most / 0x10000 {
        client.send(format!("10000\r\n{}\r\n", " ".repeat(0x10000))).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.expect("an answer").status, 413);

    // Announced by a client that asks first.
    let mut client = Client::connect(&served.api).await;
    client
        .send(format!("POST {SIGN} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.expect("an answer").status, 413);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_a_431() {
    let served = alone(Limits::default());
    let mut client = Client::connect(&served.api).await;
    client.send(format!("GET {ATTESTATION} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(32 * 1024))).await;
    assert_eq!(client.answer().await.expect("an answer").status, 431);
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_and_an_idle_connection_is_not() {
    let served = alone(Limits { head: Duration::from_millis(200), ..Limits::default() });
    let mut idle = Client::connect(&served.api).await;
    assert_eq!(idle.get(ATTESTATION).await.status, 200);

    let mut dripping = Client::connect(&served.api).await;
    let started = Instant::now();
    let cut_off = async {
        while dripping.stream.write_all(b"G").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), cut_off).await.expect("cut off");
    assert!(started.elapsed() >= Duration::from_millis(200));

    sleep(Duration::from_millis(500)).await;
    assert_eq!(idle.get(ATTESTATION).await.status, 200, "it has stood idle for longer than a head may take");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let served = alone(Limits { idle: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::connect(&served.api).await;
    assert_eq!(client.get(ATTESTATION).await.status, 200);
    let ended = timeout(Duration::from_secs(30), client.answer()).await.expect("closed");
    assert!(ended.is_none());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_a_504() {
    let served = alone(Limits { request: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::connect(&served.api).await;
    client.send(format!("POST {SIGN} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{")).await;
    assert_eq!(client.answer().await.expect("an answer").refusal(), (504, "timeout".to_owned()));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let served = alone(Limits::default());
    let mut client = Client::connect(&served.api).await;
    let all: String = (1..=20).map(|n| format!("GET {ATTESTATION}?nonce={n:02} HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    client.send(all).await;
    for n in 1..=20 {
        assert_eq!(client.answer().await.expect("an answer").json()["nonce"], format!("{n:02}"));
    }
}

#[tokio::test]
async fn three_hundred_clients_at_once_are_all_answered() {
    let slow = |got: &crate::support::signer::Got| Reply::After(Duration::from_millis(200), Box::new(working(got)));
    let signer = FakeSigner::start(slow).await;
    let served = Served::api(&signer.url, Limits::default());
    let started = Instant::now();
    let clients: Vec<_> = (0..300)
        .map(|_| {
            let api = served.api.clone();
            tokio::spawn(async move { ask(&api, SIGN, request()).await.status })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.expect("it did not panic"), 200);
    }
    assert_eq!(signer.signs().len(), 300, "one call each");
    assert!(started.elapsed() < Duration::from_secs(40), "at once, not one after the other (60 s)");
}

#[tokio::test]
async fn clients_without_a_place_wait_and_do_not_keep_the_verifier_out() {
    let limits = Limits { api_connections: 2, ..Limits::default() };
    let served = Served::start("http://127.0.0.1:9", limits, &[Role::Api, Role::Control]);
    assert_eq!(ask(&served.control, "/v1/runtime/admit", "").await.status, 204);
    let mut first = Client::connect(&served.api).await;
    let mut second = Client::connect(&served.api).await;
    assert_eq!((first.get(ATTESTATION).await.status, second.get(ATTESTATION).await.status), (200, 200));

    let mut third = Client::connect(&served.api).await;
    third.send(format!("GET {ATTESTATION} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert!(timeout(Duration::from_millis(200), third.answer()).await.is_err(), "there is no place for it");
    assert_eq!(get(&served.control, ATTESTATION).await.status, 200);
    drop(first);
    let answer = timeout(Duration::from_secs(30), third.answer()).await.expect("a place is free now");
    assert_eq!(answer.expect("an answer").status, 200);
}

#[tokio::test]
async fn api_waits_for_admission_which_only_control_can_give() {
    let served = Served::start("http://127.0.0.1:9", Limits::default(), &[Role::Api, Role::Control]);
    assert_eq!(get(&served.control, ATTESTATION).await.status, 200);
    let mut early = Client::connect(&served.api).await;
    early.send(format!("GET {ATTESTATION} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert!(timeout(Duration::from_millis(300), early.answer()).await.is_err(), "it waits in the queue");

    for _ in 0..2 {
        assert_eq!(ask(&served.control, "/v1/runtime/admit", "").await.status, 204);
    }
    assert_eq!(early.answer().await.expect("an answer").status, 200, "and is served once admitted");
    assert_eq!(ask(&served.api, "/v1/runtime/admit", "").await.refusal(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_takes_nothing_new() {
    let slow = |got: &crate::support::signer::Got| Reply::After(Duration::from_millis(400), Box::new(working(got)));
    let signer = FakeSigner::start(slow).await;
    let limits = Limits { drain: Duration::from_secs(60), ..Limits::default() };
    let mut served = Served::api(&signer.url, limits);
    let api = served.api.clone();
    let mut idle = Client::connect(&api).await;
    assert_eq!(idle.get(ATTESTATION).await.status, 200);
    let mut flying = Client::connect(&api).await;
    flying.send(crate::support::client::post(SIGN, &request().to_string())).await;
    sleep(Duration::from_millis(100)).await;

    let started = Instant::now();
    served.tell_to_stop();
    assert!(idle.answer().await.is_none(), "an idle connection is closed");
    assert_eq!(flying.answer().await.expect("an answer").status, 200);
    assert!(flying.answer().await.is_none(), "and closed after it");
    served.stopped().await;
    assert!(started.elapsed() < Duration::from_secs(30), "it did not wait for longer than it had to");
    assert!(tokio::net::UnixStream::connect(&api).await.is_err());
}

#[tokio::test]
async fn stopping_waits_no_longer_than_it_may() {
    let signer = FakeSigner::start(|_| Reply::Silence).await;
    let mut served = Served::api(&signer.url, Limits { drain: Duration::from_millis(200), ..Limits::default() });
    let mut flying = Client::connect(&served.api).await;
    flying.send(crate::support::client::post(SIGN, &request().to_string())).await;
    sleep(Duration::from_millis(100)).await;
    served.tell_to_stop();
    timeout(Duration::from_secs(30), served.stopped()).await.expect("stopped in time");
}
