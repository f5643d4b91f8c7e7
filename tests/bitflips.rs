//! A program with one wrong bit is refused, whichever bit it is. In full: `cargo xtask bench`.

#[path = "../benches/attacks/mod.rs"]
mod attacks;

use attacks::bitflips::{self, Bits, Tally};
use cryftgo_tee::config::Require;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("folder")
}

#[test]
fn every_single_flipped_bit_of_a_small_program_is_refused() {
    let (folder, program) = (folder(), bitflips::small_program(2048));
    let tally = bitflips::run(folder.path(), &program, Bits::All, Require::Always, &|_| true).expect("flips");
    assert_eq!(tally, Tally { tried: 2048 * 8, missed: 0 });
}

#[test]
fn a_flipped_bit_anywhere_in_a_real_program_is_refused() {
    let (folder, program) = (folder(), std::fs::read(env!("CARGO_BIN_EXE_cryftgo-tee")).expect("read"));
    let bits = Bits::Random { count: 100, seed: 2 };
    let tally = bitflips::run(folder.path(), &program, bits, Require::Auto, &|_| true).expect("flips");
    assert_eq!(tally, Tally { tried: 100, missed: 0 });
}

#[test]
fn the_harness_counts_every_flip_as_missed_where_reference_values_are_not_enforced() {
    let (folder, program) = (folder(), bitflips::small_program(2048));
    // Behind the headers, where a flip makes no program that cannot run.
    let bits = Bits::Random { count: 500, seed: 3 };
    let tally = bitflips::run(folder.path(), &program, bits, Require::Never, &|_| true).expect("flips");
    assert_eq!(tally.tried, 500);
    assert!(tally.missed > 450, "{tally:?}");
}
