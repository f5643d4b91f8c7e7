//! The keys of a node are never lost and never made twice: a verifier that is killed at any step, a disk that is full, and one
//! that takes no writes.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use contract::exit;
use support::{BLS, Host, IDENTITY_FILES, NODE, TLS, small_disk, with_own_mounts};

/// A library that kills its process before the n-th call that changes the disk.
fn killer(host: &Host) -> Option<PathBuf> {
    let source = host.path("killer.c");
    let text = r#"#define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <signal.h>
        #include <stdarg.h>
        #include <stdlib.h>
        #include <sys/stat.h>
        #include <unistd.h>
        static void step(void) {
            static int done;
            const char *wanted = getenv("TEST_KILL_AT");
            if (wanted && __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST) == atoi(wanted)) kill(getpid(), SIGKILL);
        }
        int rename(const char *from, const char *to) {
            step();
            return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
        }
        int fsync(int fd) { step(); return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
        int mkdir(const char *path, mode_t mode) {
            step();
            return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(path, mode);
        }
        static int opened(const char *name, const char *path, int flags, mode_t mode) {
            if (flags & O_CREAT) step();
            return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name))(path, flags, mode);
        }
        #define OPEN(name) int name(const char *path, int flags, ...) { \
            va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
            return opened(#name, path, flags, mode); }
        OPEN(open)
        OPEN(open64)
    "#;
    fs::write(&source, text).expect("write");
    let library = host.path("killer.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    built.is_ok_and(|status| status.success()).then_some(library)
}

/// How many keys of a kind the signer made.
fn made(keys: &Path, kind: &str) -> usize {
    fs::read_to_string(keys.join(kind)).unwrap_or_default().lines().count()
}

fn healed(host: &Host, keys: &Path, after: &str) {
    for _ in 0..2 {
        let mut command = host.with_fault("");
        command.env("CRYFTTEE_KEYS", keys);
        let ended = host.start(command).stop();
        assert_eq!(ended.code, Some(0), "{after}: {ended:?}");
        assert_eq!((made(keys, "bls"), made(keys, "tls")), (1, 1), "keys that were made, {after}");
        for (name, expected) in [("bls_pubkey", BLS), ("tls_pubkey", TLS), ("node_id", NODE)] {
            let saved = fs::read_to_string(host.path("state/staking").join(name)).expect("saved");
            assert_eq!(saved, format!("{expected}\n"), "{name}, {after}");
        }
        assert!(IDENTITY_FILES.iter().all(|name| host.path("state").join(name).exists()), "{after}");
    }
}

#[test]
fn a_verifier_killed_before_any_change_to_the_disk_heals_at_its_next_start() {
    const NAME: &str = "a_verifier_killed_before_any_change_to_the_disk_heals_at_its_next_start";
    let tools = Host::new();
    let Some(library) = killer(&tools) else {
        return support::skip(NAME, "needs a C compiler");
    };
    let (mut between_making_and_saving, mut step) = (0, 0);
    loop {
        step += 1;
        assert!(step < 200, "the start never succeeds");
        let host = Host::new();
        let keys = host.path("keys");
        fs::create_dir(&keys).expect("folder");
        let mut command = host.with_fault("");
        command.env("CRYFTTEE_KEYS", &keys).env("LD_PRELOAD", &library).env("TEST_KILL_AT", step.to_string());
        let mut child = command.spawn().expect("spawn");
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break Some(status);
            }
            let stderr = fs::read_to_string(host.path("stderr")).unwrap_or_default();
            if stderr.contains("[9/9] Ready: ") {
                break None;
            }
            assert!(Instant::now() < deadline, "step {step}: {stderr}");
            std::thread::sleep(Duration::from_millis(5));
        };
        let Some(status) = status else {
            child.kill().expect("kill");
            child.wait().expect("wait");
            break;
        };
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(libc::SIGKILL),
            "step {step}: {status}"
        );
        // What it told before it was killed, which may be READY already, is not the next one's word.
        while host.notification().is_some() {}
        let saved = |name: &str| host.path("state").join(name).exists();
        for (kind, record) in [("bls", "keys/bls_key.json"), ("tls", "keys/tls_key.json")] {
            between_making_and_saving += usize::from(made(&keys, kind) == 1 && !saved(record));
        }
        healed(&host, &keys, &format!("killed before change {step}"));
    }
    // The test would show nothing if the library were not asked: each of five files is made, flushed, renamed, its folder
    // flushed, and before the first of each kind a key was made and not saved.
    assert!(step > 20, "only {step} changes were seen");
    assert!(between_making_and_saving >= 6, "{between_making_and_saving}");
}

