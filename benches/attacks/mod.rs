//! Attacks on measurement and launch that count what they did. The tests run each in short form, and
//! `cargo xtask bench` runs it in full; both include this folder, so that they speak of the same attack.
#![allow(dead_code, unreachable_pub, reason = "each includer uses its part of this")]

pub mod bitflips;
pub mod race;
pub mod spawns;
mod tiny;

use contract::Digest;
use cryftgo_tee::appraise::{ReferenceValue, References};
use cryftgo_tee::config::{ImageKind, Require};
use cryftgo_tee::measure::{self, Image, MeasureError, PathCheck};
use cryftgo_tee::sys::SpawnError;

/// The attack itself could not go on; this says nothing about what was attacked.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    #[error("{0}: {1}")]
    Io(&'static str, #[source] std::io::Error),
    #[error("measure the attacked file: {0}")]
    Measure(#[from] MeasureError),
    #[error("spawn: {0:?}")]
    Spawn(#[from] SpawnError),
    #[error("wait for a child: {0}")]
    Wait(#[source] nix::errno::Errno),
    #[error("no spawn came to its end for {0} s, after {1} that did: the child hangs between fork and exec")]
    Hang(u64, u64),
    #[error("the file as it was before any flip is refused")]
    GoodIsRefused,
    #[error("stopped half-way")]
    Stopped,
}

/// Names what failed.
fn failed(operation: &'static str) -> impl FnOnce(std::io::Error) -> AttackError {
    move |source| AttackError::Io(operation, source)
}

/// Told now and then how many are done; `false` ends the attack.
pub type Watch<'a> = &'a (dyn Fn(u64) -> bool + Sync);

/// How often [`Watch`] is told.
const TELL_EVERY: u64 = 256;

/// Reference values that know `good` and nothing else.
fn pinned(good: Digest, require: Require) -> References {
    let pin = ReferenceValue { digest: good, origin: "the attack's pin".to_owned() };
    References { require, expected: false, values: vec![pin], revoked: Vec::new() }
}

/// As `cryftgo-tee run` does it. The build folder's owner and mode are not what is attacked here.
fn measure(path: &std::path::Path, kind: ImageKind) -> Result<Image, MeasureError> {
    measure::seal(path, kind, PathCheck::Off, &measure::Progress::default())
}

/// SHA-256 of `bytes`, taken here and not by the code that is attacked.
fn digest_of(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest::new(sha2::Sha256::digest(bytes).into())
}

/// Whatever becomes of an attack, its helper threads end.
struct StopOnDrop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
