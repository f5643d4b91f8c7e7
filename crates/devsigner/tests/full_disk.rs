//! The signer on a disk that is full: a vote that cannot be remembered is not signed, and a key that cannot be kept is not
//! imported.
//!
//! The disk is a tiny tmpfs in mounts of the signer's own, so root is needed.

mod support;

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::manager::{PASSWORD, PUBKEY, cheap, import, statuses};
use support::{Reply, Signer, typed};

/// Mounts the disk over a folder and becomes the signer: `$1` the folder, `$2` the signer.
const ON_SMALL_DISK: &str = r#"mount -t tmpfs -o size=256k,mode=700 tmpfs "$1" &&
    exec "$2" --as eth2 --extensions generate,clear-errors --listen 127.0.0.1:0 --keys "$1/keys""#;

/// A signer whose keystores are on a disk of 256 KiB. Only its process has it mounted, and so it goes with it.
struct OnSmallDisk {
    child: Child,
    signer: Signer,
    /// The disk, as seen from here.
    disk: PathBuf,
    _mounted_on: tempfile::TempDir,
}

impl OnSmallDisk {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = with_own_mounts(ON_SMALL_DISK)
            .arg(folder.path())
            .arg(env!("CARGO_BIN_EXE_cryfttee-devsigner"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening on http://").expect("the line").parse().expect("one");
        let inside = folder.path().strip_prefix("/").expect("absolute");
        let disk = PathBuf::from(format!("/proc/{}/root", child.id())).join(inside);
        Self { child, signer: Signer::of_other_process(address), disk, _mounted_on: folder }
    }

    fn slashing(&self, name: &str) -> PathBuf {
        self.disk.join("keys/slashing-protection").join(name)
    }

    fn record(&self, key: &str) -> PathBuf {
        self.slashing(&format!("{}.json", &key[2..]))
    }

    fn sign(&self, key: &str, body: &Value) -> Reply {
        self.signer.post_for_json(&format!("/api/v1/eth2/sign/{key}"), &body.to_string())
    }

    /// Takes all space that is left.
    fn fill(&self) {
        let mut file = File::create(self.disk.join("fill")).expect("created");
        let error = loop {
            if let Err(error) = file.write_all(&[0xaa; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    }

    fn make_room(&self) {
        fs::remove_file(self.disk.join("fill")).expect("removed");
    }

    /// Asks for a vote that must fail for want of space and for nothing else, and leave nothing behind.
    fn must_not_sign(&self, key: &str, body: &Value, file: &str) {
        let reply = self.sign(key, body);
        assert_eq!(reply.status, 500, "{}", reply.body);
        // The line names the file and the cause, and is too short to hide 96 bytes of a signature.
        assert!(reply.text().contains(file) && reply.body.contains("No space left"), "{}", reply.body);
        let hex = reply.body.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
        assert!(hex.is_none_or(|digits| digits < 192), "{}", reply.body);
        let entries = fs::read_dir(self.slashing("")).expect("a folder");
        for entry in entries {
            let name = entry.expect("an entry").file_name();
            assert!(!name.as_encoded_bytes().starts_with(b".new-"), "{name:?} was left behind");
        }
    }
}

impl Drop for OnSmallDisk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell with mounts of its own.
fn with_own_mounts(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).stderr(Stdio::null());
    command
}

/// Whether the tests of this file can run. A test that cannot says so on the real standard output, which no harness swallows.
fn possible(test: &str) -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = || with_own_mounts("mount -t tmpfs tmpfs \"$1\"").arg(folder.path()).status();
    let possible = root && mounted().is_ok_and(|status| status.success());
    if !possible {
        let _ = writeln!(io::stdout(), "SKIPPED: {test}: needs root and the right to mount a tmpfs");
    }
    possible
}

#[test]
fn a_watermark_that_cannot_be_saved_lets_no_signature_out_and_leaves_the_old_one() {
    if !possible("a_watermark_that_cannot_be_saved_lets_no_signature_out_and_leaves_the_old_one") {
        return;
    }
    let it = OnSmallDisk::start();
    let key = it.signer.generate("bls");
    assert_eq!(it.sign(&key, &typed::block(10)).status, 200);
    assert_eq!(it.sign(&key, &typed::attestation_of(1, 2, 1)).status, 200);
    let record = fs::read(it.record(&key)).expect("readable");
    it.fill();
    for body in [typed::block(20), typed::attestation_of(2, 3, 1), typed::block(21)] {
        it.must_not_sign(&key, &body, &key[2..]);
        assert_eq!(fs::read(it.record(&key)).expect("readable"), record, "intact");
    }
    // What needs no record is signed all the same, and what is refused is refused by the old one.
    assert_eq!(it.sign(&key, &typed::randao(1)).status, 200);
    assert_eq!(it.sign(&key, &typed::block_of(10, 0xee)).status, 412);
    it.make_room();
    // Nothing was remembered of the blocks that were not signed: another one for the same slot is the first.
    assert_eq!(it.sign(&key, &typed::block_of(20, 0xee)).status, 200);
    assert_eq!(it.sign(&key, &typed::block(20)).status, 412);
    assert_ne!(fs::read(it.record(&key)).expect("readable"), record);
}

#[test]
fn a_first_vote_that_cannot_be_saved_names_no_chain_and_makes_no_record() {
    if !possible("a_first_vote_that_cannot_be_saved_names_no_chain_and_makes_no_record") {
        return;
    }
    let it = OnSmallDisk::start();
    let key = it.signer.generate("bls");
    it.fill();
    it.must_not_sign(&key, &typed::block(10), "genesis_validators_root");
    assert!(!it.slashing("genesis_validators_root").exists());
    assert!(!it.record(&key).exists());
    it.make_room();
    assert_eq!(it.sign(&key, &typed::block_of(10, 0xee)).status, 200);
    assert_eq!(it.sign(&key, &typed::block(10)).status, 412);
}

#[test]
fn an_import_that_finds_no_room_for_all_of_its_files_leaves_none_and_works_once_there_is() {
    if !possible("an_import_that_finds_no_room_for_all_of_its_files_leaves_none_and_works_once_there_is") {
        return;
    }
    let it = OnSmallDisk::start();
    it.fill();
    let fill = File::options().write(true).open(it.disk.join("fill")).expect("opened");
    let full = fill.metadata().expect("its length").len();
    let left = || {
        let entries = fs::read_dir(it.disk.join("keys")).expect("a folder").map(|entry| entry.expect("an entry"));
        let files = entries.filter(|entry| entry.file_type().expect("a type").is_file());
        files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    // Room for as many files: each takes a page.
    for pages in 0..3 {
        fill.set_len(full - pages * 4096).expect("cut");
        let reply = import(&it.signer, &[&cheap()], &[PASSWORD], None);
        assert_eq!(statuses(&reply.json()), ["error"], "{pages}");
        let file = ["password", "json", "yaml"][pages as usize];
        assert!(
            reply.body.contains(&format!("{PUBKEY}.{file}")) && reply.body.contains("No space left"),
            "{}",
            reply.body
        );
        assert_eq!(left(), [""; 0], "{pages}");
        assert_eq!(it.signer.get("/api/v1/eth2/publicKeys").json(), json!([]));
    }
    fill.set_len(full - 3 * 4096).expect("cut");
    assert_eq!(statuses(&import(&it.signer, &[&cheap()], &[PASSWORD], None).json()), ["imported"]);
    assert_eq!(left().len(), 3);
    assert_eq!(it.sign(PUBKEY, &typed::randao(1)).status, 200);
}
