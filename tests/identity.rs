//! Who the node is: told to every service on the host, proved by the signer, and never made twice.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;

use blst::min_pk::SecretKey;
use contract::exit;
use cryftgo_tee::identity::PublicIdentity;
use support::{BLS, Host, NODE, TLS};

fn public(host: &Host) -> PublicIdentity {
    serde_json::from_slice(&fs::read(host.path("identity.json")).expect("there")).expect("its shape")
}

#[test]
fn the_identity_is_there_for_everybody_from_ready_until_the_stop() {
    let host = Host::new();
    // What a killed verifier left behind is not this node's word.
    fs::write(host.path("identity.json"), "stale").expect("write");
    let mut command = host.with_fault("");
    let keys = host.path("keys");
    fs::create_dir(&keys).expect("folder");
    command.env("CRYFTTEE_KEYS", &keys);
    let running = host.start(command);
    let found = public(&host);
    assert_eq!(found.node_id.to_string(), NODE);
    assert_eq!((found.bls_pubkey.to_string().as_str(), found.tls_pubkey.to_string().as_str()), (BLS, TLS));
    assert_eq!((found.certificate.as_str(), found.cryfttee_version.as_str()), ("a certificate", "0.0.0"));
    assert_eq!(found.proof_of_possession, None);
    assert!(running.stderr().contains(&found.digest.to_string()), "it names the digest that runs");
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("read");
    assert_eq!(found.boot_id, boot_id.trim());
    assert!(cryftgo_tee::clock::parse_utc(&found.written_at).is_some(), "{}", found.written_at);
    let mode = fs::metadata(host.path("identity.json")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    assert_eq!(running.stop().code, Some(0));
    assert!(!host.path("identity.json").exists());
}

#[test]
fn a_refused_start_leaves_no_identity_behind_not_even_an_old_one() {
    let host = Host::new();
    fs::write(host.path("identity.json"), "stale").expect("write");
    host.run(host.with_fault("signer-away")).assert_refused(exit::UNAVAILABLE, &[]);
    assert!(!host.path("identity.json").exists());
}

#[test]
fn an_identity_that_cannot_be_published_is_refused_and_an_empty_path_publishes_none() {
    let host = Host::new();
    fs::create_dir(host.path("taken")).expect("folder");
    fs::create_dir(host.path("taken/identity.json.new")).expect("a folder in the place of the temporary file");
    let mut command = host.with_fault("");
    command.arg("--identity-file").arg(host.path("taken/identity.json"));
    host.run(command).assert_refused(exit::IO, &["identity.json", "identity.file"]);
    let mut command = host.with_fault("");
    command.args(["--identity-file", ""]);
    assert_eq!(host.start(command).stop().code, Some(0));
}

/// Runs `body` in a thread that is another user; the process is not.
#[allow(unsafe_code, reason = "of one thread; the C library changes them all")]
fn as_nobody(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let outcome = scope.spawn(|| {
            let unchanged: libc::uid_t = libc::uid_t::MAX;
            // SAFETY: the bare system call takes three numbers and changes this thread alone, which ends after the body.
            let groups = unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) };
            // SAFETY: as above.
            let group = unsafe { libc::syscall(libc::SYS_setresgid, unchanged, 65534, unchanged) };
            // SAFETY: as above.
            let user = unsafe { libc::syscall(libc::SYS_setresuid, unchanged, 65534, unchanged) };
            assert_eq!((groups, group, user), (0, 0, 0));
            body();
        });
        outcome.join().expect("the body");
    });
}

#[test]
fn another_user_reads_the_identity_and_cannot_connect_to_the_private_socket_beside_it() {
    const NAME: &str = "another_user_reads_the_identity_and_cannot_connect_to_the_private_socket_beside_it";
    if !nix::unistd::geteuid().is_root() {
        return support::skip(NAME, "needs root, to become another user");
    }
    let host = Host::new();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).expect("mode");
    let mut command = host.with_fault("");
    command.arg("--identity-file").arg(host.path("private/identity.json"));
    let running = host.start(command);
    let [identity, control] = ["identity.json", "control.sock"].map(|name| host.path("private").join(name));
    UnixStream::connect(&control).expect("the owner connects");
    as_nobody(|| {
        let text = fs::read_to_string(&identity).expect("everybody may read it");
        assert!(text.contains(NODE), "{text}");
        let error = UnixStream::connect(&control).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
        let error = fs::write(identity.with_file_name("new"), "").expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
    });
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_reload_with_another_setting_of_the_sidecar_starts_a_new_one_and_writes_the_identity_anew() {
    let host = Host::new();
    let mut command = host.with_fault("");
    command.env("CRYFTTEE_DUMP", host.path("dump"));
    let mut running = host.start(command);
    let (first, inode) = (running.sidecar(), fs::metadata(host.path("identity.json")).expect("there").ino());
    fs::write(host.path("cryftgo-tee.toml"), "[cryfttee]\nallow_users = [\"root\", \"1001\"]\n").expect("write");
    running.notified.clear();
    running.signal(nix::sys::signal::Signal::SIGHUP);
    running.wait_for_line("Reloaded: the settings of the sidecar; pid ");
    running.wait_for_line(&format!("The replaced sidecar, pid {first}, has answered its last"));
    let dump = fs::read_to_string(host.path("dump")).expect("the second ran");
    assert!(dump.contains("env CRYFTTEE_ALLOW_USERS=root,1001\n"), "{dump}");
    assert_ne!(fs::metadata(host.path("identity.json")).expect("there").ino(), inode);
    assert_eq!(public(&host).node_id.to_string(), NODE);
    assert_eq!(running.stop().code, Some(0));
    assert!(!host.path("identity.json").exists());
}

