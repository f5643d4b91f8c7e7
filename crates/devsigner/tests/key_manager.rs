//! The key manager: foreign keystores come in, keys go, and what they have signed stays known.

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use support::manager::{PASSWORD, PUBKEY, cheap, delete, import, statuses};
use support::{Signer, bytes, text, typed, verify};

/// The salt of the vectors of EIP-2335.
const SALT: &str = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";
fn keystore(kdf: &Value, checksum: &str, ciphertext: &str, path: &str) -> Value {
    json!({
        "crypto": {
            "kdf": kdf,
            "checksum": { "function": "sha256", "params": {}, "message": checksum },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
                "message": ciphertext,
            },
        },
        "description": "of another tool",
        "pubkey": PUBKEY[2..],
        "path": path,
        "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4,
    })
}

fn scrypt() -> Value {
    let params = json!({ "dklen": 32, "n": 262_144, "p": 1, "r": 8, "salt": SALT });
    keystore(
        &json!({ "function": "scrypt", "params": params, "message": "" }),
        "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
        "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
        "m/12381/60/3141592653/589793238",
    )
}

fn pbkdf2() -> Value {
    let params = json!({ "dklen": 32, "c": 262_144, "prf": "hmac-sha256", "salt": SALT });
    keystore(
        &json!({ "function": "pbkdf2", "params": params, "message": "" }),
        "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
        "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
        "m/12381/60/0/0",
    )
}

fn interchange(chain: u8, blocks: Value, attestations: Value) -> Value {
    json!({
        "metadata": { "interchange_format_version": "5", "genesis_validators_root": typed::root(chain) },
        "data": [{ "pubkey": PUBKEY, "signed_blocks": blocks, "signed_attestations": attestations }],
    })
}

fn sign(signer: &Signer, body: &Value) -> u16 {
    signer.post(&format!("/api/v1/eth2/sign/{PUBKEY}"), &body.to_string()).status
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".json")).collect()
}

#[test]
fn the_keystores_of_the_eip_are_imported_sign_and_outlive_a_restart() {
    for (keystore, path) in [(scrypt(), "m/12381/60/3141592653/589793238"), (pbkdf2(), "m/12381/60/0/0")] {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::start(folder.path());
        let reply = import(&signer, &[&keystore], &[PASSWORD], None);
        assert_eq!((reply.status, reply.json()), (200, json!({ "data": [{ "status": "imported", "message": null }] })));
        let listed = json!({
            "data": [{ "validating_pubkey": PUBKEY, "derivation_path": path, "readonly": false }],
        });
        assert_eq!(signer.get("/eth/v1/keystores").json(), listed);
        drop(signer);
        let signer = Signer::start(folder.path());
        assert_eq!(signer.get("/eth/v1/keystores").json(), listed);
        let reply = signer.post(&format!("/api/v1/eth2/sign/{PUBKEY}"), r#"{"type":"BLOCK","data":"0xab"}"#);
        let signature = bytes(reply.text());
        assert!(verify::bls(&bytes(PUBKEY), &[0xab], &signature, verify::BLS_SIGNATURE_DST));
    }
}

#[test]
fn each_keystore_is_answered_in_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let good = cheap();
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).expect("a member") = value;
        changed
    };
    let other = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
    let mut secp256k1 = good.clone();
    secp256k1["cryft_curve"] = json!("secp256k1");
    let rows = [
        (with("/version", json!(3)), PASSWORD, "error", "version 3"),
        (good.clone(), "wrong", "error", "wrong password"),
        (with("/pubkey", json!("nonsense")), PASSWORD, "error", "not a public key"),
        (with("/crypto/kdf/params/c", json!(u32::MAX)), PASSWORD, "error", "out of bounds"),
        (with("/crypto/kdf/function", json!("argon2")), PASSWORD, "error", "parse the keystore"),
        (secp256k1, PASSWORD, "error", "only BLS"),
        (json!("text"), PASSWORD, "error", "parse the keystore"),
        (with("/pubkey", json!("")), PASSWORD, "error", "no public key"),
        // The secret counts, and not what the keystore says: so it is with Web3Signer 26.4.2.
        (with("/pubkey", json!(other)), PASSWORD, "imported", ""),
        (good.clone(), PASSWORD, "duplicate", ""),
    ];
    let keystores: Vec<&Value> = rows.iter().map(|row| &row.0).collect();
    let passwords: Vec<&str> = rows.iter().map(|row| row.1).collect();
    let reply = import(&signer, &keystores, &passwords, None);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = reply.json();
    for (index, (_, _, status, message)) in rows.iter().enumerate() {
        let found = &reply["data"][index];
        assert_eq!(found["status"], *status, "{index}: {found}");
        assert!(found["message"].as_str().unwrap_or_default().contains(message), "{index}: {found}");
        assert_eq!(found["message"].is_null(), *status != "error", "{index}: {found}");
    }
    assert_eq!(statuses(&reply).len(), rows.len());
    // Known before it is opened: no password is asked.
    assert_eq!(statuses(&import(&signer, &[&good], &["wrong"], None).json()), ["duplicate"]);
    assert_eq!(files(folder.path()).len(), 1);
    let empty = import(&signer, &[], &[], None);
    assert_eq!((empty.status, empty.json()), (200, json!({ "data": [] })));
}

