//! One bit of a program is wrong. Is it still accepted?

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use contract::Digest;
use cryftgo_tee::appraise::{Detached, References, appraise};
use cryftgo_tee::config::{ImageKind, Require};
use cryftgo_tee::measure::MeasureError;

use super::{AttackError, TELL_EVERY, Watch, digest_of, failed, measure, pinned, tiny};

/// What came of all flips.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Bits flipped, one at a time.
    pub tried: u64,
    /// Flips that were accepted.
    pub missed: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.tried += other.tried;
        self.missed += other.missed;
    }
}

/// Which bits are flipped.
#[derive(Debug, Clone, Copy)]
pub enum Bits {
    /// Each once.
    All,
    /// So many, spread over the whole file by a generator that starts with this seed.
    Random { count: u64, seed: u64 },
}

/// A small program, filled up to `size` with bytes that never repeat for long.
pub fn small_program(size: usize) -> Vec<u8> {
    let mut bytes = tiny::exits_with(0);
    let mut random = Random(1);
    while bytes.len() < size {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Flips bits of `program`, which is written to `folder`, and counts what is accepted under `require`.
///
/// # Errors
/// [`AttackError`]; also where the program without a flip is not accepted, which would make every flip look
/// found.
pub fn run(
    folder: &Path,
    program: &[u8],
    bits: Bits,
    require: Require,
    watch: Watch<'_>,
) -> Result<Tally, AttackError> {
    let good = digest_of(program);
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let done = AtomicU64::new(0);
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let work = |worker| {
            let (references, done) = (pinned(good, require), &done);
            move || flip(folder, program, Share { bits, worker, workers }, &references, done, watch)
        };
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(work(worker))).collect();
        for worker in running {
            total += worker.join().expect("a worker does not panic")?;
        }
        Ok(total)
    })
}

/// What one worker flips.
#[derive(Clone, Copy)]
struct Share {
    bits: Bits,
    worker: u64,
    workers: u64,
}

impl Share {
    fn of(self, size: u64) -> Box<dyn Iterator<Item = u64>> {
        let step = usize::try_from(self.workers).unwrap_or(1);
        match self.bits {
            Bits::All => Box::new((self.worker..size * 8).step_by(step)),
            Bits::Random { count, seed } => {
                let mut random = Random(seed.wrapping_add(self.worker));
                Box::new((self.worker..count).step_by(step).map(move |_| random.next() % (size * 8)))
            }
        }
    }
}

fn flip(
    folder: &Path,
    program: &[u8],
    share: Share,
    references: &References,
    done: &AtomicU64,
    watch: Watch<'_>,
) -> Result<Tally, AttackError> {
    let path = folder.join(format!("flipped-{}", share.worker));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(&path);
    let file: File = file.map_err(failed("make the file to flip"))?;
    let write = |bytes: &[u8], at| file.write_all_at(bytes, at).map_err(failed("write the file to flip"));
    write(program, 0)?;
    let good = references.values.first().map(|pin| pin.digest);
    let (found, is_accepted) = look(&path, references)?;
    if !is_accepted || found != good {
        return Err(AttackError::GoodIsRefused);
    }
    let mut tally = Tally::default();
    for bit in share.of(program.len() as u64) {
        let before = done.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(TELL_EVERY) && !watch(before) {
            return Err(AttackError::Stopped);
        }
        let (at, old) = (bit / 8, program[(bit / 8) as usize]);
        write(&[old ^ (1 << (bit % 8))], at)?;
        tally.tried += 1;
        tally.missed += u64::from(look(&path, references)?.1);
        write(&[old], at)?;
    }
    Ok(tally)
}

/// The digest that was measured, where the file is a program at all, and whether it may run.
fn look(path: &Path, references: &References) -> Result<(Option<Digest>, bool), AttackError> {
    match measure(path, ImageKind::Sealed) {
        Ok(image) => Ok((Some(image.digest()), appraise(image, references, &Detached::Nothing).is_ok())),
        // A flip in the header: refused before its digest is of interest.
        Err(MeasureError::NotRunnable { .. }) => Ok((None, false)),
        // Anything else would count a fault of this harness as a finding of the verifier.
        Err(other) => Err(other.into()),
    }
}

/// `SplitMix64`: spreads, and gives the same bits for the same seed in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
