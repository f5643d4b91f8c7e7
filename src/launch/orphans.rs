//! Processes that a sidecar left behind. The verifier is their reaper (`PR_SET_CHILD_SUBREAPER`), so they become
//! its children when the sidecar ends, also those that left its process group: none of them may go on answering
//! on the public socket beside the next sidecar.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A killed process ends at once, unless it hangs in the kernel; then the control group is systemd's to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Kills and reaps every child there is, and theirs, and so on. Called when the sidecar itself was reaped: then
/// every child is one that it left.
pub(super) fn end_all() {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let children = children();
        if children.is_empty() || Instant::now() > deadline {
            break;
        }
        for child in children {
            // Not reaped yet, so the pid is still its own.
            let _ = kill(child, Signal::SIGKILL);
            if matches!(waitpid(child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// The children of every thread of this process. None where the kernel does not tell
/// (`CONFIG_PROC_CHILDREN`): then the control group has to do.
fn children() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let parse = |list: String| -> Vec<Pid> {
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
    };
    lists.flat_map(parse).collect()
}
