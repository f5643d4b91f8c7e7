//! Slashing protection: what was signed is never contradicted, whatever happens in between.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Reply, Signer, typed};

struct Guarded {
    folder: tempfile::TempDir,
    signer: Signer,
    key: String,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::start(folder.path());
        let key = signer.generate("bls");
        Self { folder, signer, key }
    }

    fn sign(&self, body: &Value) -> Reply {
        sign(&self.signer, &self.key, body)
    }

    fn status(&self, body: &Value) -> u16 {
        self.sign(body).status
    }

    fn record(&self) -> PathBuf {
        record(self.folder.path(), &self.key)
    }
}

fn sign(signer: &Signer, key: &str, body: &Value) -> Reply {
    signer.post_for_json(&format!("/api/v1/eth2/sign/{key}"), &body.to_string())
}

fn record(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("slashing-protection/{}.json", &key[2..]))
}

#[test]
fn a_block_is_signed_above_the_highest_slot_only_or_if_it_was_signed_before() {
    let it = Guarded::start();
    let first = it.sign(&typed::block(10));
    assert_eq!(first.status, 200);
    assert_eq!(it.sign(&typed::block(10)).json(), first.json(), "the same block again");
    let refused = it.sign(&typed::block_of(10, 0xee));
    assert_eq!(refused.status, 412);
    assert!(refused.text().contains("a block for slot 10 was signed"), "{}", refused.body);
    assert_eq!(it.status(&typed::block(9)), 412);
    assert_eq!(it.status(&typed::block(11)), 200);
    assert_eq!(it.sign(&typed::block(10)).json(), first.json(), "an older one again, by its root");
    assert_eq!(it.status(&typed::block_of(10, 0xee)), 412);
}

#[test]
fn an_attestation_that_contradicts_another_is_refused() {
    let it = Guarded::start();
    assert_eq!(it.status(&typed::attestation_of(10, 20, 1)), 200);
    for (source, target, block, status, what) in [
        (10, 20, 1, 200, "the same again"),
        (10, 20, 2, 412, "a double vote"),
        (11, 20, 1, 412, "a double vote by its source"),
        (9, 21, 1, 412, "it would surround"),
        (11, 19, 1, 412, "it would be surrounded"),
        (5, 6, 1, 412, "before everything"),
        (22, 21, 1, 412, "backwards"),
        (10, 21, 1, 200, "the next one"),
        (21, 21, 1, 412, "a double vote at the new target"),
        (22, 22, 1, 200, "source and target the same"),
    ] {
        let reply = it.sign(&typed::attestation_of(source, target, block));
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        if status == 412 {
            assert!(reply.text().starts_with("slashing protection: "), "{what}");
        }
    }
}

#[test]
fn blocks_and_attestations_and_keys_do_not_hold_each_other_up() {
    let it = Guarded::start();
    let other = it.signer.generate("bls");
    assert_eq!(it.status(&typed::block(1000)), 200);
    assert_eq!(it.status(&typed::attestation_of(1, 2, 1)), 200);
    assert_eq!(sign(&it.signer, &other, &typed::block(1)).status, 200);
    // What nobody can be slashed for is signed as often as asked.
    for body in [typed::randao(1), typed::exit(1), typed::aggregation_slot(1), typed::registration()] {
        assert_eq!((it.status(&body), it.status(&body)), (200, 200), "{body}");
    }
}

#[test]
fn another_chain_is_refused_for_every_key() {
    let it = Guarded::start();
    assert_eq!(it.status(&typed::block(1)), 200);
    let mut elsewhere = typed::block(50);
    elsewhere["fork_info"]["genesis_validators_root"] = json!(typed::root(0x77));
    let reply = it.sign(&elsewhere);
    assert_eq!(reply.status, 412);
    assert!(reply.text().contains("another chain"), "{}", reply.body);
    let other = it.signer.generate("bls");
    assert_eq!(sign(&it.signer, &other, &elsewhere).status, 412);
    assert_eq!(it.status(&typed::block(50)), 200);
    // Also where the file that names the chain is lost: each record has it too.
    fs::remove_file(it.folder.path().join("slashing-protection/genesis_validators_root")).expect("removed");
    elsewhere["beacon_block"]["block_header"]["slot"] = json!("60");
    assert_eq!(it.status(&elsewhere), 412);
}

#[test]
fn a_refused_vote_does_not_name_the_chain() {
    let it = Guarded::start();
    assert_eq!(it.status(&typed::attestation_of(3, 2, 1)), 412);
    assert!(!it.folder.path().join("slashing-protection/genesis_validators_root").exists());
}

#[test]
fn what_was_signed_outlives_a_restart() {
    let Guarded { folder, signer, key } = Guarded::start();
    assert_eq!(sign(&signer, &key, &typed::block(10)).status, 200);
    assert_eq!(sign(&signer, &key, &typed::attestation_of(1, 2, 1)).status, 200);
    drop(signer);
    let signer = Signer::start(folder.path());
    assert_eq!(sign(&signer, &key, &typed::block(11)).status, 200);
    for (body, status) in [
        (typed::block(10), 200),
        (typed::block(9), 412),
        (typed::block_of(10, 0xee), 412),
        (typed::attestation_of(1, 2, 1), 200),
        (typed::attestation_of(1, 2, 2), 412),
    ] {
        assert_eq!(sign(&signer, &key, &body).status, status, "{body}");
    }
}

