//! Signed manifests and signed binaries, with signatures that the `minisign` program makes; and the lock.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use contract::exit;
use support::{Ended, Host, bad_sidecar, skip};

/// A key pair of the `minisign` program.
struct Signer {
    folder: tempfile::TempDir,
}

impl Signer {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        minisign(&["-G", "-W", "-p"], folder.path(), "key.pub", &["-s", "key.sec"]);
        Self { folder }
    }

    fn public(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("key.pub")).expect("key");
        text.lines().nth(1).expect("the key's line").to_owned()
    }

    fn sign(&self, file: &Path, signature: &Path, more: &[&str]) {
        let output = Command::new("minisign")
            .arg("-S")
            .args(more)
            .arg("-s")
            .arg(self.folder.path().join("key.sec"))
            .arg("-m")
            .arg(file)
            .arg("-x")
            .arg(signature)
            .output()
            .expect("minisign");
        assert!(output.status.success(), "{output:?}");
    }
}

fn minisign(first: &[&str], folder: &Path, public: &str, rest: &[&str]) {
    let output = Command::new("minisign").args(first).arg(public).args(rest).current_dir(folder).output().expect("run");
    assert!(output.status.success(), "{output:?}");
}

fn have_minisign(test: &str) -> bool {
    let there = Command::new("minisign").arg("-v").output().is_ok();
    if !there {
        skip(test, "needs the program minisign (Debian: apt-get install minisign)");
    }
    there
}

fn digest_of(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    let text = String::from_utf8(output.stdout).expect("text");
    format!("sha256:{}", text.split(' ').next().expect("digits"))
}

/// Writes a manifest that lists the bad sidecar, signed by `signer`.
fn write_manifest(host: &Host, signer: &Signer, version: u64, expires: &str, revoked: &str) {
    let path = host.path("manifest.json");
    let text = format!(
        "{{\"version\":{version},\"expires\":\"{expires}\",\"releases\":[{{\"version\":\"0.0.0\",\"hash\":\"{}\"}}],\
         \"revoked\":[{revoked}]}}",
        digest_of(&bad_sidecar())
    );
    std::fs::write(&path, text).expect("manifest");
    signer.sign(&path, &host.path("manifest.json.minisig"), &[]);
}

fn run_with_manifest(host: &Host, signer: &Signer, more: &[&str]) -> Ended {
    let mut command = host.with_fault("signer-away");
    command.arg("--trust-manifest").arg(host.path("manifest.json"));
    command.args(["--trust-keys", &signer.public()]).args(more);
    host.run(command)
}

/// The start got past the appraisal: it then stops, because this signer is away.
fn was_appraised(ended: &Ended) {
    assert_eq!(ended.code, Some(i32::from(exit::UNAVAILABLE)), "{ended:?}");
    assert!(ended.stderr.contains("Accepted sha256:"), "{ended:?}");
}

fn was_refused(ended: &Ended, part: &str) {
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    assert!(ended.refusal().contains(part), "{part:?} in {:?}", ended.refusal());
}

const FUTURE: &str = "2999-01-01T00:00:00Z";

#[test]
fn a_manifest_that_minisign_signed_is_believed_and_remembered() {
    if !have_minisign("a_manifest_that_minisign_signed_is_believed_and_remembered") {
        return;
    }
    let (host, signer) = (Host::new(), Signer::new());
    write_manifest(&host, &signer, 7, FUTURE, "");
    was_appraised(&run_with_manifest(&host, &signer, &["--trust-require", "always"]));
    let floor = std::fs::read_to_string(host.path("verifier/trust.json")).expect("remembered");
    assert!(floor.contains("\"manifest_version\":7"), "{floor}");
}

#[test]
fn a_manifest_that_was_rolled_back_or_expired_or_changed_is_refused_and_changes_no_memory() {
    if !have_minisign("a_manifest_that_was_rolled_back_or_expired_or_changed_is_refused_and_changes_no_memory") {
        return;
    }
    let (host, signer) = (Host::new(), Signer::new());
    write_manifest(&host, &signer, 7, FUTURE, "");
    was_appraised(&run_with_manifest(&host, &signer, &[]));
    let remembered = || std::fs::read(host.path("verifier/trust.json")).expect("remembered");
    let before = remembered();

    write_manifest(&host, &signer, 6, FUTURE, "");
    was_refused(&run_with_manifest(&host, &signer, &[]), "it was rolled back");
    write_manifest(&host, &signer, 8, "2020-01-01T00:00:00Z", "");
    was_refused(&run_with_manifest(&host, &signer, &[]), "it expired at 2020");
    write_manifest(&host, &signer, 9, FUTURE, "");
    was_refused(&run_with_manifest(&host, &signer, &["--trust-version", "9.9.9"]), "it has no release \"9.9.9\"");
    let text = std::fs::read_to_string(host.path("manifest.json")).expect("manifest");
    std::fs::write(host.path("manifest.json"), text.replace("0.0.0", "0.0.1")).expect("changed");
    was_refused(&run_with_manifest(&host, &signer, &[]), "does not verify");
    assert_eq!(remembered(), before);
    // None of these is tampering with the binary: a corrected manifest is enough to go on.
    write_manifest(&host, &signer, 8, FUTURE, "");
    was_appraised(&run_with_manifest(&host, &signer, &[]));
}