/// A real proof of the bad sidecar's BLS key, whose secret half is the number one.
fn proof(tag: &[u8]) -> String {
    let mut one = [0; 32];
    one[31] = 1;
    let secret = SecretKey::from_bytes(&one).expect("a key");
    let public = secret.sk_to_pk().compress();
    assert_eq!(contract::Bytes(public.to_vec()).to_string(), BLS);
    contract::Bytes(secret.sign(&public, tag, &[]).compress().to_vec()).to_string()
}

#[test]
fn a_proof_of_possession_is_verified_and_published() {
    let good = proof(b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_");
    let host = Host::new();
    // Once for a key that is made, once for one that is known.
    fs::create_dir(host.path("keys")).expect("folder");
    for _ in 0..2 {
        let mut command = host.with_fault("");
        command.env("CRYFTTEE_PROOF", &good).env("CRYFTTEE_KEYS", host.path("keys"));
        let running = host.start(command);
        assert_eq!(public(&host).proof_of_possession.expect("published").to_string(), good);
        let ended = running.stop();
        assert!(ended.stderr.contains(&format!("[8/9] The signer proved that it possesses {BLS}")), "{ended:?}");
    }
}

#[test]
fn a_signer_without_proofs_is_taken_at_its_word_and_the_trail_says_so_once() {
    let host = Host::new();
    let ended = host.start(host.with_fault("")).stop();
    assert_eq!(ended.stderr.matches("offers no proof that it possesses 0x97").count(), 1, "{ended:?}");
}

#[test]
fn a_sidecar_without_the_question_offers_no_proof_and_one_that_cannot_answer_it_is_refused() {
    for (said, unavailable) in [
        ("404 not_found", false),
        ("405 method_not_allowed", false),
        ("404 key_not_found", true),
        ("400 signer_refused", true),
        ("403 forbidden", true),
        ("412 slashing_protection", true),
        ("502 signer_error", true),
        ("503 signer_unavailable", true),
        ("504 signer_timeout", true),
    ] {
        let host = Host::new();
        let mut command = host.with_fault("");
        command.env("CRYFTTEE_VERIFY", said);
        if unavailable {
            let ended = host.run(command);
            ended.assert_refused(exit::UNAVAILABLE, &["ask for the proof that the signer possesses the BLS key"]);
            assert!(!host.path("identity.json").exists(), "{said}");
        } else {
            assert_eq!(host.start(command).stop().code, Some(0), "{said}");
        }
    }
}

#[test]
fn a_proof_that_does_not_verify_is_refused() {
    let ordinary_signature = proof(b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_");
    for wrong in [ordinary_signature.as_str(), "0x00", "0x"] {
        let host = Host::new();
        let mut command = host.with_fault("");
        command.env("CRYFTTEE_PROOF", wrong);
        let ended = host.run(command);
        ended.assert_refused(exit::INTEGRITY, &["does not prove that it possesses the BLS key", BLS, "the proof "]);
        assert!(!host.path("identity.json").exists());
    }
}

#[test]
fn every_step_of_a_start_carries_its_number() {
    let host = Host::new();
    let ended = host.start(host.with_fault("")).stop();
    for step in [
        "[2/9] Measured ",
        "[3/9] Accepted ",
        "[4/9] Launched ",
        "[5/9] The image that pid ",
        "[6/9] Attested: ",
        "[7/9] The signer is ready: ",
        "[8/9] BLS key ",
        "[8/9] TLS key ",
        "[9/9] Ready: ",
    ] {
        assert_eq!(ended.stderr.matches(step).count(), 1, "{step:?} in {}", ended.stderr);
    }
}

#[test]
fn a_saved_key_that_the_signer_lacks_names_both_sides_and_key_loss() {
    let host = Host::new();
    fs::create_dir(host.path("keys")).expect("folder");
    assert_eq!(host.start(host.with_fault("")).stop().code, Some(0));
    let ended = host.run(host.with_fault("no-keys"));
    ended.assert_refused(exit::UNAVAILABLE, &["BLS key", BLS, "available: none", "key loss or tampering"]);
    let ended = host.run(host.with_fault("other-keys"));
    ended.assert_refused(exit::INTEGRITY, &["BLS key", BLS, "available: 0xa572cbea", "key loss or tampering"]);
    // Neither led to another key, and what was saved is still what it was.
    assert_eq!(fs::read_to_string(host.path("state/staking/bls_pubkey")).expect("whole"), format!("{BLS}\n"));
    assert_eq!(host.start(host.with_fault("")).stop().code, Some(0));
}

#[test]
fn a_second_verifier_is_refused_and_takes_nothing_from_the_first() {
    let host = Host::new();
    let mut running = host.start(host.with_fault(""));
    // Everything but the state folder and the identity would be its own.
    let second = Host::new();
    let mut command = second.with_fault("");
    command.arg("--identity-state-dir").arg(host.path("state"));
    command.arg("--identity-file").arg(host.path("identity.json"));
    second.run(command).assert_refused(exit::CONFIG, &["another verifier is using"]);
    assert_eq!(public(&host).node_id.to_string(), NODE);
    running.notified.clear();
    assert!(host.path("private/control.sock").exists());
    assert_eq!(running.stop().code, Some(0));
}
