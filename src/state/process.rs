//! Whether the process that wrote a state is still there. Its pid alone does not say: another may have it by now.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process, told from whichever has its pid later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, in the kernel's ticks since boot; 0 where that is not known.
    pub started_ticks: u64,
}

impl Process {
    /// This one.
    pub fn own() -> Self {
        let pid = std::process::id();
        Self { pid, started_ticks: look(pid).map_or(0, |found| found.started_ticks) }
    }
}

/// Whether it is there. Where its beginning cannot be read, as under `hidepid`, its pid has to do.
pub fn is_alive(process: &Process) -> bool {
    match look(process.pid) {
        // It waits for its parent to take note, and does nothing any more.
        Ok(found) if found.ended => return false,
        Ok(found) if process.started_ticks != 0 => return found.started_ticks == process.started_ticks,
        _ => {}
    }
    let Ok(pid) = i32::try_from(process.pid) else { return false };
    // 0 and below are groups, and no process.
    pid > 0 && matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
}

struct Found {
    ended: bool,
    started_ticks: u64,
}

/// Fields 3 and 22 of `/proc/<pid>/stat`. The name in front may have spaces and parentheses in it.
fn look(pid: u32) -> io::Result<Found> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ended = matches!(after_name.next(), Some("Z" | "X"));
    let started = after_name.nth(18).and_then(|text| text.parse().ok());
    let started_ticks = started.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Found { ended, started_ticks })
}