#[test]
fn an_imported_history_raises_the_watermarks_and_never_lowers_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let signed = interchange(
        typed::CHAIN,
        json!([{ "slot": "50", "signing_root": typed::root(1) }, { "slot": "40" }]),
        json!([
            { "source_epoch": "7", "target_epoch": "8" },
            { "source_epoch": "3", "target_epoch": "9", "signing_root": typed::root(2) },
        ]),
    );
    assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], Some(&signed)).json()), ["imported"]);
    for (body, status) in [
        (typed::block(49), 412),
        (typed::block(50), 412),
        (typed::block(40), 412),
        (typed::attestation_of(7, 9, 1), 412),
        (typed::attestation_of(6, 10, 1), 412),
        (typed::attestation_of(7, 10, 1), 200),
        (typed::block(51), 200),
    ] {
        assert_eq!(sign(&signer, &body), status, "{body}");
    }
    // For a key that is there already it counts as well; older than what is known, it changes nothing.
    let later = interchange(typed::CHAIN, json!([{ "slot": "60" }]), json!([]));
    for signed in [&later, &signed] {
        assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], Some(signed)).json()), ["duplicate"]);
        assert_eq!(sign(&signer, &typed::block(60)), 412);
    }
    assert_eq!(sign(&signer, &typed::attestation_of(7, 10, 1)), 200, "the watermark's own vote is still known");
    drop(signer);
    let signer = Signer::start(folder.path());
    assert_eq!((sign(&signer, &typed::block(60)), sign(&signer, &typed::block(61))), (412, 200));
}

#[test]
fn a_history_that_cannot_be_taken_in_is_400_and_no_key_comes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let known = signer.generate("bls");
    let path = format!("/api/v1/eth2/sign/{known}");
    assert_eq!(signer.post(&path, &typed::block(1).to_string()).status, 200);
    let mut version = interchange(typed::CHAIN, json!([]), json!([]));
    version["metadata"]["interchange_format_version"] = json!("4");
    let mut without_chain = interchange(typed::CHAIN, json!([{ "slot": "5" }]), json!([]));
    without_chain["metadata"].as_object_mut().expect("an object").remove("genesis_validators_root");
    for signed in [
        interchange(0x77, json!([{ "slot": "5" }]), json!([])),
        version,
        interchange(typed::CHAIN, json!([{ "slot": -5 }]), json!([])),
        without_chain,
        interchange(typed::CHAIN, json!([]), json!([{ "source_epoch": "1" }])),
        json!({}),
    ] {
        let reply = import(&signer, &[&cheap()], &[PASSWORD], Some(&signed));
        assert_eq!(reply.status, 400, "{signed}");
        assert!(!reply.text().is_empty());
    }
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([known]));
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_deleted_key_signs_no_more_and_tells_what_it_signed_as_often_as_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let unknown = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
    import(&signer, &[&cheap()], &[PASSWORD], None);
    let silent = signer.generate("bls");
    let stays = signer.generate("bls");
    assert_eq!(sign(&signer, &typed::block(10)), 200);
    assert_eq!(sign(&signer, &typed::attestation_of(1, 2, 1)), 200);
    let spelled = PUBKEY[2..].to_uppercase();
    let (outcomes, first) = delete(&signer, &[&spelled, unknown, &silent, "nonsense", PUBKEY]);
    assert_eq!(outcomes, ["deleted", "not_found", "deleted", "not_found", "not_active"]);
    assert_eq!(first["metadata"]["interchange_format_version"], "5");
    assert_eq!(first["metadata"]["genesis_validators_root"], typed::root(typed::CHAIN));
    let data = first["data"].as_array().expect("a list");
    let of = |key: &str| data.iter().find(|entry| entry["pubkey"] == key).expect("an entry");
    assert_eq!(data.len(), 2);
    assert_eq!(of(PUBKEY)["signed_blocks"][0]["slot"], "10");
    assert_eq!(of(PUBKEY)["signed_attestations"][0]["source_epoch"], "1");
    assert_eq!(of(PUBKEY)["signed_attestations"][0]["target_epoch"], "2");
    assert_eq!((&of(&silent)["signed_blocks"], &of(&silent)["signed_attestations"]), (&json!([]), &json!([])));

    assert_eq!(sign(&signer, &typed::block(11)), 404);
    drop(signer);
    let signer = Signer::start(folder.path());
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([stays]));
    let (outcomes, second) = delete(&signer, &[PUBKEY, &silent]);
    assert_eq!(outcomes, ["not_active", "not_active"]);
    assert_eq!(second["data"].as_array().map(Vec::len), Some(2));
    // Back again, here or elsewhere, it does not contradict itself.
    assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], None).json()), ["imported"]);
    assert_eq!(sign(&signer, &typed::block_of(10, 0xee)), 412);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(elsewhere.path());
    assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], Some(&first)).json()), ["imported"]);
    assert_eq!(sign(&signer, &typed::block_of(10, 0xee)), 412);
    assert_eq!(sign(&signer, &typed::block(10)), 200, "the same block again, by its root");
}

