//! The key manager's calls, and a keystore to import.

use cryfttee_devsigner::keys::{Curve, SecretBytes};
use cryfttee_devsigner::keystore::{Keystore, Password};
use serde_json::{Value, json};

use super::{Reply, Signer, text};

/// The password and the key of the vectors of EIP-2335.
pub const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
pub const PUBKEY: &str =
    "0x9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";

/// That key under that password, at a cost that every test can pay.
pub fn cheap() -> Value {
    let mut secret = SecretBytes::default();
    hex::decode_to_slice("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", &mut *secret)
        .expect("hex");
    let password = Password::new(PASSWORD);
    let sealed = Keystore::seal(Curve::Bls, PUBKEY[2..].to_owned(), &secret, &password).expect("sealed");
    serde_json::from_slice(&sealed.to_json().expect("JSON")).expect("JSON")
}

pub fn import(signer: &Signer, keystores: &[&Value], passwords: &[&str], signed: Option<&Value>) -> Reply {
    let keystores: Vec<String> = keystores.iter().map(ToString::to_string).collect();
    let mut body = json!({ "keystores": keystores, "passwords": passwords });
    if let Some(signed) = signed {
        body["slashing_protection"] = json!(signed.to_string());
    }
    signer.post("/eth/v1/keystores", &body.to_string())
}

pub fn delete(signer: &Signer, keys: &[&str]) -> (Vec<String>, Value) {
    let headers = [("Content-Type", "application/json")];
    let reply = signer.send("DELETE", "/eth/v1/keystores", &headers, &json!({ "pubkeys": keys }).to_string());
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = reply.json();
    let signed = serde_json::from_str(&text(&reply["slashing_protection"])).expect("JSON in a string");
    (statuses(&reply), signed)
}

pub fn statuses(reply: &Value) -> Vec<String> {
    reply["data"].as_array().expect("a list").iter().map(|one| text(&one["status"])).collect()
}
