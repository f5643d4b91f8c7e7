//! `eth2` and `eth1` as two processes, which is how a stock Web3Signer runs.

use contract::wire::StakingStatus;
use cryfttee::config::Limits;
use cryfttee::listen::Role;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::client::{ask, get, header};
use crate::support::signer::{FakeSigner, Got, Reply, working};
use crate::support::{BLS, Served, TLS, to_sign};

const STATUS: &str = "/v1/staking/status";

/// A process of a stock signer: it knows the paths of its own kind of key only.
async fn process(kind: &'static str) -> FakeSigner {
    let other = move |got: &Got| got.path.starts_with("/api/v1/eth") && !got.path.contains(kind);
    FakeSigner::working_but(move |got| other(got).then(|| Reply::text(404, "Resource not found"))).await
}

fn before(eth2: &str, eth1: &str) -> Served {
    let limits = Limits { upcheck_cache: Duration::ZERO, ..Limits::default() };
    Served::with(eth2, &[Role::Api], |settings| {
        settings.limits = limits;
        settings.signer_eth1 = Some(eth1.parse().expect("a URL"));
    })
}

#[tokio::test]
async fn each_kind_of_key_is_asked_of_its_own_process() {
    let (eth2, eth1) = (process("eth2").await, process("eth1").await);
    let served = before(&eth2.url, &eth1.url);
    let answer = get(&served.api, STATUS).await;
    let status: StakingStatus = serde_json::from_str(&answer.body).expect("a status");
    assert!(status.ready && status.web3signer_connected);
    assert_eq!((status.bls_pubkeys.len(), status.tls_pubkeys.len()), (1, 1));
    assert_eq!(status.web3signer_url, eth2.url);

    let bls = to_sign(1);
    assert_eq!(ask(&served.api, "/v1/staking/bls/sign", bls).await.status, 200);
    assert_eq!(ask(&served.api, "/v1/staking/tls/sign", json!({"pubkey":TLS,"data":"aGk="})).await.status, 200);
    assert_eq!(ask(&served.api, "/v1/staking/bls/register", json!({"action":"generate"})).await.status, 201);
    assert_eq!(ask(&served.api, "/v1/staking/tls/register", json!({"action":"generate"})).await.status, 201);
    for (process, own, foreign) in [(&eth2, "bls", "secp256k1"), (&eth1, "secp256k1", "bls")] {
        let got = process.got();
        let text: String = got.iter().map(|got| format!("{} {}\n", got.path, got.body)).collect();
        assert_eq!(process.signs().iter().filter(|got| got.path.starts_with("/api")).count(), 1, "{text}");
        assert!(got.iter().any(|got| got.path == "/upcheck"), "{text}");
        assert!(got.iter().any(|got| got.body.contains(own)), "{text}");
        assert!(!got.iter().any(|got| got.body.contains(foreign)), "{text}");
        // The Host header names the process that is asked: a signer checks it against its allow-list.
        let host = process.url.trim_start_matches("http://");
        assert!(got.iter().all(|got| header(&got.head, "host") == Some(host)), "{text}");
    }
}

#[tokio::test]
async fn one_of_two_away_is_not_connected_and_says_which() {
    let away = || {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("bound");
        format!("http://{free}")
    };
    let (eth2, eth1) = (process("eth2").await, process("eth1").await);
    for (served, which) in [
        (before(&away(), &eth1.url), &["eth2"][..]),
        (before(&eth2.url, &away()), &["eth1"][..]),
        (before(&away(), &away()), &["eth2", "eth1"][..]),
    ] {
        let answer = get(&served.api, STATUS).await;
        let said = answer.json();
        assert_eq!(answer.status, 200);
        assert_eq!((&said["ready"], &said["web3signer_connected"]), (&json!(false), &json!(false)), "{which:?}");
        let why = said["web3Signer"]["lastError"].as_str().expect("a reason");
        for (index, name) in ["eth2", "eth1"].into_iter().enumerate() {
            let away = which.contains(&name);
            assert_eq!(why.contains(name), away, "{why}");
            let process = &said["signers"][index];
            let url = process["url"].as_str().expect("a URL");
            assert_eq!(why.contains(&format!("{url}: connection refused")), away, "{why}");
            assert_eq!(
                (&process["role"], &process["state"]),
                (&json!(name), &json!(if away { "refused" } else { "answers" }))
            );
            // That one is away hides nothing of the other.
            let list = if name == "eth2" { &said["bls_pubkeys"] } else { &said["tls_pubkeys"] };
            assert_eq!(
                (&process["keys"], list.as_array().map(Vec::len)),
                (&json!(u8::from(!away)), Some(usize::from(!away)))
            );
        }
        // What was not heard may well sign: only what is not served is no capability.
        assert_eq!(
            said["capabilities"].as_array().map(|list| list[..2].to_vec()),
            Some(vec![json!("bls_signing"), json!("tls_signing")])
        );
    }
}

#[tokio::test]
async fn urls_that_were_swapped_can_be_told_and_so_can_one_url_for_two_kinds() {
    let (eth2, eth1) = (process("eth2").await, process("eth1").await);
    let said = get(&before(&eth1.url, &eth2.url).api, STATUS).await.json();
    let served =
        |process: &Value| (process["serves_bls"].clone(), process["serves_tls"].clone(), process["keys"].clone());
    assert_eq!(served(&said["signers"][0]), (json!(false), json!(true), json!(1)));
    assert_eq!(served(&said["signers"][1]), (json!(true), json!(false), json!(1)));
    assert_eq!((&said["bls_pubkeys"], &said["tls_pubkeys"]), (&json!([]), &json!([])), "nothing signs there");

    let said = get(&Served::api(&eth2.url, Limits::default()).api, STATUS).await.json();
    assert_eq!(said["signers"].as_array().map(Vec::len), Some(1));
    assert_eq!(said["signers"][0]["role"], "both");
    assert_eq!(served(&said["signers"][0]), (json!(true), json!(false), json!(1)));
}

#[tokio::test]
async fn a_name_without_an_address_is_told_as_that() {
    let served = Served::api("http://no-such-host.invalid:9000", Limits::default());
    let said = get(&served.api, STATUS).await.json();
    let process = &said["signers"][0];
    assert_eq!(process["state"], "unresolved", "{process}");
    assert_eq!(process["why"], "no address for the name no-such-host.invalid");
    let refused = ask(&served.api, "/v1/staking/bls/sign", to_sign(1)).await;
    assert_eq!(refused.refusal(), (503, "signer_unavailable".to_owned()));
}

#[tokio::test]
async fn the_host_header_is_what_the_url_says() {
    let signer = FakeSigner::start(working).await;
    let port = signer.url.rsplit(':').next().expect("a port").to_owned();
    let served = Served::api(&format!("http://LocalHost:{port}/w3s/"), Limits::default());
    let asked = ask(&served.api, "/v1/staking/bls/sign", to_sign(1)).await;
    assert_eq!(asked.refusal(), (404, "key_not_found".to_owned()), "this signer has no base path");
    let got = signer.got().pop().expect("asked");
    assert_eq!(header(&got.head, "host"), Some(format!("localhost:{port}").as_str()));
    assert_eq!(got.path, format!("/w3s/api/v1/eth2/sign/{BLS}"));
}
