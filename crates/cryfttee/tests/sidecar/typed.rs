//! Typed requests: what a signer could sign goes on as it was written, and nothing else is sent.

use cryfttee::config::Limits;
use serde_json::{Value, json};

use crate::support::client::ask;
use crate::support::signer::FakeSigner;
use crate::support::{BLS, Served, typed};

const SIGN: &str = "/v1/staking/bls/sign";

#[tokio::test]
async fn a_request_that_a_stock_signer_would_answer_500_is_refused_and_not_sent() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    let without = |member: &str| {
        let mut request = typed(1);
        request.as_object_mut().expect("an object").remove(member).expect(member);
        request
    };
    let with = |pointer: &str, value: Value| {
        let mut request = typed(1);
        *request.pointer_mut(pointer).expect(pointer) = value;
        request
    };
    for (request, reason) in [
        (without("fork_info"), "fork_info is missing"),
        (without("randao_reveal"), "randao_reveal is missing"),
        (with("/randao_reveal", json!("0x00")), "randao_reveal is not an object"),
        (with("/randao_reveal", json!({})), "randao_reveal.epoch is missing"),
        (with("/randao_reveal/epoch", json!("-1")), "randao_reveal.epoch is not an unsigned integer of 64 bits"),
        (
            with("/fork_info/genesis_validators_root", json!("0x00")),
            "fork_info.genesis_validators_root is not 32 bytes in hex",
        ),
        (
            with("/fork_info/fork/current_version", json!("0x000000")),
            "fork_info.fork.current_version is not 4 bytes in hex",
        ),
        (with("/type", json!("ATTESTATION")), "attestation is missing"),
        (json!({"type":"DEPOSIT","data":"0x00"}), "deposit is missing"),
    ] {
        let answer = ask(&served.api, SIGN, json!({"pubkey":BLS,"data":request})).await;
        assert_eq!(answer.refusal(), (400, "signer_refused".to_owned()), "{reason}");
        assert!(answer.body.contains(reason), "{reason}: {}", answer.body);
    }
    assert_eq!(signer.got(), []);
}

#[tokio::test]
async fn what_a_stock_signer_takes_beside_its_api_goes_on_unchanged() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    let good = typed(1).to_string();
    for request in [
        good.replace("RANDAO_REVEAL", "randao_reveal"),
        // Of a later signer, perhaps: this one may say 400.
        good.replace("RANDAO_REVEAL", "TYPE_OF_A_LATER_FORK"),
        good.replace("\"epoch\":\"1\"", "\"epoch\":1"),
        good.replace("{\"epoch\":\"1\"", "{\"unknown\":[{}],\"epoch\":\"1\""),
        good.replacen('{', &format!("{{\"signingRoot\":\"0x{}\",", "11".repeat(32)), 1),
        good.replacen('{', &format!("{{\"signing_root\":\"0x{}\",", "11".repeat(32)), 1),
    ] {
        assert_ne!(request, good);
        let answer = ask(&served.api, SIGN, format!("{{\"pubkey\":\"{BLS}\",\"data\":{request}}}")).await;
        assert_eq!(answer.status, 200, "{request}: {}", answer.body);
        assert_eq!(signer.signs().pop().expect("sent").body, request);
    }
    // The type beside the object, in other letters than inside it.
    let beside = format!("{{\"pubkey\":\"{BLS}\",\"type\":\"randao_reveal\",\"data\":{good}}}");
    assert_eq!(ask(&served.api, SIGN, beside).await.status, 200);
    assert_eq!(signer.signs().pop().expect("sent").body, good);
}
