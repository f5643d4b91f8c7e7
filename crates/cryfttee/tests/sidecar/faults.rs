//! A signer that is away, slow, wrong or hostile (fault 48), and connections to it that come and go.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Client, ask, get};
use crate::support::signer::{FakeSigner, Got, Reply, signature, working};
use crate::support::{BLS, Served, TLS, to_sign};
use contract::wire::StakingStatus;
use cryfttee::config::Limits;
use serde_json::json;

const STATUS: &str = "/v1/staking/status";
const BLS_SIGN: &str = "/v1/staking/bls/sign";
const TLS_SIGN: &str = "/v1/staking/tls/sign";

/// Short enough to wait for where a timeout is what is shown.
const SHORT: Duration = Duration::from_millis(500);
/// Long enough that a busy machine is not taken for a slow signer.
const LONG: Duration = Duration::from_secs(20);

fn within(request: Duration) -> Limits {
    Limits { request, signer_status: LONG, upcheck_cache: Duration::ZERO, ..Limits::default() }
}

fn bls_request() -> serde_json::Value {
    to_sign(1)
}

async fn sign_bls(served: &Served) -> Answer {
    ask(&served.api, BLS_SIGN, bls_request()).await
}

fn is_sign(got: &Got) -> bool {
    got.path.contains("/sign/")
}

#[tokio::test]
async fn a_signer_that_is_away_is_a_503_and_a_status_that_says_so() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("bound");
    let served = Served::api(&format!("http://{free}"), within(LONG));
    assert_eq!(sign_bls(&served).await.refusal(), (503, "signer_unavailable".to_owned()));
    let answer = get(&served.api, STATUS).await;
    let status: StakingStatus = serde_json::from_str(&answer.body).expect("a status");
    assert_eq!((answer.status, status.ready, status.web3signer_connected), (200, false, false));
    assert!(status.bls_pubkeys.is_empty() && status.tls_pubkeys.is_empty());
    assert_eq!(answer.json()["web3Signer"]["reachable"], false);
    assert!(answer.json()["web3Signer"]["lastError"].as_str().is_some_and(|why| why.contains("refused")));
}

#[tokio::test]
async fn every_answer_of_the_signer_becomes_the_contracts_code() {
    for (reply, status, code) in [
        (Reply::text(400, "Bad Request: no fork_info"), 400, "signer_refused"),
        (Reply::text(404, "Public Key not found"), 404, "key_not_found"),
        (Reply::text(412, "Signing operation failed due to slashing protection rules"), 412, "slashing_protection"),
        (Reply::text(403, "Host not authorized."), 502, "signer_error"),
        (Reply::text(500, "boom"), 502, "signer_error"),
        (Reply::text(503, "later"), 503, "signer_unavailable"),
        (Reply::Http(302, "text/plain", String::new()), 502, "signer_error"),
        (Reply::Http(200, "text/html", "<html><body>Log in</body></html>".into()), 502, "signer_nonsense"),
        (Reply::json("{}"), 502, "signer_nonsense"),
        (Reply::json(signature(95)), 502, "signer_nonsense"),
        (Reply::json(signature(97)), 502, "signer_nonsense"),
        (Reply::json(""), 502, "signer_nonsense"),
        (Reply::json("[".repeat(60_000)), 502, "signer_nonsense"),
        (Reply::json(format!("{{\"more\":{}", "[".repeat(60_000))), 502, "signer_nonsense"),
        (Reply::json(r#"{"signature":null}"#), 502, "signer_nonsense"),
        (Reply::json(r#"{"signature":["0x00"]}"#), 502, "signer_nonsense"),
        (Reply::json("[1]"), 502, "signer_nonsense"),
        (Reply::json("true"), 502, "signer_nonsense"),
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()), 502, "signer_nonsense"),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-length: 11\r\n\r\n".to_vec()),
            502,
            "signer_nonsense",
        ),
        (Reply::Close, 502, "signer_broke_off"),
        (Reply::Silence, 504, "signer_timeout"),
        (Reply::Endless, 502, "signer_nonsense"),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()), 504, "signer_timeout"),
    ] {
        let shown = format!("{reply:.60?}");
        let signer = FakeSigner::working_but(move |got| is_sign(got).then(|| reply.clone())).await;
        let served = Served::api(&signer.url, within(if status == 504 { SHORT } else { LONG }));
        assert_eq!(sign_bls(&served).await.refusal(), (status, code.to_owned()), "bls {shown}");
        let answer = ask(&served.api, TLS_SIGN, json!({"pubkey":TLS,"data":"aGVsbG8="})).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "tls {shown}");
        assert_eq!(signer.signs().len(), 2, "a sign is never sent twice: {shown}");
    }
}

