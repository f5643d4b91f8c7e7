//! Keys on disk: they outlive the signer, and whatever is wrong with a file is said with its name.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryfttee_devsigner::keys::Curve;
use cryfttee_devsigner::keystore::{Keystore, Password};
use cryfttee_devsigner::{Store, StoreError};
use serde_json::{Value, json};
use support::{Signer, text};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o7777
}

fn keystores(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

/// What went wrong with the one file that fails, with its causes. A store opens all the same.
fn failure(folder: &Path, password_file: Option<&Path>) -> String {
    let store = Store::open(folder, password_file).expect("a store");
    assert_eq!(store.failed_files(), 1);
    let [error] = store.reload().try_into().expect("the one error again: a file that failed is tried again");
    error
}

fn sorted(mut list: Value) -> Value {
    list.as_array_mut().expect("a list").sort_by_key(Value::to_string);
    list
}

#[test]
fn keys_outlive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let lists = |signer: &Signer| {
        let [bls, secp256k1] =
            ["/api/v1/eth2/publicKeys", "/api/v1/eth1/publicKeys"].map(|path| sorted(signer.get(path).json()));
        [bls, secp256k1, signer.get("/eth/v1/keystores").json()]
    };
    let first = Signer::start(folder.path());
    let bls = first.generate("bls");
    let _ = (first.generate("bls"), first.generate("secp256k1"), first.generate("secp256k1"));
    let before = lists(&first);
    let sign = |signer: &Signer| {
        let body = r#"{"type":"BLOCK","data":"0xab"}"#;
        signer.post(&format!("/api/v1/eth2/sign/{bls}"), body).text().to_owned()
    };
    let signature = sign(&first);
    drop(first);
    let second = Signer::start(folder.path());
    assert_eq!(lists(&second), before);
    assert_eq!(sign(&second), signature);
}

#[test]
fn a_new_key_is_on_disk_under_the_path_that_the_answer_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("made/by/the/signer");
    let signer = Signer::start(&keys);
    assert_eq!(mode(&keys), 0o700);
    assert!(!keys.join("password").exists(), "a password is drawn for a keystore and not before");
    for (kind, curve) in [("bls", None), ("secp256k1", Some("secp256k1"))] {
        let reply = signer.post("/eth/v1/keystores", &json!({ "type": kind }).to_string());
        assert_eq!(reply.status, 200);
        let reply = reply.json();
        let path = PathBuf::from(text(&reply["secret_path"]));
        let pubkey = text(&reply["pubkey"]);
        assert_eq!(path, keys.canonicalize().expect("exists").join(format!("{kind}-{}.json", &pubkey[2..])));
        assert_eq!(mode(&path), 0o600);
        let keystore: Value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
        assert_eq!(keystore["version"], 4);
        assert_eq!(keystore["pubkey"], pubkey[2..]);
        assert_eq!(keystore.get("cryft_curve").and_then(Value::as_str), curve);
    }
    assert_eq!(mode(&keys.join("password")), 0o600);
    let names = fs::read_dir(&keys).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with('.')).count(), 0, "no temporary file is left");
}

#[test]
fn keys_made_at_once_all_survive() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let mut made: Vec<String> = std::thread::scope(|scope| {
        let one = |number: usize| {
            let signer = &signer;
            scope.spawn(move || signer.generate(if number.is_multiple_of(2) { "bls" } else { "secp256k1" }))
        };
        let threads: Vec<_> = (0..16).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("a key")).collect()
    });
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 16);
    drop(signer);
    let store = Store::open(folder.path(), None).expect("all good");
    assert_eq!((store.all_bls().len(), store.all_secp256k1().len()), (8, 8));
}

#[test]
fn two_stores_that_start_at_once_on_an_empty_folder_share_one_password() {
    let folder = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(folder.path(), None).expect("a folder");
                store.generate(Curve::Bls).expect("a key");
            });
        }
    });
    // One password opens them all.
    assert_eq!(Store::open(folder.path(), None).expect("all good").all_bls().len(), 8);
}

#[test]
fn a_key_that_was_made_here_costs_no_long_derivation_to_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), None).expect("a folder");
    store.generate(Curve::Bls).expect("a key");
    store.generate(Curve::Secp256k1).expect("a key");
    let files = keystores(folder.path());
    assert_eq!(files.len(), 2);
    // Rounds, not milliseconds: how long they take depends on what else the machine does.
    for file in files {
        let keystore: Value = serde_json::from_slice(&fs::read(&file).expect("readable")).expect("JSON");
        let rounds = keystore["crypto"]["kdf"]["params"]["c"].as_u64().expect("PBKDF2");
        assert!(rounds <= 4096, "{rounds}");
    }
    Store::open(folder.path(), None).expect("both load");
}

#[test]
fn a_wrong_password_fails_the_file_and_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    Store::open(folder.path(), None).expect("a folder").generate(Curve::Bls).expect("a key");
    let other = folder.path().join("other");
    fs::write(&other, "not the one\n").expect("written");
    let line = failure(folder.path(), Some(&other));
    assert!(line.contains("wrong password") && line.contains("bls-"), "{line}");
}

#[test]
fn a_password_file_of_the_users_own_opens_what_it_sealed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine");
    let keys = folder.path().join("keys");
    fs::write(&file, "pässword\r\n").expect("written");
    let made = Store::open(&keys, Some(&file)).expect("a folder").generate(Curve::Bls).expect("a key");
    assert!(!keys.join("password").exists());
    // Composed or decomposed, with or without the newline: the same password.
    fs::write(&file, "pa\u{308}ssword").expect("written");
    assert_eq!(Store::open(&keys, Some(&file)).expect("opens").all_bls().len(), 1);
    let keystore = Keystore::parse(&fs::read(made.path).expect("readable")).expect("a keystore");
    assert!(keystore.open(&Password::new("pässword")).is_ok());
}

