//! What a running sidecar can become, and what follows: evidence, the kill, the lock; or an alert.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use contract::exit;
use support::{Ended, Host, Running};

/// Starts it with a fault that shows after READY, and waits for its end.
fn end_of(host: &Host, fault: &str) -> Ended {
    host.start(host.with_fault(fault)).end()
}

fn assert_locked(host: &Host, ended: &Ended, what: &str) {
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    assert!(ended.refusal().contains(what), "{what}: {ended:?}");
    assert!(ended.stderr.contains("Finding: pid "), "{ended:?}");
    assert!(host.path("verifier/tampered").exists(), "not locked: {ended:?}");
}

/// A sidecar that has mapped a library, which was measured.
fn with_library(host: &Host, mut command: Command) -> (PathBuf, Running<'_>) {
    let library = host.path("library.so");
    std::fs::write(&library, "a library").expect("write");
    command.env("CRYFTTEE_LIBRARY", &library);
    let running = host.start(command);
    running.wait_for_line("library.so too: sha256:");
    (library, running)
}

fn quarantined(host: &Host) -> PathBuf {
    let folders = std::fs::read_dir(host.path("verifier/quarantine")).expect("a quarantine");
    let folders: Vec<PathBuf> = folders.map(|entry| entry.expect("entry").path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders[0].clone()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn anonymous_executable_memory_locks_and_says_how_a_compiling_sidecar_is_allowed() {
    let host = Host::new();
    let ended = end_of(&host, "anonymous-code");
    assert_locked(&host, &ended, "is executable memory without a file behind it");
    assert!(ended.refusal().contains("watch.mappings = \"report\""), "{ended:?}");
}

#[test]
fn executable_memory_that_is_writable_locks() {
    let host = Host::new();
    assert_locked(&host, &end_of(&host, "writable-code"), "is executable and writable at once");
}

#[test]
fn program_text_that_was_patched_through_proc_mem_locks() {
    let host = Host::new();
    let ended = end_of(&host, "patch-text");
    assert_locked(&host, &ended, "KiB of the program text of /memfd:cryfttee (deleted) were changed in memory");
}

#[test]
fn library_text_that_was_patched_through_proc_mem_locks() {
    let host = Host::new();
    let ended = end_of(&host, "patch-library");
    assert_locked(&host, &ended, "were changed in memory");
    assert!(ended.refusal().contains("libc"), "{ended:?}");
}

#[test]
fn a_mapped_library_that_is_changed_on_disk_locks() {
    let host = Host::new();
    let (library, running) = with_library(&host, host.with_fault("map-library"));
    // In place: the very file that is mapped.
    let mut file = std::fs::OpenOptions::new().write(true).open(&library).expect("open");
    std::io::Write::write_all(&mut file, b"A").expect("write");
    assert_locked(&host, &running.end(), "the mapped library");
}

#[test]
fn a_mapped_library_that_is_replaced_as_by_an_upgrade_is_told_and_no_finding() {
    let host = Host::new();
    let (library, running) = with_library(&host, host.with_fault("map-library"));
    std::fs::write(host.path("new.so"), "another library").expect("write");
    std::fs::rename(host.path("new.so"), &library).expect("rename");
    running.wait_for_line("library.so was replaced on disk");
    std::thread::sleep(Duration::from_millis(300));
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("was replaced on disk").count(), 1, "told once: {ended:?}");
}

#[test]
fn a_library_that_no_reference_value_names_is_refused_where_there_are_some() {
    let host = Host::new();
    std::fs::create_dir(host.path("libraries.d")).expect("folder");
    std::fs::write(host.path("libraries.d/others"), format!("{}  other.so\n", "ab".repeat(32))).expect("write");
    let mut command = host.with_fault("");
    command.arg("--trust-libraries-d").arg(host.path("libraries.d"));
    let ended = host.run(command);
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    assert!(ended.refusal().contains("not among the reference values for libraries"), "{ended:?}");
    assert!(!ended.was_ready());
}

#[test]
fn libraries_that_reference_values_name_are_accepted_and_recorded() {
    let host = Host::new();
    let first = host.start(host.with_fault("")).stop();
    let mapped: Vec<&str> =
        first.stderr.lines().filter_map(|line| line.split_once("too: sha256:")).map(|(_, hex)| hex).collect();
    assert!(mapped.len() >= 2, "the loader and libc at least: {first:?}");
    std::fs::create_dir(host.path("libraries.d")).expect("folder");
    let pins: String = mapped.iter().map(|hex| format!("{hex}  library\n")).collect();
    std::fs::write(host.path("libraries.d/all"), pins).expect("write");
    let mut command = host.with_fault("");
    command.arg("--trust-libraries-d").arg(host.path("libraries.d"));
    assert_eq!(host.start(command).stop().code, Some(0));
}

#[test]
fn with_report_a_finding_in_memory_is_told_and_the_service_goes_on() {
    let host = Host::new();
    let mut command = host.with_fault("anonymous-code");
    command.args(["--watch-mappings", "report"]).env("WATCHDOG_USEC", "60000000");
    let mut running = host.start(command);
    running.wait_for_line("(action: report)");
    for _ in 0..3 {
        running.wait_for("WATCHDOG=1");
    }
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("(action: report)").count(), 1, "told once: {ended:?}");
    assert!(!host.path("verifier/tampered").exists());
}

