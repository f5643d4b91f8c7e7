//! What was appraised is what runs, also while somebody rewrites the file. In full: `cargo xtask bench`.

#[path = "../benches/attacks/mod.rs"]
mod attacks;

use attacks::race::{self, End};
use cryftgo_tee::config::ImageKind;

/// In the build folder, which allows exec where `/tmp` may not.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("folder")
}

#[test]
fn while_the_file_is_rewritten_only_the_appraised_bytes_run_and_no_start_is_blocked() {
    let folder = folder();
    let tally = race::run(folder.path(), ImageKind::Sealed, End::Launches(1_000), &|_| true).expect("race");
    println!("{tally:?}");
    assert_eq!((tally.good, tally.wrong, tally.blocked), (1_000, 0, 0), "{tally:?}");
    // The evil bytes were there, too: otherwise this was no race.
    assert!(tally.refused > 0, "{tally:?}");
}

#[test]
fn the_harness_finds_wrong_bytes_where_nothing_is_sealed() {
    let folder = folder();
    // One launch in some hundreds, so that this takes about a second; the bound is a hundred times that.
    let tally = race::run(folder.path(), ImageKind::Fd, End::Wrong { at_most: 3_000_000 }, &|_| true).expect("race");
    println!("{tally:?}");
    assert!(tally.wrong > 0, "{tally:?}");
}