#[test]
fn a_password_that_is_missing_or_empty_is_refused_and_never_drawn_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    assert!(
        matches!(Store::open(folder.path(), Some(&nowhere)), Err(StoreError::Read { path, .. }) if path == nowhere)
    );
    for content in ["", "\n", "\r\n\t"] {
        fs::write(&nowhere, content).expect("written");
        let outcome = Store::open(folder.path(), Some(&nowhere));
        assert!(matches!(outcome, Err(StoreError::BadPassword { .. })), "{content:?}");
    }
    Store::open(folder.path(), None).expect("a folder").generate(Curve::Bls).expect("a key");
    fs::remove_file(folder.path().join("password")).expect("removed");
    assert!(failure(folder.path(), None).contains("password is missing"));
    let generated = Store::open(folder.path(), None).expect("a store").generate(Curve::Bls);
    assert!(matches!(generated, Err(StoreError::LostPassword { .. })));
    assert!(!folder.path().join("password").exists());
}

#[test]
fn a_damaged_keystore_fails_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Store::open(folder.path(), None).expect("a folder").generate(Curve::Secp256k1).expect("a key");
    let good = fs::read_to_string(&made.path).expect("readable");
    let name = made.path.file_name().expect("a name").to_string_lossy().into_owned();
    let other_key =
        good.replace(&made.pubkey[2..], "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    for (damage, content, why) in [
        ("empty", String::new(), "parse"),
        ("cut short", good[..good.len() / 2].to_owned(), "parse"),
        ("not JSON", "hello".to_owned(), "parse"),
        ("another version", good.replace("\"version\": 4", "\"version\": 3"), "version 3"),
        ("a hostile cost", good.replace("\"c\": 1024", "\"c\": 4294967295"), "out of bounds"),
        (
            "another curve",
            good.replace("\"cryft_curve\": \"secp256k1\"", "\"cryft_curve\": \"bls\""),
            "open keystore|another public key|no key|not a secret key",
        ),
        ("another key", other_key, "another public key"),
        ("too long", format!("{good}{}", " ".repeat(70_000)), "longer than 64 KiB"),
    ] {
        assert_ne!(content, good, "{damage}");
        fs::write(&made.path, content).expect("written");
        let line = failure(folder.path(), None);
        assert!(line.contains(&name), "{damage}: {line}");
        assert!(why.split('|').any(|why| line.contains(why)), "{damage}: {line}");
    }
    fs::write(&made.path, good).expect("written");
    assert!(Store::open(folder.path(), None).is_ok());
}

#[test]
fn what_is_not_a_file_fails_without_blocking_and_other_names_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Store::open(folder.path(), None).expect("a folder"));
    for name in ["notes.txt", ".new-0123456789abcdef", ".hidden.json", "json"] {
        fs::write(folder.path().join(name), "not a keystore").expect("written");
    }
    assert!(Store::open(folder.path(), None).is_ok());
    fs::create_dir(folder.path().join("folder.json")).expect("made");
    assert!(failure(folder.path(), None).contains("folder.json: not a regular file"));
}

#[test]
fn the_key_manager_lists_bls_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    assert_eq!(signer.get("/eth/v1/keystores").json(), json!({ "data": [] }));
    let public = signer.generate("bls");
    signer.generate("secp256k1");
    let expected = json!({ "data": [{ "validating_pubkey": public, "derivation_path": null, "readonly": false }] });
    assert_eq!(signer.get("/eth/v1/keystores").json(), expected);
}

/// Waits for the reload under way and returns its status.
fn reloaded(signer: &Signer) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let reply = signer.get("/reload");
        assert_eq!(reply.status, 200);
        if reply.json()["status"] != "running" {
            return reply.json();
        }
        assert!(Instant::now() < deadline, "the reload ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_reload_takes_keys_in_and_out_and_a_file_that_fails_spoils_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    assert_eq!(signer.get("/reload").json(), json!({ "status": "idle" }));
    let reload = || {
        let reply = signer.send("POST", "/reload", &[], "");
        assert_eq!(reply.status, 202);
        assert_eq!(reply.json()["status"], "accepted");
        reloaded(&signer)
    };
    let gone = signer.generate("bls");
    fs::remove_file(keystores(folder.path()).pop().expect("one keystore")).expect("removed");
    // By another hand, under the same password.
    let new = Store::open(folder.path(), None).expect("a folder").generate(Curve::Bls).expect("a key").pubkey;
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([gone]));
    let done = reload();
    assert_eq!(done["status"], "completed");
    assert!(text(&done["lastOperationTime"]).ends_with('Z') && done.get("lastError").is_none(), "{done}");
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([new]));

    fs::write(folder.path().join("bad.json"), "{").expect("written");
    let failed = reload();
    assert_eq!(failed["status"], "completed_with_errors");
    assert!(text(&failed["lastError"]).contains("bad.json"), "{failed}");
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([new]));
}

#[test]
fn a_folder_that_cannot_be_written_is_500_and_makes_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    let signer = Signer::start(&keys);
    // Not a matter of modes: root writes anywhere.
    fs::remove_dir_all(&keys).expect("removed");
    let reply = signer.post("/eth/v1/keystores", r#"{"type":"bls"}"#);
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("list the keystore folder"), "{}", reply.body);
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([]));
}
