//! What an import leaves on disk: the keystore and the password as they came, and a key file, as a stock Web3Signer does.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use cryfttee_devsigner::keys::{Curve, SecretBytes};
use cryfttee_devsigner::keystore::{Keystore, Password};
use cryfttee_devsigner::options::{Options, Serves};
use serde_json::{Value, json};
use support::manager::{PASSWORD, PUBKEY, cheap, delete, import, statuses};
use support::{Signer, text, typed};

/// The key manager on, and nothing that goes beyond stock.
fn managed(folder: &Path) -> Signer {
    Signer::with(folder, Options { key_manager: true, ..Options::stock(Serves::Eth2) })
}

fn with_import(folder: &Path) -> Signer {
    let signer = managed(folder);
    assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], None).json()), ["imported"]);
    signer
}

fn named(extension: &str) -> String {
    format!("{PUBKEY}.{extension}")
}

/// The names of the files, without those of slashing protection.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().expect("a type").is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn counts(signer: &Signer) -> (u16, Value) {
    let reply = signer.get("/healthcheck");
    let body: Value = serde_json::from_str(&reply.body).expect("JSON");
    (reply.status, body["checks"][1]["checks"][0]["data"].clone())
}

fn assert_serves(signer: &Signer) {
    assert_eq!(counts(signer), (200, json!({ "keys-loaded": 1, "error-count": 0 })));
    let listed = signer.get("/eth/v1/keystores").json();
    assert_eq!(
        (&listed["data"][0]["validating_pubkey"], &listed["data"][0]["readonly"]),
        (&json!(PUBKEY), &json!(false))
    );
    let reply = signer.post(&format!("/api/v1/eth2/sign/{PUBKEY}"), &typed::randao(1).to_string());
    assert_eq!(reply.status, 200, "{}", reply.body);
}

fn assert_serves_nothing(signer: &Signer) {
    assert_eq!(counts(signer), (200, json!({ "keys-loaded": 0, "error-count": 0 })));
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([]));
}

fn reload(signer: &Signer) -> Value {
    assert_eq!(signer.send("POST", "/reload", &[], "").status, 202);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = signer.get("/reload").json()["status"].take();
        if status != "running" {
            return status;
        }
        assert!(Instant::now() < deadline, "the reload ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_import_writes_the_keystore_and_the_password_as_they_came_and_a_key_file_that_names_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = managed(folder.path());
    // Its own spacing, and a member that nobody here knows.
    let mut keystore = cheap();
    keystore["of-another-tool"] = json!([1, "two"]);
    let sent = format!("  {}\n", serde_json::to_string_pretty(&keystore).expect("JSON"));
    let body = json!({ "keystores": [sent], "passwords": [format!("{PASSWORD}\n")] });
    let reply = signer.post("/eth/v1/keystores", &body.to_string());
    assert_eq!(statuses(&reply.json()), ["imported"]);
    // No password of the directory was drawn: no keystore is under it.
    assert_eq!(files(folder.path()), ["json", "password", "yaml"].map(named));
    let read = |extension: &str| fs::read_to_string(folder.path().join(named(extension))).expect("readable");
    assert_eq!((read("json"), read("password")), (sent, format!("{PASSWORD}\n")));
    let expected = format!(
        "type: \"file-keystore\"\nkeyType: \"BLS\"\nkeystoreFile: \"{PUBKEY}.json\"\nkeystorePasswordFile: \"{PUBKEY}.password\"\n"
    );
    assert_eq!(read("yaml"), expected);
    for name in files(folder.path()) {
        let mode = fs::metadata(folder.path().join(&name)).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
}

#[test]
fn an_imported_key_is_served_at_once_after_a_reload_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = with_import(folder.path());
    assert_serves(&signer);
    assert_eq!(reload(&signer), "completed");
    assert_serves(&signer);
    drop(signer);
    let signer = managed(folder.path());
    assert_serves(&signer);
    assert_eq!(reload(&signer), "completed");
    assert_serves(&signer);
    assert_eq!(statuses(&import(&signer, &[&cheap()], &["any"], None).json()), ["duplicate"]);
    // The process of the other kind minds none of the files.
    let eth1 = Signer::with(folder.path(), Options::stock(Serves::Eth1));
    assert_eq!(eth1.get("/api/v1/eth1/publicKeys").json(), json!([]));
    assert_eq!(reload(&eth1), "completed");
}

#[test]
fn imports_and_keys_that_are_made_here_live_side_by_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    import(&signer, &[&cheap()], &[PASSWORD], None);
    let made = signer.generate("bls");
    drop(signer);
    let signer = Signer::start(folder.path());
    assert_eq!(counts(&signer), (200, json!({ "keys-loaded": 2, "error-count": 0 })));
    assert_eq!(delete(&signer, &[PUBKEY]).0, ["deleted"]);
    assert_eq!(files(folder.path()), [format!("bls-{}.json", &made[2..]), "password".to_owned()]);
}

