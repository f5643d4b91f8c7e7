//! What of a stock process takes more than one request to see: its order of keys, its reloads, two on one directory.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cryfttee_devsigner::keys::{Curve, SecretBytes};
use cryfttee_devsigner::keystore::{Keystore, Password};
use cryfttee_devsigner::options::{Extension, Options, Serves};
use serde_json::{Value, json};
use support::{Signer, text, typed};

const ETH2: &str = "/api/v1/eth2/publicKeys";
const ETH1: &str = "/api/v1/eth1/publicKeys";

fn raw(kind: &str, secret: u64) -> String {
    format!("type: file-raw\nkeyType: {kind}\nprivateKey: 0x{secret:064x}\n")
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect("written");
}

fn filled(keys: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 1..=keys {
        write(folder.path(), &format!("b{number}.yaml"), raw("BLS", number));
        write(folder.path(), &format!("s{number}.yaml"), raw("SECP256K1", number));
    }
    folder
}

fn stock(folder: &Path, serves: Serves) -> Signer {
    Signer::with(folder, Options::stock(serves))
}

fn list(signer: &Signer, path: &str) -> Vec<String> {
    signer.get(path).json().as_array().expect("a list").iter().map(text).collect()
}

fn reload(signer: &Signer) -> Value {
    let reply = signer.send("POST", "/reload", &[], "");
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("accepted")));
    finished(signer)
}

fn finished(signer: &Signer) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let status = signer.get("/reload").json();
        if status["status"] != "running" {
            return status;
        }
        assert!(Instant::now() < deadline, "the reload ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn health(signer: &Signer) -> (u16, Value) {
    let reply = signer.get("/healthcheck");
    let body: Value = serde_json::from_str(&reply.body).expect("JSON");
    (reply.status, body["checks"][1]["checks"][0]["data"].clone())
}

/// A keystore that takes a second to open, and its key.
fn slow_keystore(password: &str) -> String {
    let keystore = Keystore::seal(Curve::Bls, String::new(), &SecretBytes::new([7; 32]), &Password::new(password));
    let sealed = keystore.expect("sealed").to_json().expect("JSON");
    let mut keystore: Value = serde_json::from_slice(&sealed).expect("JSON");
    // Not the rounds that it was sealed with: it fails, but only once they are done.
    keystore["crypto"]["kdf"]["params"]["c"] = json!(1 << 20);
    keystore.to_string()
}

#[test]
fn the_order_of_keys_is_another_at_each_start_and_the_same_within_one() {
    let folder = filled(10);
    for (serves, path) in [(Serves::Eth2, ETH2), (Serves::Eth1, ETH1)] {
        let mut orders = BTreeSet::new();
        for _ in 0..3 {
            let signer = stock(folder.path(), serves);
            let first = list(&signer, path);
            assert_eq!((first.len(), list(&signer, path)), (10, first.clone()));
            reload(&signer);
            assert_eq!(list(&signer, path), first, "a reload that changes nothing");
            orders.insert(first);
        }
        assert!(orders.len() > 1, "three times the same order of ten keys");
        let sets: BTreeSet<BTreeSet<String>> = orders.into_iter().map(|order| order.into_iter().collect()).collect();
        assert_eq!(sets.len(), 1, "the same keys");
    }
}

#[test]
fn after_a_reload_with_other_keys_the_rest_has_another_order() {
    let folder = filled(12);
    let signer = stock(folder.path(), Serves::Eth2);
    let before = list(&signer, ETH2);
    fs::remove_file(folder.path().join("b1.yaml")).expect("removed");
    assert_eq!(reload(&signer)["status"], "completed");
    let after = list(&signer, ETH2);
    let rest: Vec<_> = before.iter().filter(|key| after.contains(key)).cloned().collect();
    assert_eq!((after.len(), rest.len()), (11, 11));
    assert_ne!(after, rest);
}

#[test]
fn the_key_manager_lists_in_order_and_what_is_from_a_key_file_stays() {
    let folder = filled(10);
    let managed = Options { key_manager: true, ..Options::stock(Serves::Eth2) };
    let signer = Signer::with(folder.path(), managed);
    let listed = signer.get("/eth/v1/keystores").json();
    let listed = listed["data"].as_array().expect("a list");
    let keys: Vec<String> = listed.iter().map(|key| text(&key["validating_pubkey"])).collect();
    let mut sorted = list(&signer, ETH2);
    sorted.sort();
    assert_eq!(keys, sorted);
    assert!(listed.iter().all(|key| key["readonly"] == true && key["derivation_path"].is_null()));
    signer.send("DELETE", "/eth/v1/keystores", &[], &json!({ "pubkeys": keys }).to_string());
    assert_eq!(list(&signer, ETH2).len(), 10);
}

