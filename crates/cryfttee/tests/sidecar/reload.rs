//! A signer that lost keys, or does not have them yet: what it is asked, and what is not done meanwhile.

use cryfttee::config::{KeyGeneration, Limits};
use cryfttee::listen::Role;
use serde_json::{Value, json};

use crate::support::client::{Answer, ask, get};
use crate::support::signer::{FakeSigner, Got, Reply};
use crate::support::stock::{Process, no_such_path, stock, stock_but, unhealthy};
use crate::support::{BLS, Served};

const RELOAD: &str = "/v1/runtime/signer/reload";

async fn before(eth2: &FakeSigner, eth1: Option<&FakeSigner>, who: KeyGeneration) -> Served {
    let served = Served::with(&eth2.url, &[Role::Api, Role::Control], |settings| {
        settings.signer_eth1 = eth1.map(|eth1| eth1.url.parse().expect("a URL"));
        settings.key_generation = who;
        settings.limits = Limits { upcheck_cache: std::time::Duration::ZERO, ..Limits::default() };
    });
    assert_eq!(ask(&served.control, "/v1/runtime/admit", "{}").await.status, 204);
    served
}

fn empty(got: &Got) -> Option<Reply> {
    (got.path.ends_with("publicKeys") && got.path.contains("eth2")).then(|| Reply::json("[]"))
}

fn reloads(signer: &FakeSigner) -> usize {
    signer.got().iter().filter(|got| got.path == "/reload").count()
}

