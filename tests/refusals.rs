//! Every fault before READY: no READY, no key on disk, no process left, one line, the contract's exit code.

mod support;

use contract::exit;
use support::{Ended, Host, IDENTITY_FILES, bad_sidecar};

fn refused(host: &Host, ended: &Ended, code: u8, parts: &[&str]) {
    ended.assert_refused(code, parts);
    assert!(ended.refusal().starts_with("cryftgo-tee: "), "{ended:?}");
    for name in IDENTITY_FILES {
        assert!(!host.path("state").join(name).exists(), "{name} was saved");
    }
    assert!(!host.path("private/control.sock").exists(), "the private socket was left behind");
    assert_eq!(processes_of(host), Vec::<String>::new());
}

/// Processes that were told this host's socket path: a sidecar left behind.
fn processes_of(host: &Host) -> Vec<String> {
    let marker = format!("CRYFTTEE_UDS_PATH={}", host.path("api.sock").display());
    let processes = std::fs::read_dir("/proc").expect("proc").flatten();
    let has_marker = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
    };
    processes.filter(has_marker).map(|entry| entry.path().display().to_string()).collect()
}

fn fault_is_refused(fault: &str, code: u8, parts: &[&str]) {
    let host = Host::new();
    let ended = host.run(host.with_fault(fault));
    refused(&host, &ended, code, parts);
}

#[test]
fn a_sidecar_that_reports_another_digest_is_refused() {
    fault_is_refused("wrong-hash", exit::INTEGRITY, &["attest the sidecar", "sha256:0000", "was measured"]);
}

#[test]
fn a_sidecar_that_reports_no_digest_is_refused() {
    fault_is_refused("no-hash", exit::INTEGRITY, &["attest the sidecar", "not of the contract's shape"]);
}

#[test]
fn a_sidecar_that_hashed_itself_is_refused() {
    fault_is_refused("self-reported", exit::INTEGRITY, &["a digest of its own making"]);
}

#[test]
fn a_replayed_attestation_is_refused_on_the_nonce() {
    fault_is_refused("replay", exit::INTEGRITY, &["it answers another nonce"]);
}

#[test]
fn an_attestation_that_names_another_process_is_refused() {
    fault_is_refused("wrong-pid", exit::INTEGRITY, &["it is of pid 1"]);
}

#[test]
fn an_answer_from_a_forked_worker_of_the_sidecar_is_a_forgery() {
    let host = Host::new();
    let mut command = host.with_fault("worker-answers");
    // Which would find the worker itself first.
    command.args(["--watch-mappings", "off"]);
    let ended = host.run(command);
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    for part in ["the answer was forged", "answered in place of the sidecar"] {
        assert!(ended.refusal().contains(part), "{ended:?}");
    }
    assert!(host.path("verifier/tampered").exists());
}

#[test]
fn a_sidecar_that_forks_before_its_attestation_is_tampering() {
    // A worker that answers nothing: one that does may be found out by its answer first.
    fault_is_refused("escaping-worker", exit::INTEGRITY, &["the sidecar forked pid "]);
}

#[test]
fn a_sidecar_that_exits_before_its_attestation_is_unavailable() {
    fault_is_refused("exit-early", exit::UNAVAILABLE, &["ended before it was ready", "exit code 3"]);
}

#[test]
fn a_sidecar_that_never_answers_meets_the_deadline() {
    fault_is_refused("hang", exit::UNAVAILABLE, &["no answer within 2s"]);
    fault_is_refused("drip", exit::UNAVAILABLE, &["no answer within 2s"]);
}

#[test]
fn an_endless_head_and_an_endless_body_end_at_their_bounds() {
    fault_is_refused("endless-headers", exit::UNAVAILABLE, &["GET /v1/runtime/attestation"]);
    fault_is_refused("endless-body", exit::UNAVAILABLE, &["larger than"]);
}

#[test]
fn an_answer_that_is_not_http_or_not_json_is_refused() {
    fault_is_refused("not-http", exit::UNAVAILABLE, &["GET /v1/runtime/attestation"]);
    fault_is_refused("nested", exit::INTEGRITY, &["not of the contract's shape"]);
}

