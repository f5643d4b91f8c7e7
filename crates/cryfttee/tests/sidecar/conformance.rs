//! The sidecar's client of the signer, against a signer that answers as Web3Signer's public API documents say. What it
//! answers, and what is to come of it, is the table `conformance.json`.

use std::time::Duration;

use cryfttee::config::{KeyGeneration, Limits};
use cryfttee::listen::Role;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::client::{Answer, ask, get, header};
use crate::support::signer::{FakeSigner, Got, Reply, working};
use crate::support::{BLS, Served, TLS, TLS_64, to_sign, typed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "about")]
    _about: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    ask: Ask,
    signer: Says,
    answer: Expected,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    BlsSign,
    TlsSign,
    BlsGenerate,
    Status,
}

/// What the signer answers to one call; it answers every other as a working one does.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Says {
    call: String,
    status: u16,
    json: Option<String>,
    text: Option<String>,
    html: Option<String>,
    padded_to: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    code: Option<String>,
    details: Option<String>,
    signature: Option<String>,
    bls: Option<Vec<String>>,
    tls: Option<Vec<String>>,
    connected: Option<bool>,
}

impl Says {
    fn answers(&self, got: &Got) -> bool {
        self.call == format!("{} {}", got.method, got.path)
    }

    fn reply(&self, got: &Got) -> Reply {
        let accepts_json = header(&got.head, "accept").is_some_and(|accept| accept.contains("application/json"));
        let forms =
            [(&self.json, "application/json"), (&self.text, "text/plain; charset=utf-8"), (&self.html, "text/html")];
        let mut forms: Vec<_> = forms.into_iter().filter_map(|(body, kind)| Some((body.as_deref()?, kind))).collect();
        if !accepts_json {
            // A signer that has both forms answers text to whoever does not ask for JSON.
            forms.reverse();
        }
        let (body, kind) = forms.first().expect("a row has a body");
        let mut body = (*body).to_owned();
        if let Some(length) = self.padded_to {
            body.push_str(&" ".repeat(length - body.len()));
        }
        Reply::Http(self.status, kind, body)
    }
}

/// The table with its keys and signatures filled in.
fn table() -> Table {
    let mut text = include_str!("conformance.json").to_owned();
    for (name, value) in [
        ("bls", BLS.to_owned()),
        ("bls_capitals", format!("0x{}", BLS[2..].to_uppercase())),
        ("tls", TLS.to_owned()),
        ("tls64", TLS_64.to_owned()),
        ("tls65", format!("0x04{}", &TLS_64[2..])),
        ("sig96", format!("0x{}", "a7".repeat(96))),
        ("sig65", format!("0x{}", "c5".repeat(65))),
    ] {
        text = text.replace(&format!("${{{name}}}"), &value);
    }
    let table: Table = serde_json::from_str(&text).expect("the table has its form");
    assert!(table.rows.iter().all(|row| !row.signer.call.contains("${")), "every name is filled in");
    table
}

async fn put(served: &Served, what: Ask) -> Answer {
    match what {
        Ask::BlsSign => ask(&served.api, "/v1/staking/bls/sign", to_sign(1)).await,
        Ask::TlsSign => ask(&served.api, "/v1/staking/tls/sign", json!({"pubkey":TLS,"data":"aGk="})).await,
        Ask::BlsGenerate => ask(&served.api, "/v1/staking/bls/register", json!({"action":"generate"})).await,
        Ask::Status => get(&served.api, "/v1/staking/status").await,
    }
}

#[tokio::test]
async fn every_documented_answer_of_the_signer_is_understood() {
    for row in table().rows {
        let says = row.signer.clone();
        let signer = FakeSigner::start(move |got| if says.answers(got) { says.reply(got) } else { working(got) }).await;
        let served = Served::with(&signer.url, &[Role::Api], |settings| {
            settings.key_generation = KeyGeneration::Import;
            settings.limits = Limits { signer_status: Duration::from_secs(20), ..Limits::default() };
        });
        let (name, expected) = (&row.name, &row.answer);
        let answer = put(&served, row.ask).await;
        assert_eq!(answer.status, expected.status, "{name}: {}", answer.body);
        let said = answer.json();
        let same = |field: &str, wanted: Option<Value>| {
            if let Some(wanted) = wanted {
                assert_eq!(said[field], wanted, "{name}: {field} in {}", answer.body);
            }
        };
        same("code", expected.code.as_ref().map(|code| json!(code)));
        same("details", expected.details.as_ref().map(|details| json!(details)));
        same("signature", expected.signature.as_ref().map(|signature| json!(signature)));
        same("bls_pubkeys", expected.bls.as_ref().map(|keys| json!(keys)));
        same("tls_pubkeys", expected.tls.as_ref().map(|keys| json!(keys)));
        same("web3signer_connected", expected.connected.map(|connected| json!(connected)));
        assert_eq!(said.get("code").is_some(), expected.code.is_some(), "{name}: {}", answer.body);

        let calls: Vec<_> = signer.got().into_iter().filter(|got| row.signer.answers(got)).collect();
        let [call] = &calls[..] else { panic!("{name}: {} calls of {}", calls.len(), row.signer.call) };
        let host = signer.url.trim_start_matches("http://");
        assert_eq!(header(&call.head, "host"), Some(host), "{name}");
        let kind = (call.method == "POST").then_some("application/json");
        assert_eq!(header(&call.head, "content-type"), kind, "{name}");
        if kind.is_some() {
            assert!(serde_json::from_str::<Value>(&call.body).is_ok_and(|body| body.is_object()), "{name}");
        }
    }
}

#[tokio::test]
async fn a_typed_body_reaches_the_signer_byte_for_byte() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, Limits::default());
    let good = typed(u64::MAX).to_string();
    let long = format!(r#"{{"z":"{}","#, "5a".repeat(200_000));
    for more in [
        // Numbers that no double holds, keys out of order, keys that are there twice, escapes, white space.
        r#"{"z":1,"a":123456789012345678901234567890.10e+400,"a":-0.0,"#,
        "{ \"slot\" : \"18446744073709551615\",\r\n\t \"n\":18446744073709551616 ,",
        r#"{"t":"\u00e9\/\ud83d\ude00 é","deep":[[[{"x":null}]]],"#,
        &long,
    ] {
        let typed = &good.replacen('{', more, 1);
        let request = format!(r#"{{"type":"","data":{typed} ,"pubkey":"{BLS}"}}"#);
        assert_eq!(ask(&served.api, "/v1/staking/bls/sign", &request).await.status, 200, "{typed:.80}");
        assert_eq!(signer.signs().pop().expect("asked").body, *typed, "{typed:.80}");
    }
}