#[test]
fn with_off_memory_is_not_looked_at_and_the_image_still_is() {
    let host = Host::new();
    let mut command = host.with_fault("anonymous-code");
    command.args(["--watch-mappings", "off"]).env("WATCHDOG_USEC", "60000000");
    let mut running = host.start(command);
    running.wait_for("WATCHDOG=1");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("Finding"), "{ended:?}");
}

#[test]
fn the_appraised_binary_executed_anew_from_the_disk_locks() {
    let host = Host::new();
    let mut command = host.with_fault("exec-self");
    command.env("CRYFTTEE_SELF", support::bad_sidecar());
    // Same bytes, but a file that its owner can write.
    assert_locked(&host, &host.start(command).end(), "not the sealed copy that was launched");
}

#[test]
fn evidence_of_a_finding_is_kept_with_the_image_and_the_last_words() {
    let host = Host::new();
    let ended = end_of(&host, "say-and-exec");
    assert_locked(&host, &ended, "the running image is sha256:");
    let folder = quarantined(&host);
    assert!(ended.stderr.contains(&format!("Evidence is kept in {}", folder.display())), "{ended:?}");
    assert_eq!(read(&folder, "last-words"), "these were my last words\n");
    assert!(read(&folder, "maps").contains("/bin/sleep") || read(&folder, "maps").contains("/usr/bin/sleep"));
    assert!(read(&folder, "status").contains("NoNewPrivs:\t1"));
    let summary: serde_json::Value = serde_json::from_str(&read(&folder, "finding.json")).expect("JSON");
    let sleep = std::fs::canonicalize("/bin/sleep").expect("sleep");
    assert_eq!(std::fs::read(folder.join("image")).expect("image"), std::fs::read(&sleep).expect("read"));
    assert_eq!(summary["link"], sleep.display().to_string());
    assert!(summary["finding"].as_str().is_some_and(|text| text.contains(summary["running"].as_str().expect("text"))));
    assert_ne!(summary["running"], summary["expected"]);
}

#[test]
fn with_alert_tampering_is_told_once_evidence_kept_and_the_service_goes_on() {
    let host = Host::new();
    let mut command = host.with_fault("patch-text");
    command.args(["--on-mismatch", "alert"]).env("WATCHDOG_USEC", "60000000");
    let mut running = host.start(command);
    running.wait_for_line("(action: alert)");
    for _ in 0..3 {
        running.wait_for("WATCHDOG=1");
    }
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("Finding: ").count(), 1, "told once: {ended:?}");
    assert!(ended.notified.iter().any(|m| m.contains("STATUS=ALERT, tampering: ")), "{ended:?}");
    assert!(quarantined(&host).join("finding.json").exists());
    assert!(!host.path("verifier/tampered").exists());
}

