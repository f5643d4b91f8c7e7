//! A sidecar that tries to make its link `/proc/self/exe` name another file, which would blind the verifier's check.
//! Says on standard error what the kernel answered, and ends.
#![allow(unsafe_code, reason = "the calls that the kernel is to refuse have no safe wrapper")]

use std::fs::File;
use std::io::{self, Error};
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;

use libc::{c_int, c_ulong};

/// `struct prctl_mm_map` of the kernel.
#[repr(C)]
#[derive(Default)]
struct Map {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

pub(super) fn main() -> ExitCode {
    // The exit code of a program that needs nothing more: the verifier sees a sidecar that ended early.
    match attempts() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forge: could not be tried: {error}");
            ExitCode::FAILURE
        }
    }
}

fn attempts() -> io::Result<()> {
    // A program, and in a place that the unit lets run: anything else would be refused for that alone.
    let other = File::open("/usr/bin/cryftgo-tee")?;
    let exe_fd = other.as_raw_fd();
    tell("PR_SET_MM_EXE_FILE", set_exe_file(exe_fd));
    tell("PR_SET_MM_MAP", set_map(exe_fd)?);
    // In a user namespace of its own a process has the capabilities that the calls above ask for.
    // SAFETY: takes a flag and touches no memory; this process has one thread.
    tell("CLONE_NEWUSER", result(unsafe { libc::unshare(libc::CLONE_NEWUSER) }));
    tell("PR_SET_MM_MAP in a namespace", set_map(exe_fd)?);
    Ok(())
}

fn tell(what: &str, answer: io::Result<()>) {
    match answer.map_err(|error| error.raw_os_error()) {
        Ok(()) => eprintln!("forge: {what}: allowed"),
        Err(Some(libc::EPERM)) => eprintln!("forge: {what}: EPERM"),
        // Permitted, and then stopped by something else: a program whose own pages are mapped is busy.
        Err(Some(libc::EBUSY)) => eprintln!("forge: {what}: EBUSY"),
        Err(other) => eprintln!("forge: {what}: error {other:?}"),
    }
}

fn set_exe_file(fd: c_int) -> io::Result<()> {
    let fd = c_ulong::try_from(fd).map_err(Error::other)?;
    // SAFETY: with this option the kernel takes a descriptor and reads no memory of ours.
    result(unsafe { libc::prctl(libc::PR_SET_MM, c_ulong::from(libc::PR_SET_MM_EXE_FILE as u32), fd, 0_u64, 0_u64) })
}

/// Asks for the memory layout that there is, with another file as the program. The outer error: it is not known.
fn set_map(fd: c_int) -> io::Result<io::Result<()>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold blanks; what follows is field 3 onwards.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    // SAFETY: an increment of zero changes nothing.
    let brk = unsafe { libc::sbrk(0) };
    let map = Map {
        start_code: field(26),
        end_code: field(27),
        start_stack: field(28),
        start_data: field(45),
        end_data: field(46),
        start_brk: field(47),
        brk: brk as u64,
        arg_start: field(48),
        arg_end: field(49),
        env_start: field(50),
        env_end: field(51),
        exe_fd: u32::try_from(fd).map_err(Error::other)?,
        ..Map::default()
    };
    let size = size_of::<Map>() as c_ulong;
    // SAFETY: the kernel reads `size` bytes from `map`, which lives until the call returns.
    let answer =
        unsafe { libc::prctl(libc::PR_SET_MM, c_ulong::from(libc::PR_SET_MM_MAP as u32), &raw const map, size, 0_u64) };
    Ok(result(answer))
}

fn result(answer: c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
