//! The signer after a boot and while it runs, as a stock Web3Signer may be: away, loading, empty, with key files that failed,
//! at the wrong URL. The verifier waits, says what for, makes and adopts no key by mistake, and names the setting that is wrong.

#[path = "support/signer.rs"]
mod signer;
mod support;

use std::fs;
use std::time::{Duration, Instant};

use contract::exit;
use contract::wire::{SignerRole, SignerState, StakingStatus};
use signer::{OTHER_BLS, OTHER_TLS, Signer, failed, lists, process, with};
use support::{BLS, NODE, TLS};

const OFTEN: [&str; 4] = ["--watch-health-interval", "100ms", "--watch-health-failures", "2"];

#[test]
fn a_signer_that_is_up_and_empty_is_waited_for_and_asked_to_reload_and_no_key_is_made() {
    let signer = Signer::new(&lists(&[BLS], &[TLS]));
    assert_eq!(signer.host.start(signer.command(&[])).stop().code, Some(0));
    // After a power cut: its Vault is sealed; the reload comes after an unsealing.
    signer.becomes(&failed(lists(&[], &[])));
    signer.lists_after_a_reload(&lists(&[OTHER_BLS, BLS], &[TLS, OTHER_TLS]));
    let flags = ["--web3signer-startup-timeout", "8s", "--web3signer-key-generation", "import"];
    let ended = signer.host.start(signer.command(&flags)).stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said =
        "eth2 at http://localhost:9000 answers but lists no BLS key; 3 key files failed to load; is Vault sealed?";
    assert!(ended.stderr.contains(&format!("[7/9] Waiting for Web3Signer: {said}")), "{ended:?}");
    assert!(ended.stderr.contains("eth1 at http://localhost:9001 answers but lists no TLS key"), "{ended:?}");
    assert_eq!(ended.stderr.matches("Waiting for Web3Signer").count(), 1, "said once: {ended:?}");
    let extensions = ended.notified.iter().filter(|message| message.starts_with("EXTEND_TIMEOUT_USEC=150000000"));
    assert_eq!(extensions.count(), 1, "{ended:?}");
    assert_eq!((signer.asked("POST /v1/runtime/signer/reload"), signer.asked("generate")), (1, 0));
    assert_eq!(signer.saved("node_id").as_deref(), Some(NODE), "the same identity");
    assert_eq!(signer.saved("bls_pubkey").as_deref(), Some(BLS));
}

#[test]
fn a_reload_is_never_asked_for_where_others_are_listed_or_the_setting_says_never() {
    let empty = failed(lists(&[], &[TLS]));
    for (status, policy) in [(&failed(lists(&[OTHER_BLS], &[TLS])), "when-empty"), (&empty, "never")] {
        let signer = Signer::new(status);
        let ended = signer.host.run(signer.command(&["--web3signer-reload", policy]));
        ended.assert_refused(exit::UNAVAILABLE, &["waited 2s for the signer", "3 key files failed to load"]);
        assert_eq!(signer.asked("/reload"), 0, "{policy}");
        signer.assert_nothing_was_made_or_saved();
    }
}

#[test]
fn no_key_is_made_or_adopted_while_a_key_file_failed_whatever_key_generation_says() {
    for generation in ["signer", "import", "off"] {
        for status in [lists(&[], &[TLS]), lists(&[BLS], &[TLS]), lists(&[], &[])] {
            let status = with(failed(status), |status| {
                status.capabilities.push("key_generation".to_owned());
                status.signers[0].key_manager = Some(true);
            });
            let signer = Signer::new(&status);
            let flags = ["--web3signer-key-generation", generation, "--web3signer-startup-timeout", "500ms"];
            let ended = signer.host.run(signer.command(&flags));
            ended.assert_refused(exit::UNAVAILABLE, &["3 key files failed to load", "no key is made or adopted"]);
            signer.assert_nothing_was_made_or_saved();
        }
    }
}