#[test]
#[allow(unsafe_code, reason = "ptrace has no safe wrapper here")]
fn a_debugger_that_attaches_is_a_finding() {
    let host = Host::new();
    let running = host.start(host.with_fault(""));
    let sidecar = running.sidecar();
    // Attached without stopping it, by a thread of this test.
    // SAFETY: takes a pid and two zeroes, and touches no memory of ours.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, sidecar.as_raw(), 0, 0) };
    if seized != 0 {
        let reason = std::io::Error::last_os_error().to_string();
        return support::skip("a_debugger_that_attaches_is_a_finding", &reason);
    }
    assert_locked(&host, &running.end(), "TracerPid");
}

#[test]
fn a_worker_that_answers_later_in_the_sidecars_place_locks() {
    let host = Host::new();
    let mut command = host.with_fault("worker-answers-later");
    // A check of the processes would find the worker itself first.
    command.args(["--watch-health-interval", "100ms", "--watch-mappings", "off"]);
    assert_locked(&host, &host.start(command).end(), "answered in place of the sidecar");
}

#[test]
fn a_public_socket_that_the_sidecar_shuts_down_ends_the_service_and_says_what_to_do() {
    let host = Host::new();
    let ended = end_of(&host, "shut-socket");
    assert_eq!(ended.code, Some(i32::from(exit::UNAVAILABLE)), "{ended:?}");
    assert!(ended.refusal().contains("systemctl restart cryfttee.socket"), "{ended:?}");
    assert!(!host.path("verifier/tampered").exists(), "no lock: a corrected service may start");
}

#[test]
fn the_kernels_own_page_that_was_patched_locks() {
    let host = Host::new();
    let ended = end_of(&host, "patch-kernel-page");
    assert_locked(&host, &ended, "KiB of the program text of [vdso] were changed in memory");
}

#[test]
fn a_process_that_the_sidecar_forks_locks_also_where_its_parent_is_gone() {
    for fault in ["fork-later", "orphan-later"] {
        let host = Host::new();
        let ended = end_of(&host, fault);
        assert_locked(&host, &ended, "the sidecar forked pid ");
        // Found before it executed another program, or after.
        let names = ["sleep", "sh", "memfd:cryfttee"].map(|name| format!("({name:?})"));
        assert!(names.iter().any(|name| ended.refusal().contains(name)), "{fault}: {ended:?}");
    }
}

#[test]
fn a_sidecar_that_executes_its_own_image_anew_locks() {
    let host = Host::new();
    assert_locked(&host, &end_of(&host, "exec-anew"), "executed its image once more");
}

#[test]
fn more_mappings_than_are_looked_at_lock() {
    let host = Host::new();
    assert_locked(&host, &end_of(&host, "too-many-mappings"), "executable memory without a file behind it");
    let host = Host::new();
    let mut command = host.with_fault("too-many-mappings");
    command.args(["--watch-mappings", "report"]);
    // Whatever the policy: behind so many, anything could hide.
    assert_locked(&host, &host.start(command).end(), "there are more executable mappings than any sidecar needs");
}

#[test]
fn a_sidecar_whose_first_thread_ended_locks() {
    let host = Host::new();
    let ended = end_of(&host, "headless");
    assert_locked(&host, &ended, "the first thread of pid ");
}

#[test]
fn with_report_what_no_design_explains_is_tampering_all_the_same() {
    let host = Host::new();
    let mut command = host.with_fault("jit-and-library");
    command.args(["--watch-mappings", "report"]);
    let (library, running) = with_library(&host, command);
    running.wait_for_line("(action: report)");
    std::fs::write(&library, "A library").expect("write");
    assert_locked(&host, &running.end(), "the mapped library");
}

#[test]
fn half_a_shutdown_of_the_public_socket_is_enough_to_end_the_service() {
    let host = Host::new();
    let ended = end_of(&host, "shut-reading");
    assert_eq!(ended.code, Some(i32::from(exit::UNAVAILABLE)), "{ended:?}");
    // It stays shut for whoever gets it next.
    let ended = host.run(host.with_fault(""));
    assert!(!ended.was_ready() && ended.refusal().contains("was shut down"), "{ended:?}");
}