#[test]
fn a_wrong_key_a_legacy_signature_and_a_missing_one_are_refused() {
    if !have_minisign("a_wrong_key_a_legacy_signature_and_a_missing_one_are_refused") {
        return;
    }
    let (host, signer, other) = (Host::new(), Signer::new(), Signer::new());
    write_manifest(&host, &other, 7, FUTURE, "");
    was_refused(&run_with_manifest(&host, &signer, &[]), "no trusted key has its key id");
    signer.sign(&host.path("manifest.json"), &host.path("manifest.json.minisig"), &["-l"]);
    was_refused(&run_with_manifest(&host, &signer, &[]), "legacy signature");
    std::fs::remove_file(host.path("manifest.json.minisig")).expect("removed");
    was_refused(&run_with_manifest(&host, &signer, &[]), "there is no signature file");
    assert!(!host.path("verifier/trust.json").exists());
}

#[test]
fn a_threshold_of_two_needs_two_different_keys() {
    if !have_minisign("a_threshold_of_two_needs_two_different_keys") {
        return;
    }
    let (host, signer, other) = (Host::new(), Signer::new(), Signer::new());
    write_manifest(&host, &signer, 7, FUTURE, "");
    signer.sign(&host.path("manifest.json"), &host.path("manifest.json.again.minisig"), &[]);
    let both = other.public();
    let two = ["--trust-keys", &both, "--trust-threshold", "2"];
    was_refused(&run_with_manifest(&host, &signer, &two), "signed by 1 of the 2");
    other.sign(&host.path("manifest.json"), &host.path("manifest.json.other.minisig"), &[]);
    was_appraised(&run_with_manifest(&host, &signer, &two));
}

#[test]
fn a_revoked_binary_is_refused_although_it_is_pinned() {
    if !have_minisign("a_revoked_binary_is_refused_although_it_is_pinned") {
        return;
    }
    let (host, signer) = (Host::new(), Signer::new());
    let digest = digest_of(&bad_sidecar());
    let text = format!("{{\"version\":1,\"expires\":\"{FUTURE}\",\"releases\":[],\"revoked\":[\"{digest}\"]}}");
    std::fs::write(host.path("manifest.json"), text).expect("manifest");
    signer.sign(&host.path("manifest.json"), &host.path("manifest.json.minisig"), &[]);
    was_refused(&run_with_manifest(&host, &signer, &["--trust-pins", &digest]), "is revoked by the release manifest");
}

#[test]
fn a_signature_over_the_binary_itself_is_a_reference_value_until_the_binary_changes() {
    if !have_minisign("a_signature_over_the_binary_itself_is_a_reference_value_until_the_binary_changes") {
        return;
    }
    let (host, signer) = (Host::new(), Signer::new());
    let binary = host.path("cryfttee");
    std::fs::copy(bad_sidecar(), &binary).expect("copy");
    signer.sign(&binary, &host.path("cryfttee.minisig"), &[]);
    let run = || {
        let mut command = host.command(&binary);
        command.env("CRYFTTEE_FAULT", "signer-away").args(["--trust-keys", &signer.public()]);
        host.run(command)
    };
    was_appraised(&run());
    let mut bytes = std::fs::read(&binary).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&binary, bytes).expect("written");
    assert!(!host.path("verifier/tampered").exists());
    was_refused(&run(), "is not what a trusted key signed");
    assert!(host.path("verifier/tampered").exists());
}

fn cryftgo_tee(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cryftgo-tee")).args(arguments).output().expect("run")
}

