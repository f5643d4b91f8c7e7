//! After READY: checks, crashes, stops, and a sidecar that becomes another program.

mod support;

use std::time::{Duration, Instant};

use contract::exit;
use nix::sys::signal::{Signal, kill};
use support::Host;

fn gone(pid: nix::unistd::Pid) -> bool {
    kill(pid, None).is_err()
}

#[test]
fn each_watchdog_ping_comes_with_a_check_that_passed() {
    let host = Host::new();
    let mut command = host.with_fault("");
    command.env("WATCHDOG_USEC", "60000000");
    let mut running = host.start(command);
    for _ in 0..3 {
        running.wait_for("WATCHDOG=1");
    }
    let ended = running.stop();
    let pings: Vec<&String> =
        ended.notified.iter().filter(|m| m.contains("WATCHDOG=1") && !m.contains("READY=1")).collect();
    for (count, ping) in pings.iter().enumerate() {
        assert!(ping.contains(&format!("check {} at", count + 1)), "{ping}");
    }
}

#[test]
fn before_ready_there_is_no_watchdog_ping() {
    let host = Host::new();
    let mut command = host.with_fault("hang");
    command.env("WATCHDOG_USEC", "60000000");
    let ended = host.run(command);
    assert!(!ended.notified.iter().any(|message| message.contains("WATCHDOG=1")), "{ended:?}");
}

#[test]
fn a_sidecar_that_becomes_another_program_is_killed_and_the_verifier_exits_77() {
    let host = Host::new();
    let running = host.start(host.with_fault("exec-other"));
    let sidecar = running.sidecar();
    let ended = running.end();
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    assert!(ended.refusal().contains("the running image is sha256:"), "{ended:?}");
    assert!(gone(sidecar));
}

#[test]
fn a_killed_sidecar_is_replaced_and_its_clients_wait() {
    let host = Host::new();
    let mut running = host.start(host.with_fault(""));
    let first = running.sidecar();
    kill(first, Signal::SIGKILL).expect("kill");
    // The public socket is held by the verifier, so this connection is queued and not refused.
    let _client = host.connect();
    running.wait_for("READY=1");
    assert_ne!(running.sidecar(), first);
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("ended by itself: signal SIGKILL"), "{ended:?}");
}

#[test]
fn a_sidecar_that_keeps_crashing_uses_up_its_budget_and_the_verifier_exits_75() {
    let host = Host::new();
    let mut command = host.with_fault("crash-after-ready");
    command.args(["--watch-restart-max", "2"]);
    let ended = host.start(command).end();
    assert_eq!(ended.code, Some(i32::from(exit::CRASH_BUDGET)), "{ended:?}");
    assert!(ended.refusal().contains("3 crashes within"), "{ended:?}");
}

#[test]
fn a_stop_is_told_and_leaves_nothing_running() {
    let host = Host::new();
    let running = host.start(host.with_fault(""));
    let sidecar = running.sidecar();
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.notified.iter().any(|message| message.contains("STOPPING=1")), "{ended:?}");
    assert!(gone(sidecar));
    assert!(!host.path("private/control.sock").exists());
}

#[test]
fn a_sidecar_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let host = Host::new();
    let running = host.start(host.with_fault("ignore-sigterm"));
    let sidecar = running.sidecar();
    let began = Instant::now();
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(gone(sidecar));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(3), "{took:?}");
    assert!(ended.stderr.contains("SIGKILL"), "{ended:?}");
}

#[test]
fn a_stop_during_the_start_is_obeyed_at_once_and_leaves_nothing_running() {
    let host = Host::new();
    let mut command = host.with_fault("hang");
    command.args(["--cryfttee-startup-timeout", "60s"]);
    let child = command.spawn().expect("spawn");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let children = format!("/proc/{pid}/task/{pid}/children");
    let deadline = Instant::now() + Duration::from_secs(10);
    let sidecar = loop {
        if let Ok(sidecar) = std::fs::read_to_string(&children).unwrap_or_default().trim().parse() {
            break nix::unistd::Pid::from_raw(sidecar);
        }
        assert!(Instant::now() < deadline, "no sidecar was launched");
    };
    kill(pid, Signal::SIGTERM).expect("signal");
    let output = child.wait_with_output().expect("end");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(gone(sidecar));
}

#[test]
fn the_sidecar_dies_with_a_verifier_that_is_killed() {
    let host = Host::new();
    let running = host.start(host.with_fault("ignore-sigterm"));
    let sidecar = running.sidecar();
    running.signal(Signal::SIGKILL);
    let _ended = running.end();
    let deadline = Instant::now() + Duration::from_secs(1);
    while std::fs::read_to_string(format!("/proc/{sidecar}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "the sidecar still runs after a second");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_worker_that_left_the_sidecars_session_does_not_outlive_it() {
    let host = Host::new();
    let mut command = host.with_fault("escaping-worker");
    // Which would find it first.
    command.args(["--watch-mappings", "off"]);
    let mut running = host.start(command);
    let sidecar = running.sidecar();
    let workers = std::fs::read_to_string(format!("/proc/{sidecar}/task/{sidecar}/children")).expect("children");
    let worker = nix::unistd::Pid::from_raw(workers.trim().parse().expect("one worker"));
    kill(sidecar, Signal::SIGKILL).expect("kill");
    running.wait_for("READY=1");
    assert!(gone(worker), "the worker of the first sidecar lives beside the second");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn an_ignored_sigchld_that_was_inherited_changes_nothing() {
    let host = Host::new();
    let command = host.with_fault("exec-other");
    // The shell hands an ignored signal on.
    let script = command.get_args().nth(1).expect("the script").to_string_lossy().into_owned();
    let rest: Vec<_> = command.get_args().skip(2).map(std::ffi::OsStr::to_owned).collect();
    let mut ignoring = std::process::Command::new("/bin/sh");
    ignoring.args(["-c", &format!("trap '' CHLD; {script}")]).args(rest).env_clear();
    ignoring.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    host.wire(&mut ignoring);
    let ended = host.run(ignoring);
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
}

#[test]
fn a_signer_that_comes_late_is_waited_for() {
    let host = Host::new();
    let mut command = host.with_fault("signer-comes-late");
    command.args(["--web3signer-startup-timeout", "10s"]);
    let ended = host.start(command).stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("Waiting for Web3Signer: Web3Signer does not answer at http://signer"), "{ended:?}");
}

#[test]
fn a_disabled_signer_is_ready_at_once_and_starts_nothing() {
    let host = Host::new();
    let mut command = host.with_fault("exit-early");
    command.arg("--cryfttee-signer=false");
    let ended = host.run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.was_ready());
    assert!(ended.notified.iter().any(|message| message.contains("STATUS=signer disabled")), "{ended:?}");
}
