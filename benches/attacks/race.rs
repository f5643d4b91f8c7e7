//! The file is rewritten all the time while it is measured, appraised and launched. What ran?

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cryftgo_tee::appraise::{Detached, appraise};
use cryftgo_tee::config::{ImageKind, Require};
use cryftgo_tee::sys::{Program, SpawnError, Step, spawn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{AttackError, StopOnDrop, TELL_EVERY, Watch, digest_of, failed, measure, pinned, tiny};

/// Exit codes, so near to each other that the two programs differ in one byte: one write turns one into the
/// other, and there is no state in between that a hash could catch.
const GOOD: u8 = 3;
const EVIL: u8 = 5;
/// Rewrites in one way before the next way is taken.
const BURST: usize = 64;

/// What came of all attempts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Measured and appraised.
    pub attempts: u64,
    /// The evil bytes were measured, and refused.
    pub refused: u64,
    /// Accepted, but exec failed: the attacker blocked a start.
    pub blocked: u64,
    /// Accepted, and the good program ran.
    pub good: u64,
    /// Accepted, and something else ran.
    pub wrong: u64,
}

impl Tally {
    /// Attempts that came as far as exec. Where the evil bytes are measured the attempt ends early, so these are
    /// the rarer ones.
    pub fn launches(&self) -> u64 {
        self.blocked + self.good + self.wrong
    }
}

/// When an attack is over.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// After so many launches.
    Launches(u64),
    /// After the first wrong one, or so many attempts without.
    Wrong { at_most: u64 },
}

impl End {
    fn is_reached(self, tally: &Tally) -> bool {
        match self {
            Self::Launches(count) => tally.launches() >= count,
            Self::Wrong { at_most } => tally.wrong > 0 || tally.attempts >= at_most,
        }
    }
}

/// Attempts until `end`, on a file in `folder`. The watch is told of the launches.
///
/// # Errors
/// [`AttackError`].
pub fn run(folder: &Path, kind: ImageKind, end: End, watch: Watch<'_>) -> Result<Tally, AttackError> {
    let attacker = Attacker::new(folder).map_err(failed("prepare the attacked file"))?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let rewriting = scope.spawn(|| attacker.rewrite(&stop));
        let tally = {
            let _stop = StopOnDrop(&stop);
            attempt(&attacker, kind, end, watch)
        };
        // A race with nobody is no race: an attacker that gave up makes the tally worthless.
        rewriting.join().expect("the attacker does not panic").map_err(failed("rewrite the attacked file"))?;
        tally
    })
}

fn attempt(attacker: &Attacker, kind: ImageKind, end: End, watch: Watch<'_>) -> Result<Tally, AttackError> {
    let references = pinned(digest_of(&attacker.good), Require::Always);
    let argv = [c"tiny".to_owned()];
    let mut tally = Tally::default();
    while !end.is_reached(&tally) {
        if tally.attempts.is_multiple_of(TELL_EVERY) && !watch(tally.launches()) {
            return Err(AttackError::Stopped);
        }
        tally.attempts += 1;
        let image = measure(&attacker.path, kind)?;
        let Ok(image) = appraise(image, &references, &Detached::Nothing) else {
            tally.refused += 1;
            continue;
        };
        let image = image.get().as_fd();
        let program = Program { image, argv: &argv, environment: &[], sockets: &[], output: None, run_as: None };
        match spawn(&program) {
            Ok(child) => {
                let pid = Pid::from_raw(child.pid.cast_signed());
                match waitpid(pid, None).map_err(AttackError::Wait)? {
                    WaitStatus::Exited(_, code) if code == i32::from(GOOD) => tally.good += 1,
                    _ => tally.wrong += 1,
                }
            }
            Err(SpawnError::Child(Step::Exec, _)) => tally.blocked += 1,
            Err(other) => return Err(other.into()),
        }
    }
    Ok(tally)
}

/// Somebody who may write the file and its folder.
struct Attacker {
    path: PathBuf,
    other: PathBuf,
    good: Vec<u8>,
    evil: Vec<u8>,
    differ_at: u64,
}

impl Attacker {
    fn new(folder: &Path) -> io::Result<Self> {
        let (good, evil) = (tiny::exits_with(GOOD), tiny::exits_with(EVIL));
        let mut differing = good.iter().zip(&evil).enumerate().filter(|(_, (good, evil))| good != evil);
        let (at, _) = differing.next().ok_or(io::ErrorKind::InvalidData)?;
        assert!(differing.next().is_none(), "the two programs differ in more than one byte");
        let attacker =
            Self { path: folder.join("raced"), other: folder.join("raced.new"), good, evil, differ_at: at as u64 };
        attacker.replace(&attacker.good)?;
        Ok(attacker)
    }

    fn rewrite(&self, stop: &AtomicBool) -> io::Result<()> {
        let bytes = [[self.evil[self.differ_at as usize]], [self.good[self.differ_at as usize]]];
        while !stop.load(Ordering::Relaxed) {
            // Through one descriptor that stays open: the fastest, but exec of this very file fails meanwhile.
            let held = self.open()?;
            for byte in bytes.iter().cycle().take(BURST) {
                held.write_all_at(byte, self.differ_at)?;
            }
            drop(held);
            // Through one that is open for a moment: exec of this very file can come in between.
            for byte in bytes.iter().cycle().take(BURST) {
                self.open()?.write_all_at(byte, self.differ_at)?;
            }
            for content in [&self.evil, &self.good].iter().cycle().take(BURST) {
                self.replace(content)?;
            }
        }
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        loop {
            match OpenOptions::new().write(true).open(&self.path) {
                // The unsealed program runs at this moment.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
                opened => return opened,
            }
        }
    }

    /// Another file under the same name.
    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&self.other)?;
        file.write_all_at(content, 0)?;
        drop(file);
        std::fs::rename(&self.other, &self.path)
    }
}