#[test]
fn one_directory_serves_both_processes_and_neither_minds_the_keys_of_the_other() {
    let folder = filled(2);
    let maker = |serves| Options { extensions: [Extension::Generate].into(), ..Options::stock(serves) };
    for (serves, kind) in [(Serves::Eth2, "bls"), (Serves::Eth1, "secp256k1")] {
        let signer = Signer::with(folder.path(), maker(serves));
        signer.generate(kind);
        let other = if kind == "bls" { "secp256k1" } else { "bls" };
        let refused = signer.post("/eth/v1/keystores", &json!({ "type": other }).to_string());
        assert_eq!(refused.status, 400, "{kind}");
    }
    let (eth2, eth1) = (stock(folder.path(), Serves::Eth2), stock(folder.path(), Serves::Eth1));
    assert_eq!((list(&eth2, ETH2).len(), list(&eth1, ETH1).len()), (3, 3));
    assert_eq!(health(&eth2), (200, json!({ "keys-loaded": 3, "error-count": 0 })));
    assert_eq!((eth2.get(ETH1).status, eth1.get(ETH2).status), (404, 404));
}

#[test]
fn keystores_that_a_key_file_names_have_a_password_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = SecretBytes::new([7; 32]);
    let sealed = Keystore::seal(Curve::Bls, String::new(), &secret, &Password::new("its own")).expect("sealed");
    write(folder.path(), "a.json", sealed.to_json().expect("JSON"));
    write(folder.path(), "a.password", "its own\n");
    let file = "type: file-keystore\nkeyType: BLS\nkeystoreFile: a.json\nkeystorePasswordFile: a.password\n";
    write(folder.path(), "a.yaml", file);
    let signer = stock(folder.path(), Serves::Eth2);
    assert_eq!(health(&signer), (200, json!({ "keys-loaded": 1, "error-count": 0 })));
    // The keystore alone is counted once, by the key file that names it.
    write(folder.path(), "a.password", "another\n");
    drop(signer);
    let signer = stock(folder.path(), Serves::Eth2);
    assert_eq!(health(&signer), (503, json!({ "keys-loaded": 0, "error-count": 1 })));
}

#[test]
fn files_that_did_not_change_are_not_opened_again_and_a_changed_one_that_fails_drops_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, secret) in [("stays", 1), ("changes", 2)] {
        let path = folder.path().join(format!("{name}.secret"));
        let sealed = Keystore::seal(Curve::Bls, String::new(), &SecretBytes::new([secret; 32]), &Password::new(name));
        fs::write(&path, sealed.expect("sealed").to_json().expect("JSON")).expect("written");
        write(folder.path(), &format!("{name}.password"), name);
        let file = format!("type: file-keystore\nkeystoreFile: {name}.secret\nkeystorePasswordFile: {name}.password\n");
        write(folder.path(), &format!("{name}.yaml"), file);
    }
    let signer = stock(folder.path(), Serves::Eth2);
    assert_eq!(list(&signer, ETH2).len(), 2);
    // As with a Vault that is sealed: what both key files point to is gone.
    for name in ["stays", "changes"] {
        fs::rename(folder.path().join(format!("{name}.secret")), folder.path().join(format!("{name}.away")))
            .expect("moved");
    }
    assert_eq!(reload(&signer)["status"], "completed");
    assert_eq!((list(&signer, ETH2).len(), health(&signer).0), (2, 200));
    let file = fs::read_to_string(folder.path().join("changes.yaml")).expect("readable");
    write(folder.path(), "changes.yaml", format!("{file}# touched\n"));
    let failed = reload(&signer);
    assert_eq!(failed["status"], "completed_with_errors");
    assert!(text(&failed["lastError"]).contains("changes.secret"), "{failed}");
    assert_eq!(list(&signer, ETH2).len(), 1);
    assert_eq!(health(&signer), (503, json!({ "keys-loaded": 1, "error-count": 1 })));
    assert_eq!(signer.get("/upcheck").status, 200);
    // A file that failed is tried again, changed or not.
    fs::rename(folder.path().join("changes.away"), folder.path().join("changes.secret")).expect("moved");
    assert_eq!(reload(&signer)["status"], "completed");
    assert_eq!((list(&signer, ETH2).len(), health(&signer).0), (2, 200));
}