#[test]
fn each_reason_to_wait_is_named_by_process_and_url_and_ends_with_69() {
    let away = |at: usize, state, why: &str| {
        with(lists(&[BLS], &[TLS]), |status| {
            (status.ready, status.web3signer_connected) = (false, false);
            (status.signers[at].state, status.signers[at].why) = (state, why.to_owned());
        })
    };
    for (status, said) in [
        (
            away(0, SignerState::Refused, "connection refused"),
            "eth2 at http://localhost:9000 does not answer: connection refused",
        ),
        (
            away(1, SignerState::Refused, "connection refused"),
            "eth1 at http://localhost:9001 does not answer: connection refused",
        ),
        (
            away(1, SignerState::Unresolved, "no address for the name x"),
            "eth1 at http://localhost:9001 does not answer: no address for the name x",
        ),
        (away(0, SignerState::TimedOut, ""), "eth2 at http://localhost:9000 does not answer: timed out"),
        (
            away(0, SignerState::Rejects, "406 Not Acceptable to GET /upcheck"),
            "eth2 at http://localhost:9000 rejects requests: 406 Not Acceptable",
        ),
        (lists(&[], &[TLS]), "eth2 at http://localhost:9000 answers but lists no BLS key"),
        (
            lists(&[BLS], &[]),
            "eth1 at http://localhost:9001 answers but lists no TLS key; put a secp256k1 key file into its key directory",
        ),
    ] {
        let signer = Signer::new(&status);
        let ended = signer.host.run(signer.command(&["--web3signer-startup-timeout", "500ms"]));
        ended.assert_refused(exit::UNAVAILABLE, &["waited 500ms for the signer", said]);
        let line = format!("STATUS=[7/9] Waiting for Web3Signer: {said}");
        assert!(ended.notified.iter().any(|message| message.starts_with(&line)), "{line}: {ended:?}");
        signer.assert_nothing_was_made_or_saved();
    }
}

#[test]
fn what_waiting_cannot_mend_is_78_within_five_seconds_and_names_the_setting() {
    let serve = |at: usize, bls: bool, tls: bool| {
        move |status: &mut StakingStatus| {
            (status.signers[at].serves_bls, status.signers[at].serves_tls) = (Some(bls), Some(tls));
        }
    };
    let one = |bls, tls| {
        let mut status = lists(&[BLS], &[TLS]);
        status.signers = vec![process(SignerRole::Both, 1)];
        with(status, serve(0, bls, tls))
    };
    for (status, setting) in [
        (
            with(with(lists(&[], &[]), serve(0, false, true)), serve(1, true, false)),
            "swap web3signer.url and web3signer.eth1_url",
        ),
        (one(true, false), "set web3signer.eth1_url"),
        (one(false, true), "set web3signer.url to the eth2 process"),
        (
            with(lists(&[], &[TLS]), |status| status.signers[0].key_manager = Some(false)),
            "--key-manager-api-enabled=true",
        ),
    ] {
        let signer = Signer::new(&status);
        let began = Instant::now();
        let flags = ["--web3signer-startup-timeout", "60s", "--web3signer-key-generation", "import"];
        let ended = signer.host.run(signer.command(&flags));
        ended.assert_refused(exit::CONFIG, &[setting]);
        assert!(began.elapsed() < Duration::from_secs(5), "{setting}: {:?}", began.elapsed());
        signer.assert_nothing_was_made_or_saved();
    }
}

#[test]
fn the_first_key_in_ascending_order_is_adopted_whatever_the_order_of_the_list_with_a_warning_that_names_the_settings() {
    for round in 0..4 {
        let (mut bls, mut tls) = ([BLS, OTHER_BLS], [TLS, OTHER_TLS]);
        bls.rotate_left(round % 2);
        tls.rotate_left(round / 2);
        let signer = Signer::new(&lists(&bls, &tls));
        let ended = signer.host.start(signer.command(&[])).stop();
        assert_eq!(signer.saved("bls_pubkey").as_deref(), Some(BLS), "{ended:?}");
        assert_eq!(signer.saved("tls_pubkey").as_deref(), Some(TLS), "{ended:?}");
        for part in [
            &format!(
                "BLS key adopted from the signer: {BLS}, the first in ascending order; it also lists 1 more: {OTHER_BLS}"
            ),
            &format!(
                "TLS key adopted from the signer: {TLS}, the first in ascending order; it also lists 1 more: {OTHER_TLS}"
            ),
            "identity.bls_pubkey and identity.tls_pubkey decide which",
        ] {
            assert!(ended.stderr.contains(part), "{part}: {ended:?}");
        }
    }
}