#[test]
fn what_could_be_imported_is_loaded_again_whatever_its_name_says_its_password_and_its_length() {
    let secret = SecretBytes::new([7; 32]);
    let other = &PUBKEY[2..];
    let keystore = |password: &str| {
        let sealed = Keystore::seal(Curve::Bls, other.to_owned(), &secret, &Password::new(password)).expect("sealed");
        String::from_utf8(sealed.to_json().expect("JSON")).expect("UTF-8")
    };
    let long = "p".repeat(70_000);
    for (json, password) in [
        (keystore("names another key"), "names another key"),
        (keystore(""), ""),
        (keystore("\n"), "\n"),
        (keystore("line\nline"), "line\nline"),
        (keystore(&long), long.as_str()),
        (format!("{}{}", keystore("long"), " ".repeat(70_000)), "long"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = managed(folder.path());
        let body = json!({ "keystores": [json], "passwords": [password] });
        let reply = signer.post("/eth/v1/keystores", &body.to_string());
        assert_eq!(statuses(&reply.json()), ["imported"], "{:.20}", password);
        let listed = signer.get("/eth/v1/keystores").json();
        drop(signer);
        let signer = managed(folder.path());
        assert_eq!(signer.get("/eth/v1/keystores").json(), listed, "{:.20}", password);
        assert_eq!(counts(&signer), (200, json!({ "keys-loaded": 1, "error-count": 0 })), "{:.20}", password);
        let key = text(&listed["data"][0]["validating_pubkey"]);
        assert_eq!(delete(&signer, &[&key]).0, ["deleted"]);
        assert_eq!(files(folder.path()), [""; 0]);
    }
}

#[test]
fn a_deleted_import_leaves_none_of_its_files_and_does_not_come_back() {
    for restart in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut signer = with_import(folder.path());
        if restart {
            drop(signer);
            signer = managed(folder.path());
        }
        assert_eq!(delete(&signer, &[PUBKEY]).0, ["deleted"]);
        assert_eq!(files(folder.path()), [""; 0]);
        assert_eq!(reload(&signer), "completed");
        assert_serves_nothing(&signer);
        drop(signer);
        let signer = with_import(folder.path());
        assert_serves(&signer);
    }
}

#[test]
fn a_delete_that_stops_halfway_is_an_error_leaves_no_failure_behind_and_can_be_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = with_import(folder.path());
    // What no file is, is not removed as one.
    let keystore = folder.path().join(named("json"));
    fs::remove_file(&keystore).expect("removed");
    fs::create_dir(&keystore).expect("made");
    assert_eq!(delete(&signer, &[PUBKEY]).0, ["error"]);
    assert_eq!(files(folder.path()), [named("password")], "the key file goes first");
    assert_serves_nothing(&managed(folder.path()));
    fs::remove_dir(&keystore).expect("removed");
    assert_eq!(delete(&signer, &[PUBKEY]).0, ["deleted"]);
    assert_eq!(files(folder.path()), [""; 0]);
}

