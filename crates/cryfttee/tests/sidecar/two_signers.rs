//! `eth2` and `eth1` as two processes, which is how a stock Web3Signer runs.

use contract::wire::StakingStatus;
use cryfttee::config::Limits;
use cryfttee::listen::Role;
use serde_json::json;
use std::time::Duration;

use crate::support::client::{ask, get, header};
use crate::support::signer::{FakeSigner, Got, Reply, working};
use crate::support::{BLS, Served, TLS};

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

    let bls = json!({"pubkey":BLS,"data":"aGk=","type":"ATTESTATION"});
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
        for name in ["eth2", "eth1"] {
            assert_eq!(why.contains(name), which.contains(&name), "{why}");
        }
    }
}

#[tokio::test]
async fn the_host_header_is_what_the_url_says() {
    let signer = FakeSigner::start(working).await;
    let port = signer.url.rsplit(':').next().expect("a port").to_owned();
    let served = Served::api(&format!("http://LocalHost:{port}/w3s/"), Limits::default());
    let asked = ask(&served.api, "/v1/staking/bls/sign", json!({"pubkey":BLS,"data":"aGk=","type":"A"})).await;
    assert_eq!(asked.refusal(), (404, "key_not_found".to_owned()), "this signer has no base path");
    let got = signer.got().pop().expect("asked");
    assert_eq!(header(&got.head, "host"), Some(format!("localhost:{port}").as_str()));
    assert_eq!(got.path, format!("/w3s/api/v1/eth2/sign/{BLS}"));
}