#[tokio::test]
async fn what_the_signer_says_is_told_without_its_control_characters_and_not_at_length() {
    let text = format!("refused\n\u{1b}[31mREADY=1{}", "x".repeat(1 << 20));
    let signer = FakeSigner::working_but(move |got| is_sign(got).then(|| Reply::text(412, text.clone()))).await;
    let served = Served::api(&signer.url, Limits::default());
    let details = sign_bls(&served).await.json()["details"].as_str().expect("a text").to_owned();
    assert!(details.starts_with("412: refused\\n\\u{1b}[31mREADY=1xxx"), "{details}");
    assert!(details.len() < 400);
}

#[tokio::test]
async fn a_slow_signer_costs_a_status_its_own_short_time_only() {
    for slow in ["/upcheck", "/api/v1/eth1/publicKeys"] {
        let signer = FakeSigner::working_but(move |got| (got.path == slow).then_some(Reply::Silence)).await;
        let served = Served::api(&signer.url, Limits { signer_status: SHORT, ..within(Duration::from_secs(120)) });
        let started = Instant::now();
        let answer = get(&served.api, STATUS).await;
        assert!(started.elapsed() < Duration::from_secs(30));
        let said = answer.json();
        assert_eq!((answer.status, &said["web3signer_connected"]), (200, &json!(false)), "{slow}");
        let process = &said["signers"][0];
        assert_eq!(process["state"], "timed_out", "{slow}");
        assert_eq!(process["why"], format!("timed out: no answer to GET {slow}"));
    }
}