#[test]
fn the_configured_keys_are_the_nodes_and_must_be_the_saved_ones_later() {
    let signer = Signer::new(&lists(&[BLS, OTHER_BLS], &[TLS, OTHER_TLS]));
    let chosen = ["--identity-bls-pubkey", OTHER_BLS, "--identity-tls-pubkey", OTHER_TLS];
    for _ in 0..2 {
        let ended = signer.host.start(signer.command(&chosen)).stop();
        assert!(!ended.stderr.contains("identity.bls_pubkey"), "decided, so no warning: {ended:?}");
        assert_eq!(signer.saved("bls_pubkey").as_deref(), Some(OTHER_BLS));
        assert_eq!(signer.saved("tls_pubkey").as_deref(), Some(OTHER_TLS));
    }
    for (flag, key, saved) in [("--identity-bls-pubkey", BLS, OTHER_BLS), ("--identity-tls-pubkey", TLS, OTHER_TLS)] {
        let ended = signer.host.run(signer.command(&[flag, key]));
        ended.assert_refused(exit::CONFIG, &[&flag[2..].replacen('-', ".", 1).replace('-', "_"), key, saved]);
    }
    assert_eq!(signer.saved("tls_pubkey").as_deref(), Some(OTHER_TLS), "nothing was changed");
    // Configured and not listed: never another one in its place.
    let signer = Signer::new(&lists(&[BLS], &[TLS]));
    signer
        .host
        .run(signer.command(&["--identity-bls-pubkey", OTHER_BLS]))
        .assert_refused(exit::INTEGRITY, &[OTHER_BLS]);
    let ended = signer.host.run(signer.command(&["--identity-tls-pubkey", OTHER_TLS]));
    ended.assert_refused(exit::INTEGRITY, &["waited 2s for the signer", OTHER_TLS]);
    signer.assert_nothing_was_made_or_saved();
}

#[test]
fn rubbish_for_a_key_is_78_and_names_the_setting() {
    let signer = Signer::new(&lists(&[BLS], &[TLS]));
    for (flag, key) in
        [("--identity-bls-pubkey", "identity.bls_pubkey"), ("--identity-tls-pubkey", "identity.tls_pubkey")]
    {
        for text in ["0x12", "rubbish", &format!("0x{}", "ff".repeat(48))] {
            let ended = signer.host.run(signer.command(&[flag, text]));
            ended.assert_refused(exit::CONFIG, &[key]);
        }
    }
}

#[test]
fn a_saved_key_that_is_one_of_those_that_failed_to_load_is_waited_for_and_a_tls_key_always() {
    let signer = Signer::new(&lists(&[BLS], &[TLS]));
    assert_eq!(signer.host.start(signer.command(&[])).stop().code, Some(0));
    for (status, waited, code) in [
        (lists(&[OTHER_BLS], &[TLS]), false, exit::INTEGRITY),
        (failed(lists(&[OTHER_BLS], &[TLS])), true, exit::INTEGRITY),
        (lists(&[BLS], &[OTHER_TLS]), true, exit::INTEGRITY),
        (lists(&[BLS], &[]), true, exit::UNAVAILABLE),
        (lists(&[], &[OTHER_TLS]), true, exit::UNAVAILABLE),
    ] {
        signer.becomes(&status);
        let ended = signer.host.run(signer.command(&[]));
        ended.assert_refused(code, &["key loss or tampering"]);
        assert_eq!(ended.refusal().contains("waited 2s for the signer"), waited, "{ended:?}");
        assert!(!signer.host.path("verifier/tampered").exists());
    }
    // What failed to load and is not ours is nobody's concern.
    signer.becomes(&failed(lists(&[OTHER_BLS, BLS], &[TLS])));
    assert_eq!(signer.host.start(signer.command(&[])).stop().code, Some(0));
    assert_eq!(signer.asked("generate"), 0);
}

#[test]
fn the_admission_names_the_nodes_keys() {
    let signer = Signer::new(&lists(&[BLS], &[TLS]));
    assert_eq!(signer.host.start(signer.command(&[])).stop().code, Some(0));
    let admitted = format!("POST /v1/runtime/admit {{\"bls_pubkey\":\"{BLS}\",\"tls_pubkey\":\"{TLS}\"}}");
    assert_eq!(signer.asked(&admitted), 1, "{:?}", fs::read_to_string(signer.host.path("asked")));
}

