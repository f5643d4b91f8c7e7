//! Processes that a sidecar left behind. The verifier is their reaper (`PR_SET_CHILD_SUBREAPER`), so they become
//! its children when the sidecar ends, also those that left its process group: none of them may go on answering
//! on the public socket beside the next sidecar.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::child::held;

/// A killed process ends at once, unless it hangs in the kernel; then the control group is systemd's to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Kills and reaps every child there is, and theirs, and so on, apart from those that are `held`. Called when a sidecar
/// was reaped: then every other child is one that it left.
///
/// # Errors
/// Some are left after a second: they fork faster than they die, or hang in the kernel. The control group is systemd's to
/// end, so the service has to.
pub(super) fn end_all(held: &BTreeSet<u32>) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = left_behind(held);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("{} processes that the sidecar left behind do not end", left.len())));
        }
        // Stopped first, so that none of them forks while the others are being killed. Not reaped yet, so each pid is
        // still its own.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &left {
                let _ = kill(*pid, signal);
            }
        }
        let alive =
            left.iter().filter(|pid| matches!(waitpid(**pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)));
        if alive.count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The children of this process that nobody holds.
fn left_behind(held: &BTreeSet<u32>) -> Vec<Pid> {
    let mut children = children_of(std::process::id());
    children.retain(|child| !held.contains(&child.as_raw().unsigned_abs()));
    children
}

/// A process that a sidecar forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    /// Its pid.
    pub pid: u32,
    /// Its name, as it chose it.
    pub name: String,
}

/// A process that the sidecar forked and that lives: its child, or one whose parent died and that therefore is a child of
/// this process. Nobody measured what it runs. Those that ended already are reaped.
pub fn forked_by(sidecar: u32) -> Option<Forked> {
    let held = held();
    for orphan in left_behind(&held) {
        if matches!(waitpid(orphan, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {
            return Some(describe(orphan));
        }
    }
    // A child that ended and that the sidecar did not wait for executes nothing any more.
    children_of(sidecar).into_iter().find(|child| state(*child).is_some_and(|state| state != 'Z')).map(describe)
}

/// Whether the first thread of a process has ended while others run on: its image can no longer be looked at, and it can
/// still do everything.
pub fn is_headless(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid).map(Pid::from_raw) else { return false };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state(pid) == Some('Z') && threads > 1
}

fn describe(pid: Pid) -> Forked {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Forked { pid: pid.as_raw().unsigned_abs(), name: name.trim_end().to_owned() }
}

/// The letter of `/proc/<pid>/stat`, which stands behind the name, and the name may hold anything.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The children of every thread of a process. None where the kernel does not tell (`CONFIG_PROC_CHILDREN`): then the
/// control group has to do.
fn children_of(pid: u32) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let parse = |list: String| -> Vec<Pid> {
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
    };
    lists.flat_map(parse).collect()
}
