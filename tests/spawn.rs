//! Spawning is right under load. In full: `cargo xtask bench`.

#[path = "../benches/attacks/mod.rs"]
mod attacks;

use attacks::spawns::{self, Tally};

#[test]
fn every_child_gets_its_own_listen_pid_and_none_hangs_while_other_threads_allocate() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("folder");
    let tally = spawns::run(folder.path(), 1_000, &|_| true).expect("spawns");
    assert_eq!(tally, Tally { spawns: 1_000, wrong: 0 });
}

#[test]
fn the_harness_finds_a_listen_pid_of_another_process() {
    let report = b"t\0LISTEN_FDS=1\0LISTEN_FDNAMES=report\0LISTEN_PID=4711\0/dev/fd/";
    assert!(spawns::tells_pid(report, 4711));
    for other in [471, 4712, 47110] {
        assert!(!spawns::tells_pid(report, other), "{other}");
    }
    assert!(!spawns::tells_pid(b"", 4711));
}
