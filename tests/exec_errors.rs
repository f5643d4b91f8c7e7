//! Forks and execs that fail: an error that names the step, and no process left.

use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

use cryftgo_tee::sys::{Program, SpawnError, Step, spawn};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// `MFD_NOEXEC_SEAL`: never executable.
const NO_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x0008);

fn memfd(flags: MFdFlags, content: &[u8]) -> File {
    let mut file = File::from(memfd_create(c"test", flags | MFdFlags::MFD_CLOEXEC).expect("memfd"));
    file.write_all(content).expect("write");
    file
}

fn exec_error(image: &File) -> i32 {
    let argv = [CString::from(c"test")];
    let program =
        Program { image: image.as_fd(), argv: &argv, environment: &[], sockets: &[], output: None, run_as: None };
    match spawn(&program) {
        Err(SpawnError::Child(Step::Exec, error)) => error.raw_os_error().expect("an error of the system"),
        other => panic!("{other:?}"),
    }
}

// The only test of this file: that no child is left can only be asked of the whole process.
#[test]
fn an_exec_that_fails_names_the_step_and_leaves_no_process() {
    let own = std::fs::read("/proc/self/exe").expect("read");
    assert_eq!(exec_error(&memfd(NO_EXEC, &own)), libc::EACCES);
    assert_eq!(exec_error(&memfd(MFdFlags::empty(), b"not a program")), libc::ENOEXEC);
    // The interpreter of a script would have to open a descriptor that exec closed.
    assert_eq!(exec_error(&memfd(MFdFlags::empty(), b"#!/bin/sh\n")), libc::ENOENT);
    assert_eq!(nix::sys::wait::waitpid(None, None), Err(Errno::ECHILD), "a child was left");
}