#[test]
fn of_many_blocks_for_one_slot_at_once_exactly_one_is_signed() {
    let it = Guarded::start();
    // Another process would be locked out in the same way: each request opens the lock anew.
    let second = Signer::start(it.folder.path());
    for slot in 1..=5 {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let ask = |number: u8| {
                let (signer, key) = (if number.is_multiple_of(2) { &it.signer } else { &second }, &it.key);
                scope.spawn(move || sign(signer, key, &typed::block_of(slot, number)).status)
            };
            let threads: Vec<_> = (0..16).map(ask).collect();
            threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
        });
        let count = |status| statuses.iter().filter(|&&found| found == status).count();
        assert_eq!((count(200), count(412)), (1, 15), "{statuses:?}");
    }
}

#[test]
fn a_damaged_record_is_never_taken_for_an_empty_one() {
    let it = Guarded::start();
    let other = it.signer.generate("bls");
    assert_eq!(it.status(&typed::block(1234)), 200);
    assert_eq!(sign(&it.signer, &other, &typed::block(1)).status, 200);
    let good = fs::read_to_string(it.record()).expect("readable");
    assert!(good.contains("\"1234\""), "on disk when the signature is out: {good}");
    let of_other = fs::read_to_string(record(it.folder.path(), &other)).expect("readable");
    for (damage, content) in [
        ("empty", String::new()),
        ("cut short", good[..good.len() / 2].to_owned()),
        ("zeros", "\0".repeat(good.len())),
        ("an empty object", "{}".to_owned()),
        ("null", "null".to_owned()),
        ("a digit changed", good.replace("1234", "1034")),
        ("the block gone", good.replace("\"block\": {", "\"block\": null, \"x\": {")),
        ("another key's", of_other),
        ("another version", good.replace("\"version\": 1", "\"version\": 2")),
        ("too long", format!("{good}{}", " ".repeat(70_000))),
    ] {
        assert_ne!(content, good, "{damage}");
        fs::write(it.record(), &content).expect("written");
        for body in [typed::block(5000), typed::attestation_of(50, 60, 1)] {
            let reply = it.sign(&body);
            assert_eq!(reply.status, 500, "{damage}: {}", reply.body);
            assert!(reply.text().contains(&it.key[2..]), "{damage}: names the file: {}", reply.body);
        }
        assert_eq!(fs::read_to_string(it.record()).expect("readable"), content, "{damage}: left as it was");
    }
    // What needs no record is served all the same.
    assert_eq!(it.status(&typed::randao(1)), 200);
    fs::write(it.record(), good).expect("written");
    assert_eq!(it.status(&typed::block(5000)), 200);
}

#[test]
fn a_chain_that_cannot_be_read_and_a_folder_that_is_gone_stop_all_votes() {
    let it = Guarded::start();
    assert_eq!(it.status(&typed::block(1)), 200);
    let chain = it.folder.path().join("slashing-protection/genesis_validators_root");
    let good = fs::read_to_string(&chain).expect("readable");
    for content in ["", "0x99\n", &good[..good.len() - 1], "nonsense"] {
        fs::write(&chain, content).expect("written");
        assert_eq!(it.status(&typed::block(2)), 500, "{content:?}");
    }
    fs::write(&chain, good).expect("written");
    assert_eq!(it.status(&typed::block(2)), 200);
    fs::remove_dir_all(it.folder.path().join("slashing-protection")).expect("removed");
    assert_eq!(it.status(&typed::block(3)), 500);
}

#[test]
fn no_signature_that_got_out_is_forgotten_when_the_process_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Signer::start(folder.path()).generate("bls");
    let mut slot = 0;
    for round in 0..5 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cryfttee-devsigner"))
            .args(["--as", "eth2", "--listen", "127.0.0.1:0", "--keys"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening on http://").expect("the line").parse().expect("one");
        let last = AtomicU64::new(slot);
        let signed = std::thread::scope(|scope| {
            let (key, start, last) = (&key, slot + 1, &last);
            let votes = scope.spawn(move || support::until_it_breaks(address, key, start, last));
            // Not from zero: the first votes must be under way, on a machine as busy as it may be.
            while last.load(Ordering::Relaxed) < start + 3 && !votes.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(13 * round));
            child.kill().expect("killed");
            votes.join().expect("a slot")
        });
        child.wait().expect("it ended");
        assert!(signed > slot, "some were signed in round {round}");
        slot = signed;
        let signer = Signer::start(folder.path());
        assert_eq!(sign(&signer, &key, &typed::block_of(slot, 0xee)).status, 412, "slot {slot}");
    }
}