#[test]
fn two_answers_to_one_question_are_none() {
    fault_is_refused("two-answers", exit::UNAVAILABLE, &["GET /v1/runtime/attestation: something stands behind"]);
}

#[test]
fn text_of_the_sidecar_cannot_forge_a_line_of_the_log_or_of_the_status() {
    let host = Host::new();
    let running = host.start(host.with_fault("hostile-text"));
    let ended = running.stop();
    for line in ended.notified.iter().flat_map(|message| message.lines()).chain(ended.stderr.lines()) {
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    let readies = ended.notified.iter().flat_map(|message| message.lines()).filter(|line| *line == "READY=1").count();
    assert_eq!(readies, 1, "{:?}", ended.notified);
}

#[test]
fn a_signer_that_is_away_or_lacks_a_capability_is_named() {
    fault_is_refused("signer-away", exit::UNAVAILABLE, &["Web3Signer does not answer at http://signer"]);
    fault_is_refused("not-ready", exit::UNAVAILABLE, &["not ready to sign"]);
    fault_is_refused("no-bls-signing", exit::UNAVAILABLE, &["missing capability bls_signing"]);
    // Nobody has a key, and nobody can make one.
    fault_is_refused("no-keys-and-no-key-generation", exit::UNAVAILABLE, &["missing capability key_generation"]);
}

#[test]
fn a_key_that_cannot_be_made_is_refused_and_nothing_is_saved() {
    fault_is_refused("register-fails", exit::UNAVAILABLE, &["have the signer make a BLS key", "502"]);
}

#[test]
fn a_saved_key_that_the_signer_lacks_is_never_replaced() {
    let host = Host::new();
    let first = host.start(host.with_fault(""));
    assert_eq!(first.stop().code, Some(0));
    let before = std::fs::read(host.path("state/staking/bls_pubkey")).expect("saved");
    let lost = host.run(host.with_fault("no-keys"));
    assert_eq!(lost.code, Some(i32::from(exit::UNAVAILABLE)), "{lost:?}");
    assert!(lost.refusal().contains("the key was lost from the signer"), "{lost:?}");
    assert!(!lost.was_ready());
    assert_eq!(std::fs::read(host.path("state/staking/bls_pubkey")).expect("kept"), before);
}

#[test]
fn a_binary_that_no_pin_names_is_refused_and_never_runs() {
    let host = Host::new();
    let mut command = host.with_fault("");
    let other = format!("sha256:{}", "0".repeat(64));
    command.args(["--trust-pins", &other]).env("CRYFTTEE_DUMP", host.path("ran"));
    let ended = host.run(command);
    refused(&host, &ended, exit::INTEGRITY, &["appraise the sidecar", "is not among the reference values", &other]);
    assert!(!host.path("ran").exists(), "it ran");
}

#[test]
fn a_binary_that_was_cut_short_or_appended_to_is_refused_and_locks() {
    let good = std::fs::read(bad_sidecar()).expect("read");
    let pin = {
        let host = Host::new();
        std::fs::write(host.path("good"), &good).expect("write");
        let measured = std::process::Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"))
            .arg("measure")
            .arg(host.path("good"))
            .output();
        String::from_utf8(measured.expect("measure").stdout).expect("text").trim().to_owned()
    };
    let appended = [&good[..], b"\0"].concat();
    let cut = |length: usize| &good[..length];
    for (wrong, part) in [
        (cut(good.len() - 1), "is not among the reference values"),
        (cut(good.len() / 2), "is not among the reference values"),
        (&appended[..], "is not among the reference values"),
        (cut(40), "is not even a program"),
        (cut(0), "is not even a program"),
    ] {
        let host = Host::new();
        let binary = host.path("cryfttee");
        std::fs::write(&binary, wrong).expect("write");
        let mut command = host.command(&binary);
        command.args(["--trust-pins", &pin]);
        refused(&host, &host.run(command), exit::INTEGRITY, &[part]);
        assert!(host.path("verifier/tampered").exists());
    }
}

#[test]
fn a_demanded_reference_value_that_is_missing_is_refused() {
    let host = Host::new();
    let mut command = host.with_fault("");
    command.args(["--trust-require", "always"]);
    refused(&host, &host.run(command), exit::INTEGRITY, &["no reference value", "pins.d"]);
}

#[test]
fn a_bad_line_in_pins_d_is_named_and_nothing_runs() {
    let host = Host::new();
    std::fs::create_dir(host.path("pins.d")).expect("folder");
    std::fs::write(host.path("pins.d/cryfttee"), "not a pin\n").expect("pins");
    let mut command = host.with_fault("");
    command.arg("--trust-pins-d").arg(host.path("pins.d"));
    refused(&host, &host.run(command), exit::DATA, &["pins.d/cryfttee, line 1"]);
}

#[test]
fn a_script_in_place_of_the_sidecar_is_refused_in_words() {
    let host = Host::new();
    std::fs::write(host.path("script"), "#!/bin/sh\n").expect("script");
    let ended = host.run(host.command(&host.path("script")));
    refused(&host, &ended, exit::INTEGRITY, &["measure the sidecar", "it is a script"]);
}

#[test]
fn a_missing_sidecar_is_an_io_error_that_names_it() {
    let host = Host::new();
    let ended = host.run(host.command(&host.path("absent")));
    refused(&host, &ended, exit::IO, &["open", "absent", "No such file"]);
}

#[test]
fn without_exactly_one_listening_stream_socket_nothing_starts() {
    let host = Host::new();
    for (variable, value, part) in [
        ("LISTEN_FDS", "0", "no socket was handed over"),
        ("LISTEN_FDS", "2", "2 sockets where one is expected"),
        ("LISTEN_FDS", "x", "no socket was handed over"),
    ] {
        let mut command = host.with_fault("");
        command.env(variable, value);
        refused(&host, &host.run(command), exit::CONFIG, &[part]);
    }
    let (stream, _other) = std::os::unix::net::UnixStream::pair().expect("pair");
    let datagram = std::os::unix::net::UnixDatagram::unbound().expect("datagram");
    let file = std::fs::File::open("/proc/self/exe").expect("file");
    let wrong: [(std::os::fd::OwnedFd, &str); 3] = [
        (stream.into(), "does not listen"),
        (datagram.into(), "does not fit the transport"),
        (file.into(), "does not fit the transport"),
    ];
    for (descriptor, part) in wrong {
        let mut command = host.with_fault("");
        command.stdin(descriptor);
        refused(&host, &host.run(command), exit::CONFIG, &[part]);
    }
}

#[test]
fn a_wrong_configuration_is_one_line_that_names_the_key() {
    let host = Host::new();
    std::fs::write(host.path("cryftgo-tee.toml"), "[cryfttee]\nsockets = \"/x\"\n").expect("configuration");
    let ended = host.run(host.command(&bad_sidecar()));
    refused(&host, &ended, exit::CONFIG, &["cryfttee.sockets", "cryftgo-tee.toml"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    let host = Host::new();
    let mut command = host.with_fault("");
    command.arg("--no-such-flag");
    assert_eq!(host.run(command).code, Some(i32::from(exit::USAGE)));
}

/// A loop of checks on a host without the capability would see nothing; it must refuse instead.
#[test]
fn a_sidecar_whose_mappings_cannot_be_read_is_refused() {
    const NAME: &str = "a_sidecar_whose_mappings_cannot_be_read_is_refused";
    if !nix::unistd::geteuid().is_root() || !std::path::Path::new("/usr/bin/setpriv").exists() {
        return support::skip(NAME, "needs root and setpriv");
    }
    let host = Host::new();
    let inner = host.with_fault("");
    let script = inner.get_args().nth(1).expect("the script").to_string_lossy().into_owned();
    let rest: Vec<_> = inner.get_args().skip(2).map(std::ffi::OsStr::to_owned).collect();
    let mut command = std::process::Command::new("/usr/bin/setpriv");
    // May become another user, but not look at that user's processes.
    command.args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", "/bin/sh", "-c", &script]).args(rest);
    command.args(["--launch-user", "nobody"]).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    host.wire(&mut command);
    let ended = host.run(command);
    assert!(!ended.was_ready() && ended.code != Some(0), "{ended:?}");
    assert_eq!(ended.code, Some(i32::from(exit::CONFIG)), "{ended:?}");
    assert!(ended.refusal().contains("CAP_SYS_PTRACE"), "{ended:?}");
}
