//! The table of what a stock Web3Signer answered on the wire, which the development signer is held to, from this side: each
//! request to sign in it, sent through the sidecar to a signer that answers what the table says.

use cryfttee::config::Limits;
use serde_json::Value;

use crate::support::client::ask;
use crate::support::signer::{FakeSigner, Reply, signature};
use crate::support::{BLS, Served};

/// What stock answers 500 to and the sidecar cannot tell before: the signing root, and what the network decides.
const FOR_THE_SIGNER: [&str; 3] =
    ["another signingRoot", "another signing_root", "sync committee message of a slot before its fork"];

/// A value with its fragments and its key filled in.
fn filled(value: &Value, fragments: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) if fragments.get(name).is_some() => filled(&fragments[name], fragments),
            _ => Value::String(text.replace("{bls}", BLS)),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, fragments)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), filled(value, fragments))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[tokio::test]
async fn each_request_to_sign_that_a_stock_signer_was_sent_is_answered_so_that_502_means_broken() {
    let table: Value =
        serde_json::from_str(include_str!("../../../devsigner/tests/conformance/web3signer.json")).expect("JSON");
    let mut seen = 0;
    for row in table["rows"].as_array().expect("rows") {
        let body = filled(&row["body"], &table["fragments"]);
        let sign = row["method"] == "POST" && row["path"] == "/api/v1/eth2/sign/{bls}" && row["process"] == "eth2";
        if !sign || !body.is_object() {
            continue;
        }
        seen += 1;
        let name = row["name"].as_str().expect("a name");
        let stock: u16 = row["expect"]["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status");
        let says = match stock {
            200 => Reply::json(signature(96)),
            status => Reply::Http(status, "", "…".to_owned()),
        };
        let signer = FakeSigner::working_but(move |got| got.path.contains("/sign/").then(|| says.clone())).await;
        let served = Served::api(&signer.url, Limits::default());
        let request = format!("{{\"pubkey\":\"{BLS}\",\"data\":{body}}}");
        let answer = ask(&served.api, "/v1/staking/bls/sign", request).await;
        let expected = match stock {
            500 if FOR_THE_SIGNER.contains(&name) => 502,
            500 => 400,
            status => status,
        };
        assert_eq!(answer.status, expected, "{name} (stock 26.4.2: {stock}): {}", answer.body);
        let sent = signer.signs();
        // A type of a later signer, perhaps: this one says 400 to it itself.
        if matches!(stock, 200 | 412) || expected == 502 || name.contains("unknown type") {
            assert_eq!(sent.len(), 1, "{name}");
            assert_eq!(sent[0].body, body.to_string(), "{name}");
        } else {
            assert_eq!(sent.len(), 0, "{name}: told apart before it is sent");
        }
    }
    assert!(seen >= 50, "{seen} rows");
}
