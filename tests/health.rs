//! After READY: a sidecar that hangs, a signer that goes and comes back.

mod support;

use std::fs;

use contract::exit;
use support::Host;

/// For a sidecar that is found to hang.
const SOON: [&str; 6] =
    ["--watch-health-interval", "100ms", "--watch-health-timeout", "300ms", "--watch-health-failures", "2"];
/// For one that must not be taken for one that hangs, however busy this machine is.
const OFTEN: [&str; 4] = ["--watch-health-interval", "100ms", "--watch-health-failures", "2"];

#[test]
fn a_hung_sidecar_is_killed_and_replaced_within_its_budget() {
    let host = Host::new();
    let mut command = host.with_fault("hang-after-ready");
    command.args(SOON).args(["--watch-restart-max", "1"]);
    let running = host.start(command);
    let first = running.sidecar();
    running.wait_for_line("hangs and is started again");
    let ended = running.end();
    // The next one hangs too.
    assert_eq!(ended.code, Some(i32::from(exit::CRASH_BUDGET)), "{ended:?}");
    assert!(ended.refusal().contains("it hung: GET /v1/staking/status: no answer within 300ms"), "{ended:?}");
    assert!(nix::sys::signal::kill(first, None).is_err());
    assert!(!host.path("verifier/tampered").exists(), "hanging is no tampering");
}

#[test]
fn a_signer_that_goes_away_degrades_and_its_return_recovers_without_a_restart() {
    let host = Host::new();
    let gone = host.path("gone");
    let mut command = host.with_fault("");
    command.args(OFTEN).env("CRYFTTEE_SIGNER_GONE", &gone).env("WATCHDOG_USEC", "60000000");
    let mut running = host.start(command);
    let sidecar = running.sidecar();
    for round in 1..=2 {
        fs::write(&gone, "").expect("write");
        running.wait_for("STATUS=degraded: Web3Signer does not answer at http://signer · ");
        // Degraded is no reason to miss a ping: the check of the sidecar passed.
        running.wait_for("WATCHDOG=1");
        fs::remove_file(&gone).expect("remove");
        running.wait_for("STATUS=NodeID-");
        assert_eq!(running.stderr().matches("Degraded: ").count(), round);
        running.wait_for_line("Recovered: ");
    }
    assert_eq!(running.sidecar(), sidecar, "never restarted");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("Recovered: ").count(), 2, "{ended:?}");
}

#[test]
fn a_signer_with_ten_thousand_keys_of_each_kind_is_read_in_time_again_and_again() {
    let host = Host::new();
    let mut command = host.with_fault("ten-thousand-keys");
    command.args(OFTEN).env("WATCHDOG_USEC", "60000000");
    let mut running = host.start(command);
    let sidecar = running.sidecar();
    std::thread::sleep(std::time::Duration::from_secs(2));
    running.wait_for("WATCHDOG=1");
    assert_eq!(running.sidecar(), sidecar, "never restarted");
    let said = running.stderr();
    assert!(said.contains("BLS keys: 10000, TLS keys: 10000") && !said.contains("Degraded"), "{said}");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_signer_that_makes_no_keys_is_good_enough_for_a_node_that_has_its_keys() {
    let host = Host::new();
    let ended = host.start(host.with_fault("has-keys-and-no-key-generation")).stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_status_that_fails_because_of_the_signer_is_no_hung_sidecar() {
    let host = Host::new();
    let mut command = host.with_fault("status-fails-later");
    command.args(OFTEN);
    let mut running = host.start(command);
    let sidecar = running.sidecar();
    running.wait_for("STATUS=degraded: GET /v1/staking/status: answered 504");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(running.sidecar(), sidecar, "never restarted");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn answers_that_are_none_count_as_silence_also_after_ready_and_are_read_within_bounds() {
    for fault in ["drip", "endless-headers", "endless-body", "not-http"] {
        let host = Host::new();
        let mut command = host.with_fault(&format!("{fault}-after-ready"));
        command.args(SOON).args(["--watch-restart-max", "0"]);
        let ended = host.start(command).end();
        assert_eq!(ended.code, Some(i32::from(exit::CRASH_BUDGET)), "{fault}: {ended:?}");
        assert!(ended.stderr.contains("hangs and is started again"), "{fault}: {ended:?}");
    }
}