#[test]
fn a_key_file_that_somebody_else_wrote_stays_whatever_it_is_called() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(with_import(folder.path()));
    let read = |extension: &str| fs::read_to_string(folder.path().join(named(extension))).expect("readable");
    let key_file = read("yaml");
    let two = format!("{key_file}---\ntype: file-raw\nkeyType: BLS\nprivateKey: 0x{:064x}\n", 7);
    fs::copy(folder.path().join(named("password")), folder.path().join("a.password")).expect("copied");
    for (name, content) in [
        // Another name, another password file, and one with a second key.
        ("a.yaml".to_owned(), key_file.clone()),
        (named("yaml"), key_file.replace(&named("password"), "a.password")),
        (named("yaml"), two),
    ] {
        fs::remove_file(folder.path().join(named("yaml")))
            .or_else(|_| fs::remove_file(folder.path().join("a.yaml")))
            .expect("removed");
        fs::write(folder.path().join(&name), &content).expect("written");
        let signer = managed(folder.path());
        assert_eq!(delete(&signer, &[PUBKEY]).0, ["error"], "{name}: {content}");
        assert_eq!(signer.post(&format!("/api/v1/eth2/sign/{PUBKEY}"), &typed::randao(1).to_string()).status, 200);
        let mut expected = vec![named("json"), named("password"), "a.password".to_owned(), name];
        expected.sort();
        assert_eq!(files(folder.path()), expected);
    }
}

#[test]
fn an_import_that_a_crash_cut_short_is_no_key_and_no_failure_and_can_be_imported_again() {
    // In the order in which they are written: the files that the crash left out.
    for missing in [&["yaml"][..], &["yaml", "json"]] {
        let folder = tempfile::tempdir().expect("a folder");
        drop(with_import(folder.path()));
        for extension in missing {
            fs::remove_file(folder.path().join(named(extension))).expect("removed");
        }
        let eth1 = Signer::with(folder.path(), Options::stock(Serves::Eth1));
        assert_eq!(reload(&eth1), "completed");
        let signer = managed(folder.path());
        assert_serves_nothing(&signer);
        assert_eq!(reload(&signer), "completed");
        assert_serves_nothing(&signer);
        // Under another password than what lies there.
        let mut secret = SecretBytes::default();
        hex::decode_to_slice("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", &mut *secret)
            .expect("hex");
        let sealed = Keystore::seal(Curve::Bls, PUBKEY[2..].to_owned(), &secret, &Password::new("second"));
        let again = serde_json::from_slice(&sealed.expect("sealed").to_json().expect("JSON")).expect("JSON");
        assert_eq!(statuses(&import(&signer, &[&again], &["second"], None).json()), ["imported"], "{missing:?}");
        assert_serves(&signer);
        drop(signer);
        assert_serves(&managed(folder.path()));
    }
}

#[test]
fn what_a_crash_left_of_an_import_hinders_no_key_from_being_made() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(with_import(folder.path()));
    fs::remove_file(folder.path().join(named("yaml"))).expect("removed");
    let signer = Signer::start(folder.path());
    // A password is drawn for it: the keystore that lies there is under its own.
    let made = signer.generate("bls");
    drop(signer);
    let signer = Signer::start(folder.path());
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([made]));
    assert_eq!(counts(&signer).0, 200);
}

#[test]
fn a_keystore_called_as_a_key_but_without_a_password_beside_it_is_still_one_of_the_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let made = signer.generate("bls");
    drop(signer);
    let at = |name: String| folder.path().join(name);
    fs::rename(at(format!("bls-{}.json", &made[2..])), at(format!("{made}.json"))).expect("renamed");
    assert_eq!(Signer::start(folder.path()).get("/api/v1/eth2/publicKeys").json(), json!([made]));
}

#[test]
fn an_import_whose_password_was_changed_is_one_failure_and_a_second_import_heals_it() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(with_import(folder.path()));
    fs::write(folder.path().join(named("password")), "another").expect("written");
    let signer = managed(folder.path());
    assert_eq!(counts(&signer), (503, json!({ "keys-loaded": 0, "error-count": 1 })));
    assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], None).json()), ["imported"]);
    assert_eq!(reload(&signer), "completed");
    assert_serves(&signer);
}