#[test]
fn measure_and_appraise_say_what_a_start_would() {
    let host = Host::new();
    let binary = bad_sidecar().display().to_string();
    let digest = digest_of(&bad_sidecar());
    let measured = cryftgo_tee(&["measure", &binary]);
    assert_eq!(String::from_utf8_lossy(&measured.stdout), format!("{digest}\n"));
    let json: serde_json::Value =
        serde_json::from_slice(&cryftgo_tee(&["measure", "--json", &binary]).stdout).expect("JSON");
    assert_eq!(json["digest"], digest.as_str());

    let config = host.path("cryftgo-tee.toml").display().to_string();
    // A relative path is that of the file in the current folder, and of no other.
    let mut here = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    here.current_dir(bad_sidecar().parent().expect("folder")).args(["appraise", "bad-sidecar", "--config", &config]);
    let here = here.args(["--trust-pins-d", "/none", "--trust-pins", &digest]).output().expect("run");
    assert_eq!(here.status.code(), Some(0), "{here:?}");
    assert!(String::from_utf8_lossy(&here.stdout).contains(&digest), "{here:?}");

    let appraise = |more: &[&str]| {
        let base =
            ["appraise", &binary, "--config", &config, "--launch-check-path", "false", "--trust-pins-d", "/none"];
        cryftgo_tee(&[&base, more].concat())
    };
    let accepted = appraise(&["--trust-pins", &digest]);
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    assert!(String::from_utf8_lossy(&accepted.stdout).starts_with(&format!("accepted {digest} by trust.pins")));
    let other = format!("sha256:{}", "0".repeat(64));
    let refused = appraise(&["--trust-pins", &other, "--json"]);
    assert_eq!(refused.status.code(), Some(i32::from(exit::INTEGRITY)), "{refused:?}");
    let json: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!(json["accepted"], false);
    assert!(json["reason"].as_str().is_some_and(|reason| reason.contains(&other)), "{json}");
}

#[test]
fn manifest_verify_prints_every_check() {
    if !have_minisign("manifest_verify_prints_every_check") {
        return;
    }
    let (host, signer) = (Host::new(), Signer::new());
    write_manifest(&host, &signer, 7, FUTURE, "");
    let file = host.path("manifest.json").display().to_string();
    let config = host.path("cryftgo-tee.toml").display().to_string();
    let state = host.path("verifier").display().to_string();
    let verify = |key: &str| {
        cryftgo_tee(&["manifest", "verify", &file, "--config", &config, "--state-dir", &state, "--trust-keys", key])
    };
    let good = verify(&signer.public());
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    for check in ["signatures", "shape", "expiry", "version", "revocation", "release"] {
        assert!(text.contains(&format!("ok     {check}")), "{check} in {text}");
    }
    assert!(text.ends_with("believed\n"), "{text}");
    assert!(!host.path("verifier/trust.json").exists(), "verifying remembered something");
    // Named without its folder, as one does when standing in it.
    let mut here = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    here.current_dir(host.path("")).args(["manifest", "verify", "manifest.json", "--config", &config]);
    let here = here.args(["--state-dir", &state, "--trust-keys", &signer.public()]).output().expect("run");
    assert_eq!(here.status.code(), Some(0), "{here:?}");
    let bad = verify(&Signer::new().public());
    assert_eq!(bad.status.code(), Some(i32::from(exit::INTEGRITY)), "{bad:?}");
    assert!(String::from_utf8_lossy(&bad.stdout).contains("WRONG  signatures"), "{bad:?}");
}

#[test]
fn tampering_locks_until_an_operator_unlocks_and_says_why() {
    let host = Host::new();
    let other = format!("sha256:{}", "0".repeat(64));
    let mut tampered = host.with_fault("");
    tampered.args(["--trust-pins", &other]);
    was_refused(&host.run(tampered), "is not among the reference values");
    // The genuine configuration again, and it stays down.
    for _ in 0..2 {
        was_refused(&host.run(host.with_fault("")), "locked: tampering was found at step appraise");
    }
    let config = host.path("cryftgo-tee.toml").display().to_string();
    let state = host.path("verifier").display().to_string();
    let unlock =
        |reason: &str| cryftgo_tee(&["unlock", "--reason", reason, "--config", &config, "--state-dir", &state]);
    assert_eq!(unlock("  ").status.code(), Some(i32::from(exit::USAGE)));
    let unlocked = unlock("the pin was of the wrong release");
    assert_eq!(unlocked.status.code(), Some(0), "{unlocked:?}");
    assert_eq!(String::from_utf8_lossy(&unlock("again").stdout), "not locked: nothing to do\n");
    let running = host.start(host.with_fault(""));
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_forged_answer_and_a_changed_image_lock_and_an_operators_slip_does_not() {
    for (fault, locks) in [
        ("worker-answers", true),
        ("wrong-hash", true),
        ("exec-other", true),
        ("replay", false),
        ("exit-early", false),
        ("signer-away", false),
    ] {
        let host = Host::new();
        let ended = host.run(host.with_fault(fault));
        assert_ne!(ended.code, Some(0), "{fault}: {ended:?}");
        assert_eq!(host.path("verifier/tampered").exists(), locks, "{fault}: {ended:?}");
    }
}
