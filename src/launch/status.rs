//! What `/proc/<pid>/status` says of a child's privileges, read back after exec.

use std::fs;
use std::io;

use super::LaunchError;
use crate::sys::RunAs;

/// The child holds more than it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found:?}, expected {expected:?}")]
pub struct NotConfined {
    field: &'static str,
    found: String,
    expected: String,
}

/// Looks at each thread of a process: credentials and a tracer are a thread's own.
pub(super) fn check_threads(pid: u32, run_as: Option<RunAs>) -> Result<(), LaunchError> {
    let failed = |source| LaunchError::ReadStatus(pid, source);
    for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(failed)? {
        match fs::read_to_string(thread.map_err(failed)?.path().join("status")) {
            Ok(status) => check(&status, run_as)?,
            // A thread may end while the list is read; the process is looked at by its leader.
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let leader = fs::read_to_string(format!("/proc/{pid}/status")).map_err(failed)?;
    Ok(check(&leader, run_as)?)
}

/// No privilege can be gained, no capability is held, no debugger is attached; and where the child was given
/// another user, it has that user, that group and no others.
fn check(status: &str, run_as: Option<RunAs>) -> Result<(), NotConfined> {
    const NO_CAPABILITIES: &str = "0000000000000000";
    let mut expected = vec![("NoNewPrivs", "1".to_owned()), ("TracerPid", "0".to_owned())];
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        expected.push((set, NO_CAPABILITIES.to_owned()));
    }
    if let Some(RunAs { uid, gid }) = run_as {
        expected.push(("Uid", [uid; 4].map(|id| id.to_string()).join(" ")));
        expected.push(("Gid", [gid; 4].map(|id| id.to_string()).join(" ")));
        expected.push(("Groups", String::new()));
    }
    for (field, expected) in expected {
        let found = value(status, field);
        if found.as_deref() != Some(expected.as_str()) {
            return Err(NotConfined { field, found: found.unwrap_or_else(|| "absent".to_owned()), expected });
        }
    }
    Ok(())
}

fn value(status: &str, field: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Name:\tmemfd:cryfttee\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t \nTracerPid:\t0\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n\
        CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";
    const RUN_AS: Option<RunAs> = Some(RunAs { uid: 7, gid: 8 });

    #[test]
    fn a_confined_child_passes() {
        assert_eq!(check(GOOD, RUN_AS), Ok(()));
        assert_eq!(check(GOOD, None), Ok(()));
    }

    #[test]
    fn each_privilege_left_over_is_found() {
        for (from, to) in [
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("CapEff:\t0000000000000000", "CapEff:\t0000000000080000"),
            ("CapPrm:\t0000000000000000", "CapPrm:\t0000000000000001"),
            ("CapInh:\t0000000000000000", "CapInh:\t0000000000000001"),
            ("CapAmb:\t0000000000000000", "CapAmb:\t0000000000000001"),
            ("TracerPid:\t0", "TracerPid:\t99"),
            ("Uid:\t7\t7\t7\t7", "Uid:\t7\t0\t7\t7"),
            ("Gid:\t8\t8\t8\t8", "Gid:\t8\t8\t0\t8"),
            ("Groups:\t ", "Groups:\t4 27 "),
            ("NoNewPrivs:\t1\n", ""),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(check(&GOOD.replace(from, to), RUN_AS).is_err(), "{to}");
        }
    }
}