fn fill(host: &Host) {
    let mut file = fs::File::create(host.path("state/filler")).expect("create");
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
}

fn contents(host: &Host) -> Vec<Option<Vec<u8>>> {
    IDENTITY_FILES.iter().map(|name| fs::read(host.path("state").join(name)).ok()).collect()
}

#[test]
fn a_full_disk_refuses_leaves_the_old_files_whole_and_heals_when_there_is_room_again() {
    with_own_mounts("a_full_disk_refuses_leaves_the_old_files_whole_and_heals_when_there_is_room_again", || {
        let host = Host::new();
        small_disk(&host.path("state"), "64k");
        let keys = host.path("keys");
        fs::create_dir(&keys).expect("folder");
        let command = || {
            let mut command = host.with_fault("");
            command.env("CRYFTTEE_KEYS", &keys);
            command
        };
        // At the first boot: the BLS key is made and cannot be saved.
        for name in ["staking", "keys"] {
            fs::create_dir(host.path("state").join(name)).expect("folder");
        }
        fs::write(host.path("state/staking/.lock"), "").expect("file");
        fill(&host);
        host.run(command()).assert_refused(exit::IO, &["keep the public keys", "bls_key.json", "No space left"]);
        assert!(contents(&host).iter().all(Option::is_none), "nothing is half there");
        host.run(command()).assert_refused(exit::IO, &["bls_key.json", "No space left"]);
        assert_eq!((made(&keys, "bls"), made(&keys, "tls")), (1, 0));
        fs::remove_file(host.path("state/filler")).expect("room again");
        healed(&host, &keys, "the disk was full");
        // At a later one, where a file has to be completed.
        fs::remove_file(host.path("state/keys/tls_key.json")).expect("remove");
        let before = contents(&host);
        fill(&host);
        host.run(command()).assert_refused(exit::IO, &["tls_key.json", "No space left"]);
        assert_eq!(contents(&host), before);
        fs::remove_file(host.path("state/filler")).expect("room again");
        healed(&host, &keys, "the disk was full again");
    });
}

#[test]
fn a_read_only_disk_refuses_and_leaves_the_old_files_as_they_are() {
    use nix::mount::{MsFlags, mount};
    with_own_mounts("a_read_only_disk_refuses_and_leaves_the_old_files_as_they_are", || {
        let host = Host::new();
        small_disk(&host.path("state"), "64k");
        assert_eq!(host.start(host.with_fault("")).stop().code, Some(0));
        let before = contents(&host);
        assert!(before.iter().all(Option::is_some));
        let flags =
            |read_only: bool| if read_only { MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY } else { MsFlags::MS_REMOUNT };
        let remount =
            |read_only| mount(None::<&str>, &host.path("state"), None::<&str>, flags(read_only), None::<&str>);
        remount(true).expect("remount");
        host.run(host.with_fault("")).assert_refused(exit::IO, &["Read-only file system"]);
        assert_eq!(contents(&host), before);
        remount(false).expect("remount");
        assert_eq!(host.start(host.with_fault("")).stop().code, Some(0));
        assert_eq!(contents(&host), before);
    });
}
