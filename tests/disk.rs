//! The file on disk while the sidecar runs: staged upgrades, tampering that is pending, mounts, clocks.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use contract::exit;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use support::{Host, with_own_mounts};

/// A host whose binary is a copy of the bad sidecar, pinned, and checked only when a hint comes: one minute is longer than
/// any test here.
struct Copied {
    host: Host,
    binary: PathBuf,
}

impl Copied {
    fn new() -> Self {
        let host = Host::new();
        let binary = host.path("cryfttee");
        fs::copy(support::bad_sidecar(), &binary).expect("copy");
        fs::create_dir(host.path("pins.d")).expect("folder");
        let copied = Self { host, binary };
        copied.pin("first");
        copied
    }

    /// Pins what stands there now.
    fn pin(&self, name: &str) {
        let digest = sha256(&self.binary);
        fs::write(self.host.path("pins.d").join(name), format!("{digest}  cryfttee\n")).expect("pin");
    }

    fn command(&self) -> Command {
        let mut command = self.host.command(&self.binary);
        command.args(["--watch-interval", "60s", "--trust-pins-d"]).arg(self.host.path("pins.d"));
        command
    }

    /// The binary and one byte more: another program with the same behaviour.
    fn other_version(&self, mark: &str) -> PathBuf {
        let other = self.host.path(&format!("cryfttee.{mark}"));
        fs::copy(&self.binary, &other).expect("copy");
        let mut file = fs::OpenOptions::new().append(true).open(&other).expect("open");
        file.write_all(mark.as_bytes()).expect("append");
        other
    }
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a digest").to_owned()
}

#[test]
fn a_file_renamed_over_the_running_one_is_told_at_once_and_the_appraised_image_runs_on() {
    let copied = Copied::new();
    let mut running = copied.host.start(copied.command());
    let sidecar = running.sidecar();
    let other = copied.other_version("x");
    let began = Instant::now();
    fs::rename(&other, &copied.binary).expect("rename");
    running.wait_for_line("Tamper pending: sha256:");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    running.wait_for("STATUS=TAMPER PENDING: ");
    assert_eq!(running.sidecar(), sidecar);
    // A pin for it makes an upgrade of it, and another file again makes tampering of that.
    copied.pin("second");
    running.wait_for_line("Upgrade staged: sha256:");
    fs::copy(support::bad_sidecar(), &copied.binary).expect("copy");
    running.wait_for_line("Verified again: ");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!copied.host.path("verifier/tampered").exists());
}

#[test]
fn a_change_while_a_look_is_under_way_is_told_by_the_next_one_and_not_an_interval_later() {
    // The first look begins at READY and takes some milliseconds.
    for delay in [0, 1, 2, 3, 5, 8, 13] {
        let copied = Copied::new();
        let running = copied.host.start(copied.command());
        let other = copied.other_version("x");
        std::thread::sleep(Duration::from_millis(delay));
        let began = Instant::now();
        fs::rename(&other, &copied.binary).expect("rename");
        running.wait_for_line("Tamper pending: sha256:");
        assert!(began.elapsed() < Duration::from_secs(5), "after {delay} ms: {:?}", began.elapsed());
        assert_eq!(running.stop().code, Some(0));
    }
}

