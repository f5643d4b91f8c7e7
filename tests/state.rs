//! What the verifier shows of itself, and the commands that any user reads it with: status and healthcheck.

#[path = "support/canned.rs"]
mod canned;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::Host;

const NOBODY: u32 = 65534;

/// The command, told where this host has its things.
fn command(host: &Host, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    for (flag, path) in [
        ("--config", "cryftgo-tee.toml"),
        // The bad sidecar answers nobody but its verifier.
        ("--cryfttee-socket", if host.path("canned.sock").exists() { "canned.sock" } else { "api.sock" }),
        ("--state-file", "state.json"),
        ("--state-dir", "verifier"),
    ] {
        command.arg(flag).arg(host.path(path));
    }
    command
}

fn run(host: &Host, arguments: &[&str]) -> Output {
    command(host, arguments).output().expect("run")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn status_json(host: &Host) -> (Option<i32>, Value) {
    let output = run(host, &["status", "--json"]);
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn state(host: &Host) -> Value {
    serde_json::from_slice(&std::fs::read(host.path("state.json")).expect("state.json")).expect("JSON")
}

/// A state as a verifier that is this process would show it now.
fn shown(host: &Host, change: impl FnOnce(&mut Value)) {
    let boot_ms =
        |text: &str| text.split_whitespace().next().and_then(|s| s.parse::<f64>().ok()).map(|s| (s * 1e3) as u64);
    let now = boot_ms(&std::fs::read_to_string("/proc/uptime").expect("uptime")).expect("a number");
    let moment = json!({ "at": "2026-01-01T00:00:00Z", "boot_ms": now });
    let mut state = json!({
        "format": 1,
        "boot_id": std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("boot").trim(),
        "verifier": { "pid": std::process::id(), "started_ticks": 0 },
        "version": "0",
        "started": moment,
        "state": "ready",
        "since": moment,
        "check": { "at": "2026-01-01T00:00:00Z", "boot_ms": now, "took_us": 1, "count": 1, "interval_ms": 600_000 },
        "sidecar": { "pid": 1, "version": "1", "digest": canned::digest(), "reference": "pins.d/x" },
        "restarts": 0,
    });
    change(&mut state);
    std::fs::write(host.path("state.json"), state.to_string()).expect("write");
}

#[test]
fn a_running_verifier_shows_everything_that_status_tells_and_its_end_as_well() {
    let host = Host::new();
    canned::Canned::well().on_unix(&host.path("canned.sock"));
    let running = host.start(host.with_fault("none"));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while state(&host)["check"]["count"].as_u64() < Some(2) {
        assert!(std::time::Instant::now() < until, "no check was shown: {}", state(&host));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (code, found) = status_json(&host);
    assert_eq!((code, &found["ready"], &found["stale"]), (Some(0), &true.into(), &Value::Null), "{found}");
    let known = &found["state"];
    assert_eq!(known["verifier"]["pid"], running.pid().as_raw());
    assert_eq!(known["sidecar"]["pid"], running.sidecar().as_raw());
    assert!(known["node"]["node_id"].as_str().is_some_and(|id| id.starts_with("NodeID-")), "{known}");
    assert!(found["check_age_ms"].as_u64().is_some_and(|age| age < 5_000), "{found}");
    assert_eq!(found["sidecar"]["ready"], true, "the sidecar was asked too: {found}");
    let output = run(&host, &["status"]);
    for part in ["● cryftgo-tee", "ready to sign", "ready since", "Verified", "Accepted by", "NodeID-", "Restarts: 0"]
    {
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
    }
    let healthy = run(&host, &["healthcheck"]);
    assert_eq!((healthy.status.code(), text(&healthy).lines().count()), (Some(0), 1));
    assert!(text(&healthy).starts_with("ready, verified "), "{}", text(&healthy));

    running.stop();
    let (code, found) = status_json(&host);
    assert_eq!((code, &found["state"]["state"]), (Some(69), &"stopped".into()), "{found}");
    assert_eq!(found["sidecar"], Value::Null, "nobody is asked, since that would start the service");
    let ill = run(&host, &["healthcheck"]);
    assert_eq!((ill.status.code(), text(&ill).as_str()), (Some(1), "not ready: it was stopped\n"));
}

#[test]
fn what_a_killed_verifier_left_behind_is_called_stale_and_never_fine() {
    let host = Host::new();
    let running = host.start(host.with_fault("none"));
    running.signal(Signal::SIGKILL);
    running.end();
    assert_eq!(state(&host)["state"], "ready", "it had no time to say otherwise");
    let (code, found) = status_json(&host);
    assert_eq!((code, &found["ready"]), (Some(69), &false.into()));
    assert!(found["stale"].as_str().is_some_and(|why| why.contains("is gone")), "{found}");
    let output = run(&host, &["status"]);
    assert!(text(&output).contains("STALE") && text(&output).starts_with('○'), "{}", text(&output));
    assert_eq!(run(&host, &["healthcheck"]).status.code(), Some(1));
}

#[test]
fn a_lock_and_its_finding_are_shown_with_exit_code_77_until_it_is_cleared() {
    let host = Host::new();
    let mut command_line = host.with_fault("none");
    command_line.args(["--trust-pins", &"00".repeat(32)]);
    let ended = host.run(command_line);
    assert_eq!(ended.code, Some(77), "{ended:?}");
    let (code, found) = status_json(&host);
    assert_eq!((code, &found["standing"]), (Some(77), &"locked".into()), "{found}");
    assert_eq!((&found["state"]["state"], &found["state"]["ended"]["exit_code"]), (&"locked".into(), &77.into()));
    let output = run(&host, &["status"]);
    assert!(text(&output).starts_with('×') && text(&output).contains("cryftgo-tee unlock"), "{}", text(&output));
    assert!(text(&run(&host, &["healthcheck"])).starts_with("locked: "));
    // A start against the lock changes nothing about it.
    assert_eq!(host.run(host.with_fault("none")).code, Some(77));
    assert_eq!(status_json(&host).1["state"]["state"], "locked");

    std::fs::remove_file(host.path("verifier/tampered")).expect("the mark");
    let (code, found) = status_json(&host);
    assert_eq!(code, Some(69), "{found}");
    assert!(found["why"].as_str().is_some_and(|why| why.contains("unlocked")), "{found}");
}

#[test]
fn every_crash_of_the_sidecar_is_counted_as_a_restart() {
    let host = Host::new();
    let mut running = host.start(host.with_fault("none"));
    nix::sys::signal::kill(running.sidecar(), Signal::SIGKILL).expect("kill");
    running.wait_for("STATUS=Starting the sidecar again");
    running.wait_for("READY=1");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while state(&host)["restarts"] != 1 || state(&host)["sidecar"].is_null() {
        assert!(std::time::Instant::now() < until, "{}", state(&host));
    }
    assert_eq!(state(&host)["sidecar"]["pid"], running.sidecar().as_raw());
}

#[test]
fn a_hostile_file_in_the_states_place_is_no_good_news_and_steers_no_terminal() {
    let host = Host::new();
    for content in ["", "{", "null", "[]", &"[".repeat(50_000), &" ".repeat(100_000), "{\"format\":1e999}"] {
        std::fs::write(host.path("state.json"), content).expect("write");
        let (code, found) = status_json(&host);
        assert_eq!((code, &found["ready"], &found["state"]), (Some(69), &false.into(), &Value::Null), "{content:.20}");
        assert_eq!(run(&host, &["healthcheck"]).status.code(), Some(1), "{content:.20}");
    }
    let evil = "\u{1b}]0;x\u{7}\nREADY\r\u{202e}\u{9b}31m";
    shown(&host, |state| {
        state["check"]["at"] = evil.into();
        state["since"]["at"] = evil.into();
        state["sidecar"]["version"] = evil.into();
        state["sidecar"]["reference"] = evil.into();
        state["degraded"] = evil.into();
        state["alert"] = evil.into();
        state["signer"] = json!({ "url": evil, "reachable": true });
        state["disk"] = json!({ "state": evil, "digest": null, "why": evil });
        state["reload"] = json!({ "at": evil, "done": true, "message": evil });
        state["findings"] = json!([{ "at": evil, "what": evil, "action": evil }]);
        state["ended"] = json!({ "exit_code": 0, "why": evil });
        state["state"] = "failed".into();
    });
    for arguments in [&["status"][..], &["status", "--json"], &["healthcheck"]] {
        let output = run(&host, arguments);
        let harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(text(&output).chars().all(harmless), "{arguments:?}: {}", text(&output));
        assert!(!text(&output).lines().any(|line| line.starts_with("READY")), "{arguments:?}");
    }
}

#[test]
fn an_alert_or_a_degradation_is_never_ready() {
    let host = Host::new();
    for (name, words) in [("alert", "ALERT, tampering: x"), ("degraded", "degraded: x")] {
        shown(&host, |state| state[name] = "x".into());
        let ill = run(&host, &["healthcheck"]);
        assert_eq!((ill.status.code(), text(&ill)), (Some(1), format!("not ready: {words}\n")));
    }
    shown(&host, |_| {});
    assert_eq!(run(&host, &["healthcheck"]).status.code(), Some(0));
    for (name, value) in [("boot_id", "other".into()), ("state", "restarting".into()), ("state", "stopping".into())] {
        shown(&host, |state| state[name] = value);
        assert_eq!(run(&host, &["healthcheck"]).status.code(), Some(1), "{name}");
    }
}

#[test]
fn a_sidecar_that_does_not_answer_is_not_ready_whatever_the_verifier_saw_last() {
    let host = Host::new();
    shown(&host, |_| {});
    std::fs::remove_file(host.path("api.sock")).expect("remove");
    let (code, found) = status_json(&host);
    assert_eq!(code, Some(69), "{found}");
    assert!(found["why"].as_str().is_some_and(|why| why.contains("does not answer")), "{found}");
}

#[test]
fn a_user_without_any_right_reads_the_same_status_and_is_told_why_the_sidecar_was_not_asked() {
    const TEST: &str = "a_user_without_any_right_reads_the_same_status";
    let host = Host::new();
    shown(&host, |_| {});
    std::fs::create_dir(host.path("verifier")).expect("folder");
    for (name, mode) in [("", 0o755), ("verifier", 0o700), ("api.sock", 0o660)] {
        std::fs::set_permissions(host.path(name), std::fs::Permissions::from_mode(mode)).expect("mode");
    }
    let as_nobody = |arguments: &[&str]| command(&host, arguments).uid(NOBODY).gid(NOBODY).output();
    let output = match as_nobody(&["status"]) {
        Ok(output) => output,
        Err(error) => return support::skip(TEST, &format!("cannot become another user: {error}")),
    };
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains("ready to sign") && text(&output).contains("Not asked"), "{}", text(&output));
    assert_eq!(as_nobody(&["healthcheck"]).expect("run").status.code(), Some(0));
    // The mark is hidden from it, so the verifier's word counts.
    shown(&host, |state| state["state"] = "locked".into());
    assert_eq!(as_nobody(&["status"]).expect("run").status.code(), Some(77));
}

#[test]
fn only_a_terminal_gets_colour() {
    let host = Host::new();
    shown(&host, |_| {});
    let on_terminal = |variables: &[(&str, &str)]| {
        let inner = format!(
            "{:?} status --config {:?} --state-file {:?} --state-dir {:?} --cryfttee-socket /nonexistent",
            env!("CARGO_BIN_EXE_cryftgo-tee"),
            host.path("cryftgo-tee.toml"),
            host.path("state.json"),
            host.path("v")
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--command", &inner, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null());
        script.envs(variables.iter().copied()).output()
    };
    let Ok(output) = on_terminal(&[]) else {
        return support::skip("only_a_terminal_gets_colour", "there is no script(1)");
    };
    assert!(text(&output).contains("\u{1b}["), "{}", text(&output));
    let refused = on_terminal(&[("NO_COLOR", "1")]).expect("run");
    assert!(text(&refused).contains("cryftgo-tee") && !text(&refused).contains('\u{1b}'), "{}", text(&refused));
    assert!(!text(&run(&host, &["status"])).contains('\u{1b}'));
}

#[test]
fn a_reader_that_has_gone_away_is_no_error_and_hides_no_bad_news() {
    let host = Host::new();
    for (state, code) in [("ready", 0), ("stopped", 69)] {
        shown(&host, |shown| shown["state"] = state.into());
        // Without a sidecar that answers, ready is not ready; the health is the verifier's word alone.
        for (arguments, code) in [(&["healthcheck"][..], i32::from(code != 0)), (&["status"], 69)] {
            let (reader, writer) = nix::unistd::pipe().expect("pipe");
            drop(reader);
            std::fs::remove_file(host.path("api.sock")).ok();
            let status = command(&host, arguments).stdout(writer).stderr(Stdio::piped()).output().expect("run");
            assert_eq!((status.status.code(), status.stderr.as_slice()), (Some(code), &b""[..]), "{arguments:?}");
        }
    }
}

#[test]
fn a_state_file_that_cannot_be_written_does_not_stop_a_validator() {
    let host = Host::new();
    let mut command = host.with_fault("none");
    command.arg("--state-file").arg(Path::new("/proc/nowhere/state.json"));
    host.start(command).stop();
}
