//! `systemctl reload`: another sidecar beside the one that serves, or the reason why not.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::{Host, Running};

struct Staged {
    host: Host,
    binary: PathBuf,
}

impl Staged {
    fn new() -> Self {
        let host = Host::new();
        let binary = host.path("cryfttee");
        fs::copy(support::bad_sidecar(), &binary).expect("copy");
        fs::create_dir(host.path("pins.d")).expect("folder");
        let staged = Self { host, binary };
        staged.pin();
        staged
    }

    fn command(&self) -> Command {
        let mut command = self.host.command(&self.binary);
        command.args(["--trust-pins-d"]).arg(self.host.path("pins.d")).env("WATCHDOG_USEC", "60000000");
        command
    }

    fn pin(&self) {
        let output = Command::new("sha256sum").arg(&self.binary).output().expect("sha256sum");
        let mut pins =
            fs::OpenOptions::new().create(true).append(true).open(self.host.path("pins.d/pins")).expect("open");
        pins.write_all(&output.stdout).expect("write");
    }

    /// Puts another version in the binary's place, as a package does.
    fn upgrade(&self) {
        let new = self.host.path("cryfttee.new");
        fs::copy(&self.binary, &new).expect("copy");
        fs::OpenOptions::new().append(true).open(&new).expect("open").write_all(b"x").expect("append");
        fs::rename(&new, &self.binary).expect("rename");
    }

    /// An upgrade that is accepted.
    fn stage(&self) {
        self.upgrade();
        self.pin();
    }

    /// What `cryftgo-tee reload` says and its exit code.
    fn reload(&self, running: &Running<'_>) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"))
            .arg("reload")
            .arg("--config")
            .arg(self.host.path("cryftgo-tee.toml"))
            .arg("--control-socket")
            .arg(self.host.path("private/control.sock"))
            .env_clear()
            .env("MAINPID", running.pid().to_string())
            .output()
            .expect("run");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

fn sidecars(running: &Running<'_>) -> usize {
    let path = format!("/proc/{0}/task/{0}/children", running.pid());
    fs::read_to_string(path).expect("children").split_whitespace().count()
}

#[test]
fn a_staged_upgrade_takes_the_place_of_the_one_that_serves() {
    let staged = Staged::new();
    let mut running = staged.host.start(staged.command());
    let first = running.sidecar();
    staged.stage();
    running.wait_for_line("Upgrade staged: ");
    let (code, said) = staged.reload(&running);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("Reloaded: the sidecar; pid "), "{said}");
    running.wait_for("RELOADING=1");
    running.wait_for("READY=1");
    running.wait_for_line(&format!("The replaced sidecar, pid {first}, has answered its last"));
    assert_ne!(running.sidecar(), first);
    // The new one is watched like the old one was.
    for _ in 0..3 {
        running.wait_for("WATCHDOG=1");
    }
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let reloading = ended.notified.iter().find(|message| message.contains("RELOADING=1")).expect("told");
    assert!(reloading.contains("MONOTONIC_USEC="), "systemd 253 and later want it: {reloading}");
    assert!(!staged.host.path("private/control.sock.new").exists());
}

#[test]
fn a_file_that_no_reference_value_accepts_refuses_the_reload_and_the_old_one_goes_on() {
    let staged = Staged::new();
    let mut running = staged.host.start(staged.command());
    let first = running.sidecar();
    staged.upgrade();
    let (code, said) = staged.reload(&running);
    assert_eq!(code, Some(69), "{said}");
    assert!(
        said.contains("Reload refused: at step appraise: ") && said.contains("not among the reference values"),
        "{said}"
    );
    assert_eq!(running.sidecar(), first);
    running.wait_for("READY=1");
    running.notified.clear();
    running.wait_for("WATCHDOG=1");
    let status = running.notified.last().expect("a ping");
    assert!(status.contains("TAMPER PENDING") && status.contains("reload refused at step appraise"), "{status}");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!staged.host.path("verifier/tampered").exists(), "nothing that is refused here ran");
}

#[test]
fn a_new_sidecar_that_fails_any_step_leaves_the_old_one_serving() {
    for (fault, step) in
        [("exit-early", "launch"), ("hang", "attest"), ("wrong-hash", "attest"), ("signer-away", "signer")]
    {
        let staged = Staged::new();
        let flag = staged.host.path("fault");
        let mut command = staged.command();
        command.env("CRYFTTEE_FAULT_FILE", &flag).args(["--cryfttee-startup-timeout", "500ms"]);
        command.args(["--web3signer-startup-timeout", "500ms"]);
        let running = staged.host.start(command);
        let first = running.sidecar();
        fs::write(&flag, fault).expect("write");
        staged.stage();
        let (code, said) = staged.reload(&running);
        assert_eq!(code, Some(69), "{fault}: {said}");
        assert!(said.contains(&format!("at step {step}: ")), "{fault}: {said}");
        assert_eq!(running.sidecar(), first, "{fault}: and no other is left behind");
        let ended = running.stop();
        assert_eq!(ended.code, Some(0), "{fault}: {ended:?}");
        assert!(!staged.host.path("verifier/tampered").exists(), "{fault}");
    }
}