#[tokio::test]
async fn a_list_of_keys_that_is_none_is_told_and_no_keys() {
    for (reply, state, why) in [
        (Reply::Http(200, "text/html", "<html>".into()), "nonsense", "is not a JSON list of public keys"),
        (Reply::json(r#"{"keys":[]}"#), "nonsense", "is not a JSON list of public keys"),
        (Reply::json(r#"["0x02"]"#), "nonsense", "is not a JSON list of public keys"),
        (Reply::Endless, "nonsense", "is over 8388608 bytes"),
        (Reply::text(500, "boom"), "rejects", "500 Internal Server Error to GET /api/v1/eth"),
        (Reply::text(406, ""), "rejects", "406 Not Acceptable to GET /api/v1/eth"),
        (Reply::Close, "nonsense", "the connection ended before GET /api/v1/eth"),
    ] {
        let shown = format!("{reply:?}");
        let signer = FakeSigner::working_but(move |got| got.path.ends_with("publicKeys").then(|| reply.clone())).await;
        let served = Served::api(&signer.url, Limits { signer_status: Duration::from_secs(10), ..Limits::default() });
        let answer = get(&served.api, STATUS).await;
        let said = answer.json();
        assert_eq!((answer.status, &said["ready"], &said["bls_pubkeys"]), (200, &json!(false), &json!([])), "{shown}");
        let process = &said["signers"][0];
        assert_eq!(process["state"], state, "{shown}");
        assert!(process["why"].as_str().is_some_and(|told| told.contains(why)), "{shown}: {process}");
        let told = said["web3Signer"]["lastError"].as_str().expect("a reason");
        assert!(told.contains(&signer.url) && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn ten_thousand_keys_are_listed() {
    let keys = |key: &str| Reply::json(serde_json::to_string(&vec![key; 10_000]).expect("JSON"));
    let signer = FakeSigner::working_but(move |got| match got.path.as_str() {
        "/api/v1/eth2/publicKeys" => Some(keys(BLS)),
        "/api/v1/eth1/publicKeys" => Some(keys(crate::support::TLS_64)),
        _ => None,
    })
    .await;
    let served = Served::api(&signer.url, Limits { signer_status: Duration::from_secs(30), ..Limits::default() });
    let answer = get(&served.api, STATUS).await;
    let status: StakingStatus = serde_json::from_str(&answer.body).expect("a status");
    assert_eq!((status.bls_pubkeys.len(), status.tls_pubkeys.len()), (10_000, 10_000));
}

#[tokio::test]
async fn a_kind_of_key_that_the_signer_does_not_serve_is_no_capability() {
    let signer = FakeSigner::working_but(|got| {
        got.path.starts_with("/api/v1/eth1").then(|| Reply::text(404, "Resource not found"))
    })
    .await;
    let served = Served::api(&signer.url, Limits::default());
    let answer = get(&served.api, STATUS).await.json();
    assert_eq!(answer["capabilities"], json!(["bls_signing", "key_generation"]));
    assert_eq!((&answer["ready"], &answer["tls_pubkeys"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn a_signer_that_makes_no_keys_is_a_502_that_says_so() {
    for refusal in [400, 404, 405] {
        let signer =
            FakeSigner::working_but(move |got| (got.method == "POST").then(|| Reply::text(refusal, "no"))).await;
        let served = Served::api(&signer.url, Limits::default());
        let answer = ask(&served.api, "/v1/staking/bls/register", json!({"action":"generate"})).await;
        assert_eq!(answer.refusal(), (400, "not_supported_by_signer".to_owned()));
    }
    let signer = FakeSigner::working_but(|got| (got.method == "POST").then(|| Reply::text(409, "there"))).await;
    let served = Served::api(&signer.url, Limits::default());
    let answer = ask(&served.api, "/v1/staking/bls/register", json!({"action":"generate"})).await;
    assert_eq!(answer.refusal(), (409, "key_exists".to_owned()));
}

#[tokio::test]
async fn a_digest_needs_the_extension_and_an_unknown_key_is_told_from_a_missing_extension() {
    let request =
        json!({"keyHandle":TLS,"digest":contract::Bytes(vec![0x11; 32]).to_base64(),"algorithm":"ECDSA_P256_SHA256"});
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    let answer = ask(&served.api, TLS_SIGN, &request).await;
    assert_eq!(answer.refusal(), (400, "not_supported_by_signer".to_owned()), "{}", answer.body);

    let has = |got: &Got| (got.path == "/ext/cryft/v1").then(|| Reply::json(r#"{"functions":["sign_digest"]}"#));
    let signer = FakeSigner::working_but(has).await;
    let served = Served::api(&signer.url, Limits::default());
    assert_eq!(ask(&served.api, TLS_SIGN, &request).await.refusal(), (404, "key_not_found".to_owned()));
}

#[tokio::test]
async fn a_certificate_that_the_signer_signs_wrong_is_refused() {
    let wrong = |got: &Got| got.path.ends_with("/sign-sha256").then(|| Reply::json(signature(64)));
    let signer = FakeSigner::working_but(wrong).await;
    let served = Served::api(&signer.url, Limits::default());
    let answer = ask(&served.api, "/v1/staking/tls/register", json!({"action":"generate"})).await;
    assert_eq!(answer.refusal(), (502, "signer_nonsense".to_owned()));
}

#[tokio::test]
async fn a_second_answer_behind_the_first_is_never_taken_for_that_to_the_next_request() {
    let whole = |digits: &str| {
        let body = format!("{{\"signature\":\"0x{}\"}}", digits.repeat(96));
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    // Whole, cut short, and no HTTP at all; in one write with the answer, as the scripted signer writes.
    for surplus in [whole("ee"), whole("ee")[..30].to_owned(), "garbage".to_owned(), "\r\n".to_owned()] {
        let both = (whole("ab") + &surplus).into_bytes();
        let signer = FakeSigner::working_but(move |got| is_sign(got).then(|| Reply::Raw(both.clone()))).await;
        let served = Served::api(&signer.url, within(LONG));
        for _ in 0..3 {
            let answer = sign_bls(&served).await;
            assert_eq!(answer.json()["signature"], format!("0x{}", "ab".repeat(96)), "{surplus:?}: {}", answer.body);
        }
        let connections: Vec<_> = signer.signs().into_iter().map(|got| got.connection).collect();
        assert_eq!(connections, [0, 1, 2], "a signer that says more than it was asked is not asked again there");
    }
}

#[tokio::test]
async fn what_a_signer_says_unasked_after_its_answer_ends_that_connection() {
    let signer = FakeSigner::start(|got| match is_sign(got) {
        true => Reply::Twice(signature(96), Duration::from_millis(50), signature(96).replace("ab", "ee")),
        false => working(got),
    })
    .await;
    let served = Served::api(&signer.url, within(LONG));
    for _ in 0..3 {
        assert_eq!(sign_bls(&served).await.json()["signature"], format!("0x{}", "ab".repeat(96)));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let connections: Vec<_> = signer.signs().into_iter().map(|got| got.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
}

#[tokio::test]
async fn answers_of_another_type_are_nonsense_for_every_call_that_reads_one() {
    for wrong in
        ["null", "7", "\"text\"", "[]", "{}", r#"{"pubkey":7}"#, r#"{"pubkey":["0x"]}"#, r#"{"pubkey":"0x02"}"#]
    {
        let signer = FakeSigner::working_but(move |got| (got.method == "POST").then(|| Reply::json(wrong))).await;
        let served = Served::api(&signer.url, within(LONG));
        for kind in ["bls", "tls"] {
            let path = format!("/v1/staking/{kind}/register");
            let answer = ask(&served.api, &path, json!({"action":"generate"})).await;
            assert_eq!(answer.refusal(), (502, "signer_nonsense".to_owned()), "{kind} {wrong}");
        }
    }
    // What it can do is not an answer to fail over: what cannot be read is announced as not there.
    for wrong in ["null", "[]", r#"{"functions":"generate"}"#, r#"{"functions":[7]}"#, "<html>"] {
        let signer =
            FakeSigner::working_but(move |got| (got.path == "/ext/cryft/v1").then(|| Reply::json(wrong))).await;
        let served = Served::api(&signer.url, within(LONG));
        let status = get(&served.api, STATUS).await.json();
        assert_eq!(status["capabilities"], json!(["bls_signing", "tls_signing"]), "{wrong}");
    }
}

#[tokio::test]
async fn connections_to_the_signer_are_kept_and_used_again() {
    let signer = FakeSigner::working_but(|got| got.body.contains("\"412\"").then(|| Reply::text(412, "no"))).await;
    let served = Served::api(&signer.url, Limits::default());
    for _ in 0..5 {
        assert_eq!(sign_bls(&served).await.status, 200);
        let refused = ask(&served.api, BLS_SIGN, to_sign(412)).await;
        assert_eq!(refused.status, 412);
    }
    assert!(signer.got().iter().all(|got| got.connection == 0), "a refusal is an answer, and keeps its connection");
}

#[tokio::test]
async fn a_kept_connection_that_the_signer_closed_is_not_an_error_for_anybody() {
    let signer = FakeSigner::working_but(|got| is_sign(got).then(|| Reply::ThenClose(200, signature(96)))).await;
    let served = Served::api(&signer.url, Limits::default());
    for _ in 0..200 {
        // The close may arrive before, while or after the next request looks at the connection.
        let answer = sign_bls(&served).await;
        if answer.status != 200 {
            // In the last case the signer may have read the request: that is told, not tried again.
            assert_eq!(answer.refusal(), (502, "signer_broke_off".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sign_bls(&served).await.status, 200, "a close that has arrived is seen");
}

#[tokio::test]
async fn a_stale_connection_never_makes_a_sign_reach_the_signer_twice() {
    // Every third answer is followed by a close that was not announced, every fifth request by a close alone.
    let asked = AtomicUsize::new(0);
    let signer = FakeSigner::working_but(move |got| {
        let nth = is_sign(got).then(|| asked.fetch_add(1, Ordering::SeqCst))?;
        match (nth % 3, nth % 5) {
            (_, 4) => Some(Reply::Close),
            (2, _) => Some(Reply::ThenClose(200, signature(96))),
            _ => None,
        }
    })
    .await;
    let served = Served::api(&signer.url, Limits::default());
    let (mut answered, mut broken) = (0, 0);
    for n in 0..150 {
        let answer = ask(&served.api, BLS_SIGN, to_sign(n)).await;
        match answer.status {
            200 => answered += 1,
            _ => {
                assert_eq!(answer.refusal(), (502, "signer_broke_off".to_owned()));
                broken += 1;
            }
        }
        if n % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut bodies: Vec<_> = signer.signs().into_iter().map(|got| got.body).collect();
    let reached = bodies.len();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), reached, "each request has its own bytes, so a repeated body was sent twice");
    assert!(answered >= 100 && broken >= 20 && reached >= answered, "{answered} {broken} {reached}");
    let connections = signer.signs().into_iter().map(|got| got.connection).max().expect("some");
    assert!(connections < 149, "connections were kept in between: {connections}");
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_never_taken_for_the_next_one() {
    let asked = AtomicUsize::new(0);
    let signer = FakeSigner::working_but(move |got| {
        let first = is_sign(got) && asked.fetch_add(1, Ordering::SeqCst) == 0;
        let late = Reply::json(format!("{{\"signature\":\"0x{}\"}}", "ee".repeat(96)));
        first.then(|| Reply::After(Duration::from_millis(1_000), Box::new(late)))
    })
    .await;
    let served = Served::api(&signer.url, Limits::default());
    let mut client = Client::connect(&served.api).await;
    client.send(crate::support::client::post(BLS_SIGN, &bls_request().to_string())).await;
    while signer.signs().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(client);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for _ in 0..3 {
        assert_eq!(sign_bls(&served).await.json()["signature"], format!("0x{}", "ab".repeat(96)));
    }
}

#[tokio::test]
async fn an_upcheck_holds_for_a_moment() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits { upcheck_cache: Duration::from_secs(60), ..Limits::default() });
    for _ in 0..5 {
        assert_eq!(get(&served.api, STATUS).await.status, 200);
    }
    let upchecks = signer.got().into_iter().filter(|got| got.path == "/upcheck");
    assert_eq!(upchecks.count(), 1);
}

#[tokio::test]
async fn nothing_is_asked_of_the_signer_before_a_client_asks() {
    let signer = FakeSigner::start(working).await;
    let served = Served::api(&signer.url, Limits::default());
    assert_eq!(get(&served.api, "/v1/runtime/attestation").await.status, 200);
    assert_eq!(signer.got(), []);
}
