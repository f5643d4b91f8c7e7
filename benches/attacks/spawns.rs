//! Children are started while other threads allocate all the time. Does each get what is its own, and does
//! none hang?

use std::hint::black_box;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use cryftgo_tee::config::ImageKind;
use cryftgo_tee::measure::Image;
use cryftgo_tee::sys::{Program, spawn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{AttackError, TELL_EVERY, Watch, failed, measure, tiny};

/// Threads that allocate.
const ALLOCATING: usize = 8;
/// Allocations before such a thread gives way.
const GIVE_WAY_EVERY: usize = 16;
/// What the child tells: its one-letter name and its variables, which end before that many bytes. Linux puts
/// the program's file name and eight zeroes behind them, so that so many bytes are there.
const TOLD: u8 = 64;
/// The name of the socket that a child is handed, in `LISTEN_FDNAMES`.
const NAME: &str = "report";
/// No spawn takes nearly as long, on however busy a machine.
const HANG: Duration = Duration::from_secs(60);

/// What came of all spawns.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Children that were started.
    pub spawns: u64,
    /// Children that told another `LISTEN_PID` than their own pid, or nothing.
    pub wrong: u64,
}

/// Starts `count` children, one after another.
///
/// # Errors
/// [`AttackError`]; [`AttackError::Hang`] where a child never came to exec.
pub fn run(folder: &Path, count: u64, watch: Watch<'_>) -> Result<Tally, AttackError> {
    let path = folder.join("tells-its-environment");
    let program = tiny::tells_its_environment(3, TOLD);
    let write = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(&path);
    write.and_then(|mut file| std::io::Write::write_all(&mut file, &program)).map_err(failed("write the program"))?;
    let image = measure(&path, ImageKind::Sealed)?;

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    for _ in 0..ALLOCATING {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || allocate(&stop));
    }
    let _stop = super::StopOnDrop(&stop);
    // Not in a scope: a scope would wait for a spawner that hangs.
    let (tell, told) = mpsc::channel();
    let spawner = { (Arc::clone(&stop), Arc::clone(&done)) };
    std::thread::spawn(move || tell.send(spawn_all(&image, count, &spawner.0, &spawner.1)));
    let mut seen = (0, Duration::ZERO);
    loop {
        const LOOK: Duration = Duration::from_millis(50);
        if let Ok(result) = told.recv_timeout(LOOK) {
            return result;
        }
        let now = done.load(Ordering::Relaxed);
        seen = if now == seen.0 { (now, seen.1 + LOOK) } else { (now, Duration::ZERO) };
        if seen.1 > HANG {
            return Err(AttackError::Hang(HANG.as_secs(), now));
        }
        if !watch(now) {
            return Err(AttackError::Stopped);
        }
    }
}

/// On one thread for all of them: a child dies with the thread that forked it.
fn spawn_all(image: &Image, count: u64, stop: &AtomicBool, done: &AtomicU64) -> Result<Tally, AttackError> {
    // Datagrams: one child's report is never a part of another's.
    let (ours, theirs) = UnixDatagram::pair().map_err(failed("make the report socket"))?;
    ours.set_nonblocking(true).map_err(failed("prepare the report socket"))?;
    let argv = [c"t".to_owned()];
    let sockets = [(NAME, theirs.as_fd())];
    let mut tally = Tally::default();
    while tally.spawns < count && !(tally.spawns.is_multiple_of(TELL_EVERY) && stop.load(Ordering::Relaxed)) {
        let image = image.as_fd();
        let program = Program { image, argv: &argv, environment: &[], sockets: &sockets, output: None, run_as: None };
        let child = spawn(&program)?;
        let ended = waitpid(Pid::from_raw(child.pid.cast_signed()), None).map_err(AttackError::Wait)?;
        let mut report = [0; 2 * TOLD as usize];
        let count = ours.recv(&mut report).unwrap_or(0);
        let right = matches!(ended, WaitStatus::Exited(_, 0)) && tells_pid(&report[..count], child.pid);
        tally.spawns += 1;
        tally.wrong += u64::from(!right);
        done.store(tally.spawns, Ordering::Relaxed);
    }
    Ok(tally)
}

/// Whether a report is exactly that of the child with this pid.
pub fn tells_pid(report: &[u8], pid: u32) -> bool {
    let expected = format!("t\0LISTEN_FDS=1\0LISTEN_FDNAMES={NAME}\0LISTEN_PID={pid}\0");
    report.starts_with(expected.as_bytes())
}

/// Small and large pieces, some kept: the allocator's locks are held at almost any moment.
fn allocate(stop: &AtomicBool) {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut round = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        round = round.wrapping_add(1);
        kept.push(black_box(vec![0; 1 + round * 37 % 5000]));
        if kept.len() > 64 {
            kept.swap_remove(round % 64);
            kept.truncate(32 + round % 32);
        }
        black_box(format!("{round:>40}"));
        // Without this eight busy threads leave a child 40 ms of waiting for each turn on two processors, and a
        // hundred thousand spawns take an hour. A thread that gives way still allocates whenever nobody spawns.
        if round.is_multiple_of(GIVE_WAY_EVERY) {
            std::thread::yield_now();
        }
    }
}