#[test]
fn a_new_sidecar_with_other_keys_is_refused() {
    let staged = Staged::new();
    let flag = staged.host.path("fault");
    let mut command = staged.command();
    command.env("CRYFTTEE_FAULT_FILE", &flag);
    let running = staged.host.start(command);
    let first = running.sidecar();
    fs::write(&flag, "other-keys").expect("write");
    staged.stage();
    let (code, said) = staged.reload(&running);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("key mismatch"), "{said}");
    assert_eq!(running.sidecar(), first);
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn with_nothing_new_the_same_sidecar_goes_on_under_the_new_settings() {
    let staged = Staged::new();
    let running = staged.host.start(staged.command());
    let first = running.sidecar();
    // The flag is stronger, so this is a change of something that no flag sets.
    fs::write(staged.host.path("cryftgo-tee.toml"), "[watch]\nmappings = \"report\"\n").expect("write");
    let (code, said) = staged.reload(&running);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "Reloaded: the configuration and the reference values; the sidecar is the same\n")
    );
    assert_eq!(running.sidecar(), first);
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn what_the_sidecar_is_told_anew_takes_a_new_sidecar_of_the_same_binary() {
    let staged = Staged::new();
    let running = staged.host.start(staged.command());
    let first = running.sidecar();
    fs::write(staged.host.path("cryftgo-tee.toml"), "[web3signer]\nurl = \"http://localhost:9001\"\n").expect("write");
    let (code, said) = staged.reload(&running);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("Reloaded: the settings of the sidecar; pid "), "{said}");
    running.wait_for_line("has answered its last");
    assert_ne!(running.sidecar(), first);
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_setting_that_a_running_service_cannot_change_and_one_that_is_wrong_refuse_the_reload() {
    let staged = Staged::new();
    let running = staged.host.start(staged.command());
    let first = running.sidecar();
    for (text, reason) in [
        ("[launch]\nuser = \"nobody\"\n", "launch.user cannot be changed while the sidecar runs"),
        ("[watch]\nintervall = \"1s\"\n", "unknown key"),
        ("nonsense", "parse "),
    ] {
        fs::write(staged.host.path("cryftgo-tee.toml"), text).expect("write");
        // The command reads the same file; the verifier's own answer is what this is about.
        running.signal(Signal::SIGHUP);
        running.wait_for_line(reason);
    }
    assert_eq!(running.sidecar(), first);
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("Reload refused: ").count(), 3, "{ended:?}");
}

#[test]
fn a_crash_of_the_old_one_during_a_reload_is_a_crash_and_leaves_one_sidecar() {
    let staged = Staged::new();
    let flag = staged.host.path("fault");
    let mut command = staged.command();
    command.env("CRYFTTEE_FAULT_FILE", &flag);
    let mut running = staged.host.start(command);
    let first = running.sidecar();
    fs::write(&flag, "hang").expect("write");
    staged.stage();
    running.signal(Signal::SIGHUP);
    // The new one is on its way, and hangs.
    while sidecars(&running) < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(&flag).expect("remove");
    nix::sys::signal::kill(first, Signal::SIGKILL).expect("kill");
    running.wait_for_line("ended by itself: signal SIGKILL");
    running.wait_for("READY=1");
    assert_ne!(running.sidecar(), first);
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_stop_during_a_reload_is_obeyed_and_leaves_nothing_running() {
    let staged = Staged::new();
    let flag = staged.host.path("fault");
    let mut command = staged.command();
    command.env("CRYFTTEE_FAULT_FILE", &flag).args(["--cryfttee-startup-timeout", "60s"]);
    let running = staged.host.start(command);
    let first = running.sidecar();
    fs::write(&flag, "hang").expect("write");
    staged.stage();
    running.signal(Signal::SIGHUP);
    while sidecars(&running) < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(nix::sys::signal::kill(first, None).is_err());
}

#[test]
fn ten_reloads_one_after_the_other_leave_one_sidecar() {
    let staged = Staged::new();
    let running = staged.host.start(staged.command());
    for _ in 0..10 {
        staged.stage();
        let (code, said) = staged.reload(&running);
        assert_eq!(code, Some(0), "{said}");
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while sidecars(&running) > 1 {
        assert!(std::time::Instant::now() < deadline, "{} sidecars are left", sidecars(&running));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn under_inherit_plain_no_second_sidecar_is_launched() {
    let staged = Staged::new();
    let mut command = staged.command();
    command.args(["--handoff", "inherit-plain"]);
    let running = staged.host.start(command);
    let first = running.sidecar();
    staged.stage();
    let (code, said) = staged.reload(&running);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("two sidecars cannot be told apart"), "{said}");
    assert_eq!(running.sidecar(), first);
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_second_reload_leaves_the_first_replaced_sidecar_its_time_to_drain() {
    let staged = Staged::new();
    let mut command = staged.command();
    command.env("CRYFTTEE_FAULT", "ignore-sigterm").args(["--launch-stop-grace", "2s"]);
    let running = staged.host.start(command);
    let first = running.sidecar();
    for _ in 0..2 {
        staged.stage();
        assert_eq!(staged.reload(&running).0, Some(0));
    }
    assert!(nix::sys::signal::kill(first, None).is_ok(), "the first was killed in its grace period");
    running.wait_for_line(&format!("The replaced sidecar, pid {first}, has answered its last: signal SIGKILL"));
    assert_eq!(running.stop().code, Some(0));
}
