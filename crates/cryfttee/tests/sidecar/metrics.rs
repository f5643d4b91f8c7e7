//! What is counted of clients' requests, and who gets to see it.

use crate::support::client::{ask, get};
use crate::support::signer::FakeSigner;
use crate::support::{Served, to_sign};
use cryfttee::config::Limits;
use cryfttee::listen::Role;
use serde_json::json;

const METRICS: &str = "/v1/runtime/metrics";

#[tokio::test]
async fn requests_of_clients_are_counted_by_kind_and_code_and_only_the_verifier_sees_them() {
    let signer = FakeSigner::working().await;
    let served = Served::start(&signer.url, Limits::default(), &[Role::Api, Role::Control]);
    assert_eq!(ask(&served.control, "/v1/runtime/admit", "{}").await.status, 204);
    let empty = get(&served.control, METRICS).await;
    assert_eq!((empty.status, empty.json()), (200, json!({ "requests": [] })), "the verifier's own are not counted");

    let sign = to_sign(1);
    for _ in 0..3 {
        assert_eq!(ask(&served.api, "/v1/staking/bls/sign", &sign).await.status, 200);
    }
    assert_eq!(ask(&served.api, "/v1/staking/bls/sign", "{").await.status, 400);
    assert_eq!(get(&served.api, METRICS).await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(get(&served.api, "/v1/runtime/attestation").await.status, 200);

    let found = get(&served.control, METRICS).await.json();
    let metrics: contract::wire::Metrics = serde_json::from_value(found.clone()).expect("metrics");
    assert!(metrics.is_sound(), "{found}");
    let codes: Vec<(&str, String)> = metrics
        .requests
        .iter()
        .map(|requests| (requests.kind.as_str(), serde_json::to_string(&requests.codes).expect("JSON")))
        .collect();
    let expected = [
        ("attestation", r#"{"ok":1}"#.to_owned()),
        ("bls_sign", r#"{"malformed":1,"ok":3}"#.to_owned()),
        ("other", r#"{"not_found":1}"#.to_owned()),
    ];
    assert_eq!(codes, expected);
    let signed = &metrics.requests[1];
    assert_eq!(signed.buckets.iter().sum::<u64>(), 4);
    assert!(signed.sum_us > 0, "{found}");
}
