use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const TLS_KEY: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const OTHER_TLS_KEY: &str = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
const BLS_KEY: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const NODE: &str = "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2";

fn made_tls() -> Registered<TlsPublicKey> {
    Registered {
        pubkey: TLS_KEY.parse().expect("key"),
        secret_path: "vault/tls".to_owned(),
        proof_of_possession: None,
        certificate: Some("PEM".to_owned()),
    }
}

fn made_bls() -> Registered<BlsPublicKey> {
    Registered {
        pubkey: BLS_KEY.parse().expect("key"),
        secret_path: "vault/bls".to_owned(),
        proof_of_possession: None,
        certificate: None,
    }
}

fn filled() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::open(&folder.path().join("cryftgo")).expect("open");
    store.save_bls(&made_bls()).expect("saved");
    store.save_tls(&made_tls()).expect("saved");
    store.save_node_id(&NodeId::of(&made_tls().pubkey)).expect("saved");
    (folder, store)
}

#[test]
fn what_is_saved_is_loaded_and_only_the_owner_may_read_it() {
    let (_folder, store) = filled();
    assert_eq!(store.load().expect("load"), Saved { bls: Some(made_bls().pubkey), tls: Some(made_tls().pubkey) });
    assert_eq!(fs::read_to_string(store.records.path(TLS)).expect("read"), format!("{TLS_KEY}\n"));
    assert_eq!(fs::read_to_string(store.records.path(NODE_ID)).expect("read"), format!("{NODE}\n"));
    for name in [BLS, TLS, NODE_ID, BLS_RECORD, TLS_RECORD] {
        let mode = fs::metadata(store.records.path(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    for name in ["", "staking", "keys"] {
        let mode = fs::metadata(store.records.path(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{name}");
    }
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(store.records.path(TLS_RECORD)).expect("read")).expect("JSON");
    assert_eq!(record["pubkey"], TLS_KEY);
    assert_eq!(record["node_id"], NODE);
    assert_eq!(record["secret_path"], "vault/tls");
    assert_eq!(record["certificate"], "PEM");
    assert!(record["created_at"].as_u64().is_some_and(|at| at > 1_600_000_000));
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_never_no_key() {
    for name in [BLS, TLS, NODE_ID, BLS_RECORD, TLS_RECORD] {
        let (_folder, store) = filled();
        let whole = fs::read(store.records.path(name)).expect("read");
        for damage in
            [&b""[..], b"\n", b"garbage\n", b"\xff\xfe\n", &whole[..whole.len() / 2], &whole[..whole.len() - 2]]
        {
            fs::write(store.records.path(name), damage).expect("write");
            let error = store.load().expect_err("refused");
            assert_eq!(error.exit_code(), exit::DATA, "{name}: {error}");
            assert!(error.to_string().contains(name.rsplit('/').next().expect("name")), "{error}");
        }
    }
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    let (_folder, store) = filled();
    fs::write(store.records.path(TLS), OTHER_TLS_KEY).expect("write");
    assert!(matches!(store.load(), Err(StoreError::Contradiction { .. })));
    fs::remove_file(store.records.path(TLS_RECORD)).expect("remove");
    assert!(matches!(store.load(), Err(StoreError::Contradiction { .. })));
    fs::remove_file(store.records.path(TLS)).expect("remove");
    assert!(matches!(store.load(), Err(StoreError::Damaged { .. })), "a Node ID and no key");
}

#[test]
fn a_record_alone_is_a_saved_key_and_is_completed_and_never_replaced() {
    let (_folder, store) = filled();
    for name in [BLS, TLS, NODE_ID] {
        fs::remove_file(store.records.path(name)).expect("as if killed before this write");
    }
    let saved = store.load().expect("load");
    assert_eq!(saved, Saved { bls: Some(made_bls().pubkey), tls: Some(made_tls().pubkey) });
    store.keep_bls(&made_bls().pubkey).expect("completed");
    store.keep_tls(&made_tls().pubkey).expect("completed");
    assert_eq!(fs::read_to_string(store.records.path(TLS)).expect("read"), format!("{TLS_KEY}\n"));
    let record: TlsRecord = store.records.record(TLS_RECORD).expect("whole").expect("there");
    assert_eq!(record.certificate, "PEM");
}

#[test]
fn a_line_alone_is_a_saved_key_and_gets_its_record() {
    let (_folder, store) = filled();
    fs::remove_file(store.records.path(TLS_RECORD)).expect("removed");
    assert_eq!(store.load().expect("load").tls, Some(made_tls().pubkey));
    store.keep_tls(&made_tls().pubkey).expect("completed");
    let record: TlsRecord = store.records.record(TLS_RECORD).expect("whole").expect("there");
    assert_eq!((record.pubkey.to_string().as_str(), record.certificate.as_str()), (TLS_KEY, ""));
}

#[test]
fn a_record_whose_node_id_is_not_its_keys_is_damaged() {
    let (_folder, store) = filled();
    let text = fs::read_to_string(store.records.path(TLS_RECORD)).expect("read").replace(NODE, "NodeID-0000");
    fs::write(store.records.path(TLS_RECORD), text).expect("write");
    assert!(matches!(store.load(), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_write_that_fails_leaves_the_old_file_whole() {
    let (_folder, store) = filled();
    // A folder in the place of the temporary file: the write fails also for root, whom modes do not stop.
    fs::create_dir(store.records.path(TLS).with_added_extension("new")).expect("folder");
    let error = store.save_tls(&made_tls()).expect_err("refused");
    assert_eq!(error.exit_code(), exit::IO);
    assert_eq!(store.load().expect("whole").tls, Some(made_tls().pubkey));
}

#[test]
fn two_verifiers_cannot_use_one_folder() {
    let (_folder, store) = filled();
    assert!(matches!(Store::open(&store.records.root), Err(StoreError::InUse { .. })));
}