#[test]
fn with_alert_the_pings_are_those_of_the_checks_and_the_first_evidence_stays() {
    let host = Host::new();
    let mut command = host.with_fault("worker-answers-later");
    command.args(["--on-mismatch", "alert", "--watch-mappings", "off", "--watch-interval", "60s"]);
    command.args(["--watch-health-interval", "50ms"]).env("WATCHDOG_USEC", "600000000");
    let running = host.start(command);
    running.wait_for_line("(action: alert)");
    // Several more of the same answers.
    std::thread::sleep(Duration::from_secs(1));
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let pings = ended.notified.iter().filter(|m| m.contains("WATCHDOG=1") && !m.contains("READY=1")).count();
    assert_eq!(pings, 1, "one check was done: {ended:?}");
    assert_eq!(ended.stderr.matches("Finding: ").count(), 1, "each answer is about the same: {ended:?}");
    let _only_one = quarantined(&host);
}

#[test]
fn the_mark_is_set_where_the_evidence_fills_the_disk() {
    const NAME: &str = "the_mark_is_set_where_the_evidence_fills_the_disk";
    support::with_own_mounts(NAME, || {
        let host = Host::new();
        support::small_disk(&host.path("verifier"), "40k");
        let ended = end_of(&host, "say-and-exec");
        assert_locked(&host, &ended, "the running image is sha256:");
        assert!(ended.stderr.contains("Evidence could not be kept"), "the disk was not full: {ended:?}");
    });
}

#[test]
fn a_finding_has_the_sidecar_dead_within_a_second() {
    let host = Host::new();
    let (library, running) = with_library(&host, host.with_fault("map-library"));
    let sidecar = running.sidecar();
    std::fs::write(&library, "changed").expect("write");
    running.wait_for_line("Finding: ");
    let found = Instant::now();
    while nix::sys::signal::kill(sidecar, None).is_ok() {
        assert!(found.elapsed() < Duration::from_secs(2), "it still lives");
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = found.elapsed();
    // The figure is the bench's (kill_p99_ms): this machine may be doing other things.
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(running.end().code, Some(i32::from(exit::INTEGRITY)));
}

#[test]
fn a_finding_is_not_lost_where_a_reload_is_asked_for_meanwhile() {
    let host = Host::new();
    let mut command = host.with_fault("headless");
    // One check, and no other within this test.
    command.args(["--watch-interval", "60s"]);
    let running = host.start(command);
    // Refused, so that it leads to no check of its own.
    std::fs::write(host.path("cryftgo-tee.toml"), "nonsense").expect("write");
    // The verifier takes half a second to find out whether what it cannot measure is on its way out.
    std::thread::sleep(Duration::from_millis(200));
    running.signal(nix::sys::signal::Signal::SIGHUP);
    running.wait_for_line("Reload refused: ");
    assert_locked(&host, &running.end(), "the first thread of pid ");
}

#[test]
fn with_alert_one_finding_hides_no_other() {
    let host = Host::new();
    let mut command = host.with_fault("jit-and-library");
    command.args(["--on-mismatch", "alert"]);
    let (library, running) = with_library(&host, command);
    running.wait_for_line("is executable memory without a file behind it");
    std::fs::write(&library, "A library").expect("write");
    running.wait_for_line("the mapped library ");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("(action: alert)").count(), 2, "each once: {ended:?}");
}

#[test]
fn evidence_is_kept_of_a_sidecar_that_is_found_out_before_it_is_let_in() {
    let host = Host::new();
    let ended = host.run(host.with_fault("escaping-worker"));
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    let folder = quarantined(&host);
    assert!(ended.stderr.contains(&format!("Evidence is kept in {}", folder.display())), "{ended:?}");
    assert!(read(&folder, "finding.json").contains("the sidecar forked pid "));
    assert!(read(&folder, "maps").contains("r-xp"));
}