async fn reload(served: &Served) -> Value {
    let answer = ask(&served.control, RELOAD, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn only_a_process_that_lists_no_key_is_asked_to_reload() {
    let (eth2, eth1) = (stock_but(Process::Eth2, empty).await, stock(Process::Eth1).await);
    let served = before(&eth2, Some(&eth1), KeyGeneration::Off).await;
    assert_eq!(reload(&served).await, json!({"reloaded": ["eth2"], "why": {"eth1": "it lists 1 key"}}));
    assert_eq!((reloads(&eth2), reloads(&eth1)), (1, 0));

    let (eth2, eth1) = (stock(Process::Eth2).await, stock(Process::Eth1).await);
    let served = before(&eth2, Some(&eth1), KeyGeneration::Off).await;
    let answer = reload(&served).await;
    assert_eq!(answer, json!({"reloaded": [], "why": {"eth2": "it lists 1 key", "eth1": "it lists 1 key"}}));
    assert_eq!((reloads(&eth2), reloads(&eth1)), (0, 0));
}

#[tokio::test]
async fn a_reload_that_runs_already_counts_and_one_that_is_refused_says_why() {
    for (reply, expected) in [
        (Reply::Http(202, "application/json", "{}".into()), json!({"reloaded": ["both"], "why": {}})),
        (Reply::json(""), json!({"reloaded": ["both"], "why": {}})),
        (Reply::text(409, "{}"), json!({"reloaded": ["both"], "why": {"both": "already running"}})),
        (Reply::text(406, ""), json!({"reloaded": [], "why": {"both": "406 Not Acceptable to POST /reload"}})),
        (no_such_path(), json!({"reloaded": [], "why": {"both": "404 Not Found to POST /reload"}})),
    ] {
        let signer = FakeSigner::working_but(move |got| match got.path.as_str() {
            "/reload" => Some(reply.clone()),
            path if path.ends_with("publicKeys") => Some(Reply::json("[]")),
            _ => None,
        })
        .await;
        let served = before(&signer, None, KeyGeneration::Off).await;
        assert_eq!(reload(&served).await, expected);
        assert_eq!(reloads(&signer), 1);
        let sent = signer.got().into_iter().find(|got| got.path == "/reload").expect("sent");
        assert_eq!((sent.method.as_str(), sent.body.as_str()), ("POST", ""));
    }
}

#[tokio::test]
async fn a_process_whose_list_is_not_known_is_not_asked_to_reload() {
    let unknown = |got: &Got| got.path.ends_with("publicKeys").then(|| Reply::text(500, "boom"));
    let nothing = |got: &Got| got.path.ends_with("publicKeys").then(no_such_path);
    let (eth2, eth1) = (stock_but(Process::Eth2, unknown).await, stock_but(Process::Eth1, nothing).await);
    let served = before(&eth2, Some(&eth1), KeyGeneration::Off).await;
    let answer = reload(&served).await;
    assert_eq!(answer["reloaded"], json!([]));
    assert_eq!(answer["why"]["eth2"], "500 Internal Server Error to GET /api/v1/eth2/publicKeys");
    assert_eq!(answer["why"]["eth1"], "it serves no list of keys");
    assert_eq!((reloads(&eth2), reloads(&eth1)), (0, 0));
}

#[tokio::test]
async fn clients_cannot_have_the_signer_reloaded() {
    let signer = stock_but(Process::Eth2, empty).await;
    let served = before(&signer, None, KeyGeneration::Off).await;
    assert_eq!(ask(&served.api, RELOAD, "").await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(get(&served.control, RELOAD).await.refusal(), (405, "method_not_allowed".to_owned()));
    assert_eq!(reloads(&signer), 0);
}

async fn generate(served: &Served, kind: &str) -> Answer {
    ask(&served.control, &format!("/v1/staking/{kind}/register"), json!({"action":"generate"})).await
}

fn made(signer: &FakeSigner) -> usize {
    signer.got().iter().filter(|got| got.method == "POST" && got.path == "/eth/v1/keystores").count()
}

#[tokio::test]
async fn no_key_is_made_while_key_files_failed_to_load_or_the_signer_is_down() {
    for who in [KeyGeneration::Import, KeyGeneration::Signer] {
        for (health, said) in [
            (unhealthy(3), "3 key files"),
            (unhealthy(1), "1 key file of"),
            (unhealthy(0), "DOWN"),
            (Reply::text(503, "Service Unavailable"), "DOWN"),
            (Reply::json(r#"{"status":"UP","checks":[{"data":{"error-count":2}}]}"#), "2 key files"),
        ] {
            let signer = FakeSigner::working_but(move |got| (got.path == "/healthcheck").then(|| health.clone())).await;
            let served = before(&signer, None, who).await;
            for kind in ["bls", "tls"] {
                let answer = generate(&served, kind).await;
                if kind == "tls" && who == KeyGeneration::Import {
                    assert_eq!(answer.refusal(), (403, "key_generation_off".to_owned()));
                    continue;
                }
                assert_eq!(answer.refusal(), (503, "signer_unavailable".to_owned()), "{kind} {said}");
                assert!(answer.body.contains(said) && answer.body.contains("POST /reload"), "{}", answer.body);
            }
            assert_eq!(made(&signer), 0);
            let known = json!({"mode":"verify","publicKey":BLS});
            assert_eq!(ask(&served.api, "/v1/staking/bls/register", known).await.status, 200, "a key that is there is");
        }
    }
}

#[tokio::test]
async fn a_signer_that_does_not_say_how_it_is_gets_no_key_either() {
    for (reply, status, code) in [
        (Reply::text(406, ""), 502, "signer_error"),
        (Reply::text(500, ""), 502, "signer_error"),
        (Reply::Close, 502, "signer_broke_off"),
    ] {
        let signer = FakeSigner::working_but(move |got| (got.path == "/healthcheck").then(|| reply.clone())).await;
        let served = before(&signer, None, KeyGeneration::Signer).await;
        assert_eq!(generate(&served, "bls").await.refusal(), (status, code.to_owned()));
        assert_eq!(made(&signer), 0);
    }
    let signer = FakeSigner::working_but(|got| (got.path == "/healthcheck").then(no_such_path)).await;
    let served = before(&signer, None, KeyGeneration::Signer).await;
    assert_eq!(generate(&served, "bls").await.status, 201, "one without the call says nothing");
}

#[tokio::test]
async fn a_signer_whose_health_was_not_heard_is_not_called_healthy() {
    for (reply, health) in [
        (Reply::text(500, ""), "unheard"),
        (Reply::text(403, ""), "unheard"),
        (Reply::Close, "unheard"),
        (Reply::text(503, "<html>"), "down"),
        (no_such_path(), "unknown"),
    ] {
        let said = reply.clone();
        let eth2 = stock_but(Process::Eth2, move |got| (got.path == "/healthcheck").then(|| said.clone())).await;
        let eth1 = stock_but(Process::Eth1, move |got| (got.path == "/healthcheck").then_some(Reply::Close)).await;
        let served = before(&eth2, Some(&eth1), KeyGeneration::Off).await;
        let status = get(&served.control, "/v1/staking/status").await.json();
        assert_eq!(status["signers"][0]["health"], health, "{reply:?}");
        assert_eq!(status["signers"][1]["health"], "unknown", "of eth1 nothing depends on it");
        assert_eq!((&status["ready"], &status["signers"][0]["keys"]), (&json!(true), &json!(1)));
    }
}

#[tokio::test]
async fn the_health_beside_a_list_is_from_after_it() {
    let eth2 = stock(Process::Eth2).await;
    let eth1 = stock(Process::Eth1).await;
    let served = before(&eth2, Some(&eth1), KeyGeneration::Off).await;
    for _ in 0..2 {
        get(&served.control, "/v1/staking/status").await;
        let asked: Vec<String> = eth2.got().into_iter().map(|got| got.path).collect();
        let last = |path: &str| asked.iter().rposition(|asked| asked == path).expect(path);
        assert!(last("/healthcheck") > last("/api/v1/eth2/publicKeys"), "{asked:?}");
    }
}

#[tokio::test]
async fn status_says_how_many_key_files_failed_and_what_is_listed_all_the_same() {
    let eth2 = stock_but(Process::Eth2, |got| (got.path == "/healthcheck").then(|| unhealthy(3))).await;
    let eth1 = stock(Process::Eth1).await;
    let served = before(&eth2, Some(&eth1), KeyGeneration::Off).await;
    let status = get(&served.control, "/v1/staking/status").await.json();
    let process = &status["signers"][0];
    assert_eq!((&process["state"], &process["health"]), (&json!("answers"), &json!("down")));
    assert_eq!((&process["failed_keys"], &process["keys"]), (&json!(3), &json!(1)));
    assert_eq!((&status["ready"], &status["bls_pubkeys"]), (&json!(true), &json!([BLS])), "what is there signs");
    assert_eq!(status["signers"][1]["health"], "up");
}