#[test]
fn a_key_whose_history_cannot_be_told_is_not_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    import(&signer, &[&cheap()], &[PASSWORD], None);
    assert_eq!(sign(&signer, &typed::block(10)), 200);
    let record = folder.path().join(format!("slashing-protection/{}.json", &PUBKEY[2..]));
    let good = fs::read(&record).expect("readable");
    fs::write(&record, "").expect("written");
    assert_eq!(delete(&signer, &[PUBKEY]).0, ["error"]);
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([PUBKEY]));
    let signed = interchange(typed::CHAIN, json!([{ "slot": "5" }]), json!([]));
    let reply = import(&signer, &[&cheap()], &[PASSWORD], Some(&signed));
    assert_eq!(reply.status, 500, "not the client's fault");
    fs::write(&record, good).expect("written");
    assert_eq!(delete(&signer, &[PUBKEY]).0, ["deleted"]);
    // Of a key that is gone nobody may say that it never signed, when the records are gone too.
    fs::remove_dir_all(folder.path().join("slashing-protection")).expect("removed");
    assert_eq!(delete(&signer, &[PUBKEY]).0, ["error"]);
}

#[test]
fn a_key_in_two_files_is_deleted_from_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    let key = signer.generate("bls");
    drop(signer);
    let file = folder.path().join(&files(folder.path())[0]);
    fs::copy(&file, folder.path().join("copy.json")).expect("copied");
    let signer = Signer::start(folder.path());
    assert_eq!(delete(&signer, &[&key]).0, ["deleted"]);
    drop(signer);
    assert_eq!(Signer::start(folder.path()).get("/api/v1/eth2/publicKeys").json(), json!([]));
}

#[test]
fn deleting_while_signing_loses_no_signature() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::start(folder.path());
        import(&signer, &[&cheap()], &[PASSWORD], None);
        let next = AtomicU64::new(1);
        // Several, so that some wait for the key's lock while it is deleted.
        let one = || {
            let mut signed = 0;
            loop {
                let slot = next.fetch_add(1, Ordering::Relaxed);
                match sign(&signer, &typed::block(slot)) {
                    200 => signed = slot,
                    412 => {}
                    status => {
                        assert_eq!(status, 404);
                        break signed;
                    }
                }
            }
        };
        let (signed, told) = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(one)).collect();
            // Once each has had a turn: on a busy machine that takes as long as it takes.
            while next.load(Ordering::Relaxed) < 24 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let (outcomes, told) = delete(&signer, &[PUBKEY]);
            assert_eq!(outcomes, ["deleted"]);
            (threads.into_iter().map(|thread| thread.join().expect("a slot")).max(), told)
        });
        let blocks = told["data"][0]["signed_blocks"].as_array().expect("a list");
        let highest = blocks.iter().map(|block| text(&block["slot"]).parse::<u64>().expect("a slot")).max();
        assert_eq!(highest, signed);
    }
}

#[test]
fn a_history_without_votes_fixes_no_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    import(&signer, &[&cheap()], &[PASSWORD], None);
    let (_, silent) = delete(&signer, &[PUBKEY]);
    assert_eq!(silent["metadata"], json!({ "interchange_format_version": "5" }), "as with Web3Signer");
    assert_eq!(statuses(&import(&signer, &[&cheap()], &[PASSWORD], Some(&silent)).json()), ["imported"]);
    assert_eq!(sign(&signer, &typed::block(1)), 200);
}

#[test]
fn a_deleted_key_tells_every_vote_and_every_one_of_them_may_be_signed_again_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(folder.path());
    import(&signer, &[&cheap()], &[PASSWORD], None);
    let votes = [typed::block(1), typed::block(5), typed::attestation_of(1, 2, 1), typed::attestation_of(2, 3, 1)];
    for vote in &votes {
        assert_eq!(sign(&signer, vote), 200);
    }
    let (_, told) = delete(&signer, &[PUBKEY]);
    let of_key = &told["data"][0];
    for (list, count) in [("signed_blocks", 2), ("signed_attestations", 2)] {
        let list = of_key[list].as_array().expect("a list");
        assert!(list.len() == count && list.iter().all(|vote| vote["signing_root"].is_string()), "{told}");
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(elsewhere.path());
    import(&signer, &[&cheap()], &[PASSWORD], Some(&told));
    for vote in &votes {
        assert_eq!(sign(&signer, vote), 200, "{vote}");
    }
    assert_eq!((sign(&signer, &typed::block_of(1, 0xee)), sign(&signer, &typed::block(3))), (412, 412));
}