#[test]
fn while_a_reload_runs_another_is_409_and_the_old_keys_are_served() {
    let folder = filled(1);
    let signer = stock(folder.path(), Serves::Eth2);
    let key = list(&signer, ETH2).remove(0);
    fs::remove_file(folder.path().join("b1.yaml")).expect("removed");
    write(folder.path(), "new.yaml", raw("BLS", 99));
    write(folder.path(), "password", "x");
    for number in 0..8 {
        write(folder.path(), &format!("slow{number}.json"), slow_keystore("x"));
    }
    let begun = signer.send("POST", "/reload", &[], "");
    assert_eq!(begun.status, 202, "{}", begun.body);
    let again = signer.send("POST", "/reload", &[], "");
    assert_eq!((again.status, &again.json()["status"]), (409, &json!("error")));
    assert_eq!(signer.get("/reload").json()["status"], "running");
    assert_eq!(list(&signer, ETH2), std::slice::from_ref(&key));
    let body = typed::randao(1).to_string();
    assert_eq!(signer.post(&format!("/api/v1/eth2/sign/{key}"), &body).status, 200);
    assert_eq!(health(&signer).0, 200);
    assert_eq!(finished(&signer)["status"], "completed_with_errors");
    let after = list(&signer, ETH2);
    assert!(after.len() == 1 && after[0] != key, "{after:?}");
    assert_eq!(health(&signer), (503, json!({ "keys-loaded": 1, "error-count": 8 })));
    assert_eq!(signer.post(&format!("/api/v1/eth2/sign/{key}"), &body).status, 404);
}

#[test]
fn an_empty_signer_is_filled_by_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let (eth2, eth1) = (stock(folder.path(), Serves::Eth2), stock(folder.path(), Serves::Eth1));
    assert_eq!((list(&eth2, ETH2).len(), list(&eth1, ETH1).len()), (0, 0));
    assert_eq!(eth2.get("/upcheck").text(), "OK");
    write(folder.path(), "b.yaml", raw("BLS", 1));
    write(folder.path(), "s.yaml", raw("SECP256K1", 1));
    for signer in [&eth2, &eth1] {
        let done = reload(signer);
        assert!(done["status"] == "completed" && text(&done["lastOperationTime"]).contains('T'), "{done}");
    }
    assert_eq!((list(&eth2, ETH2).len(), list(&eth1, ETH1).len()), (1, 1));
}

#[test]
fn five_thousand_key_files_are_loaded_and_so_are_five_thousand_keys_in_one() {
    let many = tempfile::tempdir().expect("a folder");
    for number in 1..=5000 {
        write(many.path(), &format!("{number}.yaml"), raw("BLS", number));
    }
    assert_eq!(list(&stock(many.path(), Serves::Eth2), ETH2).len(), 5000);
    let one = tempfile::tempdir().expect("a folder");
    let keys: Vec<String> = (1..=5000).map(|number| raw("BLS", number)).collect();
    write(one.path(), "all.yaml", keys.join("---\n"));
    assert_eq!(list(&stock(one.path(), Serves::Eth2), ETH2).len(), 5000);
}

#[test]
fn an_extension_that_is_on_lists_itself_and_one_that_is_off_does_not() {
    let folder = filled(1);
    for (serves, extensions, functions) in [
        (Serves::Eth2, vec![Extension::Raw, Extension::Proofs], json!(["raw_signing", "proof_of_possession"])),
        (Serves::Eth1, vec![Extension::Digest], json!(["sign_sha256", "sign_digest"])),
        (Serves::Eth2, vec![Extension::Generate], json!(["generate"])),
        // What this process cannot do it does not list.
        (Serves::Eth2, vec![Extension::Raw, Extension::Digest], json!(["raw_signing"])),
    ] {
        let options = Options { extensions: extensions.into_iter().collect(), ..Options::stock(serves) };
        let signer = Signer::with(folder.path(), options);
        assert_eq!(signer.get("/ext/cryft/v1").json()["functions"], functions);
    }
    let raw = Options { extensions: [Extension::Raw].into(), ..Options::stock(Serves::Eth2) };
    let signer = Signer::with(folder.path(), raw);
    let path = format!("/api/v1/eth2/sign/{}", list(&signer, ETH2)[0]);
    assert_eq!(signer.post(&path, r#"{"type":"RAW","data":"0xab"}"#).status, 200);
    let refused = signer.post(&path, r#"{"type":"RAW"}"#);
    assert_eq!((refused.status, refused.body.as_str(), refused.header("content-type")), (400, "Bad Request", ""));
}

#[test]
fn clear_errors_give_the_reason_with_the_same_status() {
    let folder = filled(1);
    let answers = |extensions: &[Extension]| {
        let options = Options {
            extensions: extensions.iter().copied().collect(),
            key_manager: true,
            ..Options::stock(Serves::Eth2)
        };
        let signer = Signer::with(folder.path(), options);
        let path = format!("/api/v1/eth2/sign/{}", list(&signer, ETH2)[0]);
        [
            signer.post(&path, r#"{"type":"ATTESTATION"}"#),
            signer.post(&path, "{"),
            signer.get("/nowhere"),
            signer.post("/eth/v1/keystores", r#"{"keystores":["{}"],"passwords":["x"]}"#),
        ]
    };
    for (bare, clear) in answers(&[]).iter().zip(&answers(&[Extension::ClearErrors])) {
        assert_eq!(bare.status, clear.status);
        assert_ne!(bare.body, clear.body);
    }
}
