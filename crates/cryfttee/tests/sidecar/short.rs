//! The short way of a request to sign, beside the long one: no client can tell which of them it was.

use std::time::Duration;

use crate::support::client::{Client, header, post};
use crate::support::signer::{FakeSigner, Reply, working};
use crate::support::{Served, TLS, to_sign};
use cryfttee::config::Limits;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

const BLS_SIGN: &str = "/v1/staking/bls/sign";
const TLS_SIGN: &str = "/v1/staking/tls/sign";
const ATTESTATION: &str = "/v1/runtime/attestation";

fn bls() -> String {
    to_sign(1).to_string()
}

fn tls() -> String {
    json!({"pubkey":TLS,"data":"aGVsbG8="}).to_string()
}

/// The same request with a field that only hyper looks at.
fn the_long_way(request: &str) -> String {
    request.replacen("\r\n", "\r\nx-unheard-of: 1\r\n", 1)
}

#[tokio::test]
async fn both_ways_give_the_same_answer_to_the_last_field() {
    let signer = FakeSigner::working_but(|got| {
        let refused = got.body.contains("\"412\"") && got.path.contains("/sign/");
        refused.then(|| Reply::text(412, "slashable"))
    })
    .await;
    let served = Served::api(&signer.url, Limits::default());
    let slashable = to_sign(412).to_string();
    let unnamed = json!({"data":"aGVsbG8="}).to_string();
    for (path, body, status) in [
        (BLS_SIGN, &*bls(), 200),
        (TLS_SIGN, &*tls(), 200),
        (BLS_SIGN, &*slashable, 412),
        (BLS_SIGN, &*unnamed, 400),
        (TLS_SIGN, "no JSON", 400),
        (TLS_SIGN, "", 400),
    ] {
        let request = post(path, body);
        let (mut short, mut long) = (Client::connect(&served.api).await, Client::connect(&served.api).await);
        for _ in 0..2 {
            short.send(&request).await;
            long.send(the_long_way(&request)).await;
            let (short, long) = (short.answer().await.expect("short"), long.answer().await.expect("long"));
            assert_eq!((short.status, &short.body), (status, &long.body), "{path} {body}");
            let fields = |head: &str| -> Vec<String> {
                let mut fields: Vec<_> =
                    head.lines().filter(|line| !line.starts_with("date: ")).map(str::to_owned).collect();
                fields.sort();
                fields
            };
            assert_eq!(fields(&short.head), fields(&long.head), "{path} {body}");
            assert!(header(&short.head, "date").is_some() && header(&long.head, "date").is_some());
        }
    }
}

#[tokio::test]
async fn wherever_a_request_is_cut_it_is_signed_once() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    let request = post(BLS_SIGN, &bls());
    let places =
        [1, 10, 40, request.find("\r\n\r\n").expect("a head") + 2, request.len() - bls().len(), request.len() - 1];
    for (cut, done) in places.into_iter().zip(1..) {
        let mut client = Client::connect(&served.api).await;
        client.send(&request[..cut]).await;
        sleep(Duration::from_millis(30)).await;
        client.send(&request[cut..]).await;
        assert_eq!(client.answer().await.expect("an answer").status, 200, "cut at {cut}");
        assert_eq!(signer.signs().len(), done, "cut at {cut}");
    }
}

#[tokio::test]
async fn requests_of_every_kind_in_one_go_are_answered_in_their_order() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    let mut client = Client::connect(&served.api).await;
    let (bls, tls) = (post(BLS_SIGN, &bls()), post(TLS_SIGN, &tls()));
    let half = tls.len() / 2;
    client
        .send(format!("{bls}{tls}{bls}GET {ATTESTATION}?nonce=ab HTTP/1.1\r\nhost: x\r\n\r\n{bls}{}", &tls[..half]))
        .await;
    let (of_bls, of_tls) = (format!("0x{}", "ab".repeat(96)), format!("0x{}", "cd".repeat(65)));
    for expected in [&of_bls, &of_tls, &of_bls] {
        assert_eq!(client.answer().await.expect("an answer").json()["signature"], **expected);
    }
    assert_eq!(client.answer().await.expect("an answer").json()["nonce"], "ab");
    assert_eq!(client.answer().await.expect("an answer").json()["signature"], of_bls);
    client.send(&tls[half..]).await;
    assert_eq!(client.answer().await.expect("an answer").json()["signature"], of_tls);
    assert_eq!(signer.signs().len(), 5);
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_gives_its_place_back() {
    let signer = FakeSigner::start(|got| Reply::After(Duration::from_secs(60), Box::new(working(got)))).await;
    let served = Served::api(&signer.url, Limits { api_connections: 1, ..Limits::default() });
    let mut client = Client::connect(&served.api).await;
    client.send(post(BLS_SIGN, &bls())).await;
    while signer.signs().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    drop(client);
    let mut next = Client::connect(&served.api).await;
    let answer = timeout(Duration::from_secs(20), next.get(ATTESTATION)).await.expect("there is a place again");
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_cut_off() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits { idle: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::connect(&served.api).await;
    let request = post(BLS_SIGN, &bls());
    let cut_off = async { while client.stream.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(Duration::from_secs(30), cut_off).await.expect("cut off");
}