#[test]
fn a_key_that_a_reload_of_the_signer_drops_degrades_with_the_cause_and_its_return_recovers_without_a_restart() {
    let signer = Signer::new(&lists(&[OTHER_BLS, BLS], &[TLS]));
    let mut running = signer.host.start(signer.command(&OFTEN));
    let sidecar = running.sidecar();
    signer.becomes(&failed(lists(&[OTHER_BLS], &[TLS])));
    let said = format!(
        "eth2 at http://localhost:9000 answers but does not list the BLS key {BLS}; 3 key files failed to load; is Vault sealed?"
    );
    running.wait_for(&format!("STATUS=degraded: {said}"));
    running.wait_for_line(&format!("Degraded: not everything can be signed: {said}"));
    let state = fs::read_to_string(signer.host.path("state.json")).expect("there");
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert!(state["signer"]["trouble"].as_str().is_some_and(|trouble| trouble.starts_with(&said)), "{state}");
    assert_eq!(signer.asked("signer/reload"), 0, "others are listed, and a reload could drop them");
    // The cause changes: it is told too. Now nothing is listed, so a reload can do no harm, and it brings the keys back.
    signer.becomes(&lists(&[], &[TLS]));
    running.wait_for("STATUS=degraded: eth2 at http://localhost:9000 answers but lists no BLS key");
    signer.lists_after_a_reload(&lists(&[BLS, OTHER_BLS], &[TLS]));
    let deadline = Instant::now() + Duration::from_secs(5);
    while signer.asked("signer/reload") == 0 {
        assert!(Instant::now() < deadline, "no reload was asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
    // It was renamed by the one reload that is due in this minute, or came after it.
    signer.becomes(&lists(&[BLS, OTHER_BLS], &[TLS]));
    running.wait_for_line("Recovered: ");
    assert_eq!(running.sidecar(), sidecar, "never restarted");
    assert_eq!(running.stop().code, Some(0));
    assert_eq!((signer.asked("signer/reload"), signer.asked("generate")), (1, 0));
}

#[test]
fn a_crashed_sidecar_waits_for_an_empty_signer_and_the_wait_uses_up_no_restarts() {
    let signer = Signer::new(&lists(&[BLS], &[TLS]));
    let mut command = signer.command(&["--web3signer-startup-timeout", "300ms", "--watch-restart-max", "1"]);
    command.env("WATCHDOG_USEC", "60000000");
    let mut running = signer.host.start(command);
    signer.becomes(&failed(lists(&[], &[TLS])));
    running.notified.clear();
    nix::sys::signal::kill(running.sidecar(), nix::sys::signal::Signal::SIGKILL).expect("kill");
    running.wait_for("STATUS=[7/9] Waiting for Web3Signer: eth2 at http://localhost:9000 answers but lists no BLS key");
    let deadline = Instant::now() + Duration::from_secs(8);
    while running.stderr().matches("Waiting for Web3Signer").count() < 4 {
        assert!(Instant::now() < deadline, "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(running.notified.iter().any(|message| message.contains("WATCHDOG=1")), "{:?}", running.notified);
    signer.becomes(&lists(&[BLS], &[TLS]));
    running.wait_for("READY=1");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_start_that_waited_in_vain_leaves_a_mark_and_one_that_failed_at_once_leaves_none() {
    let mark = |status: &StakingStatus, flags: &[&str]| {
        let signer = Signer::new(status);
        fs::create_dir(signer.host.path("runtime")).expect("directory");
        let mut command = signer.command(&["--web3signer-startup-timeout", "300ms"]);
        command.args(flags).env("RUNTIME_DIRECTORY", signer.host.path("runtime"));
        let ended = signer.host.run(command);
        (ended.code, signer.host.path("runtime/waited-for-signer").exists())
    };
    let code = |code: u8| Some(i32::from(code));
    assert_eq!(mark(&lists(&[], &[TLS]), &[]), (code(exit::UNAVAILABLE), true));
    let incapable = with(lists(&[BLS], &[TLS]), |status| status.capabilities.clear());
    assert_eq!(mark(&incapable, &[]), (code(exit::UNAVAILABLE), false), "it did not wait");
    let other = ["--identity-tls-pubkey", OTHER_TLS];
    assert_eq!(mark(&lists(&[BLS], &[TLS]), &other), (code(exit::INTEGRITY), false), "77 stays down");
}

#[test]
fn a_sidecar_is_checked_while_it_waits_and_tampering_is_found() {
    let signer = Signer::new(&lists(&[], &[TLS]));
    let mut command = signer.command(&["--web3signer-startup-timeout", "7s"]);
    // It changes its program text when it is told to have the signer reload.
    command.env("CRYFTTEE_FAULT", "patch-text");
    let ended = signer.host.run(command);
    ended.assert_refused(exit::INTEGRITY, &["were changed in memory"]);
    assert!(signer.host.path("verifier/tampered").exists());
}