#[test]
fn a_write_into_the_file_in_place_is_told_at_once() {
    let copied = Copied::new();
    let running = copied.host.start(copied.command());
    let mut file = fs::OpenOptions::new().append(true).open(&copied.binary).expect("open");
    file.write_all(b"x").expect("append");
    running.wait_for_line("Tamper pending: sha256:");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_file_that_is_removed_is_told_at_once_and_a_crash_after_it_is_refused() {
    let copied = Copied::new();
    let running = copied.host.start(copied.command());
    fs::remove_file(&copied.binary).expect("remove");
    running.wait_for_line("Nothing that could be started stands at ");
    kill(running.sidecar(), Signal::SIGKILL).expect("kill");
    let ended = running.end();
    assert_eq!(ended.code, Some(i32::from(exit::IO)), "{ended:?}");
}

#[test]
fn what_was_pending_is_refused_and_locks_when_the_sidecar_has_to_start_again() {
    let copied = Copied::new();
    let running = copied.host.start(copied.command());
    fs::rename(copied.other_version("x"), &copied.binary).expect("rename");
    running.wait_for_line("Tamper pending: sha256:");
    kill(running.sidecar(), Signal::SIGKILL).expect("kill");
    let ended = running.end();
    assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
    assert!(copied.host.path("verifier/tampered").exists());
}

#[test]
fn a_pin_that_is_taken_back_is_told_at_once_and_the_running_image_goes_on() {
    let copied = Copied::new();
    let running = copied.host.start(copied.command());
    fs::write(copied.host.path("pins.d/other"), format!("{}  other\n", "ab".repeat(32))).expect("write");
    fs::remove_file(copied.host.path("pins.d/first")).expect("remove");
    running.wait_for_line("would be refused at its next start");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_damaged_list_of_pins_is_told_at_once() {
    let copied = Copied::new();
    let running = copied.host.start(copied.command());
    fs::write(copied.host.path("pins.d/first"), "nonsense\n").expect("write");
    running.wait_for_line("read reference values: ");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
#[allow(unsafe_code, reason = "only a mapping of its own can store without a write")]
fn a_store_through_a_shared_mapping_is_found_by_the_timed_check() {
    let copied = Copied::new();
    let mut command = copied.command();
    command.args(["--watch-interval", "200ms"]);
    let running = copied.host.start(command);
    let file = fs::OpenOptions::new().read(true).write(true).open(&copied.binary).expect("open");
    // SAFETY: a new mapping of a file of this test's own, at a place of the kernel's choice.
    let mapped = unsafe {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, 0)
    };
    assert_ne!(mapped, libc::MAP_FAILED);
    std::thread::sleep(Duration::from_millis(500));
    // SAFETY: the mapping is writable and 4096 bytes long. (EI_PAD of the ELF header: nothing reads it.)
    unsafe { mapped.cast::<u8>().wrapping_add(12).write_volatile(1) };
    running.wait_for_line("Tamper pending: sha256:");
    // The mapping was there all the time: no close told it.
    // SAFETY: nothing refers to the mapping any more.
    unsafe { libc::munmap(mapped, 4096) };
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_bind_mount_over_the_binary_is_told_at_once_and_the_running_copy_is_unaffected() {
    with_own_mounts("a_bind_mount_over_the_binary_is_told_at_once_and_the_running_copy_is_unaffected", || {
        let copied = Copied::new();
        let other = copied.other_version("x");
        let running = copied.host.start(copied.command());
        let sidecar = running.sidecar();
        mount(Some(&other), &copied.binary, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind");
        running.wait_for_line("The mounts over ");
        running.wait_for_line("Tamper pending: sha256:");
        assert_eq!(running.sidecar(), sidecar);
        // Lazily: the verifier may be reading it.
        nix::mount::umount2(&copied.binary, nix::mount::MntFlags::MNT_DETACH).expect("umount");
        running.wait_for_line("Verified again: ");
        assert_eq!(running.stop().code, Some(0));
    });
}

#[test]
fn a_write_into_the_lower_layer_of_an_overlay_leaves_the_running_copy_alone_and_the_next_start_locks() {
    const NAME: &str =
        "a_write_into_the_lower_layer_of_an_overlay_leaves_the_running_copy_alone_and_the_next_start_locks";
    with_own_mounts(NAME, || {
        let mut copied = Copied::new();
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| copied.host.path(name));
        // An overlay cannot lie on an overlay, which a container's root often is.
        let layers = copied.host.path("layers");
        fs::create_dir(&layers).expect("folder");
        mount(Some("none"), &layers, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("tmpfs");
        let [lower, upper, work] = [lower, upper, work].map(|path| layers.join(path.file_name().expect("a name")));
        for folder in [&lower, &upper, &work, &merged] {
            fs::create_dir(folder).expect("folder");
        }
        fs::rename(&copied.binary, copied.host.path("moved")).expect("rename");
        fs::copy(copied.host.path("moved"), lower.join("cryfttee")).expect("copy");
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        if let Err(error) = mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str())) {
            return support::skip(NAME, &format!("no overlay can be mounted here: {error}"));
        }
        copied.binary = merged.join("cryfttee");
        let mut command = copied.command();
        command.args(["--watch-interval", "200ms"]);
        let running = copied.host.start(command);
        let sidecar = running.sidecar();
        // Not through the overlay, which watches its own files only.
        let mut file = fs::OpenOptions::new().append(true).open(lower.join("cryfttee")).expect("open");
        file.write_all(b"x").expect("append");
        drop(file);
        running.wait_for_line("Tamper pending: sha256:");
        assert_eq!(running.sidecar(), sidecar);
        kill(sidecar, Signal::SIGKILL).expect("kill");
        let ended = running.end();
        assert_eq!(ended.code, Some(i32::from(exit::INTEGRITY)), "{ended:?}");
        assert!(copied.host.path("verifier/tampered").exists());
    });
}

/// A library that answers for the C library's wall clock, moved by the seconds that a file names.
fn jumping_clock(host: &Host) -> Option<PathBuf> {
    let source = host.path("clock.c");
    fs::write(
        &source,
        r#"#define _GNU_SOURCE
        #include <stdio.h>
        #include <time.h>
        #include <unistd.h>
        #include <sys/syscall.h>
        #include <stdlib.h>
        int clock_gettime(clockid_t id, struct timespec *ts) {
            int result = syscall(SYS_clock_gettime, id, ts);
            const char *path = getenv("TEST_CLOCK");
            if (id == CLOCK_REALTIME && path) {
                FILE *file = fopen(path, "re");
                long jump = 0;
                if (file) { if (fscanf(file, "%ld", &jump) != 1) jump = 0; fclose(file); }
                ts->tv_sec += jump;
            }
            return result;
        }"#,
    )
    .expect("write");
    let library = host.path("clock.so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
    built.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn a_clock_that_jumps_a_day_either_way_locks_nothing_and_stops_no_check() {
    const NAME: &str = "a_clock_that_jumps_a_day_either_way_locks_nothing_and_stops_no_check";
    const DAY: i64 = 86_400;
    let copied = Copied::new();
    let Some(library) = jumping_clock(&copied.host) else {
        return support::skip(NAME, "needs a C compiler");
    };
    let clock = copied.host.path("clock");
    fs::write(&clock, "0").expect("write");
    let mut command = copied.command();
    command.args(["--watch-interval", "100ms", "--watch-health-interval", "100ms", "--watch-health-failures", "50"]);
    command.env("LD_PRELOAD", &library).env("TEST_CLOCK", &clock).env("WATCHDOG_USEC", "60000000");
    let mut running = copied.host.start(command);
    let sidecar = running.sidecar();
    for jump in [DAY, -DAY, 0] {
        fs::write(&clock, jump.to_string()).expect("write");
        running.notified.clear();
        for _ in 0..5 {
            running.wait_for("WATCHDOG=1");
        }
        // The test would show nothing if the clock had not jumped: STATUS has the time of the check.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let shown = cryftgo_tee::clock::utc(now.saturating_add_signed(jump));
        let (day, last) = (&shown[..10], running.notified.last().expect("a ping"));
        assert!(last.contains(&format!("at {day}T")), "{last} is not of {day}");
    }
    assert_eq!(running.sidecar(), sidecar, "no restart");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("Finding") && !copied.host.path("verifier/tampered").exists());
}
