//! Is this a program for this machine? Told before exec, in words, because exec would only say ENOEXEC.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Why a file cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRunnable {
    /// It starts with `#!`. What would run is its interpreter, which nobody measured.
    #[error("it is a script; only ELF programs can be measured and run")]
    Script,
    /// No ELF header.
    #[error("it is not an ELF program")]
    NotElf,
    /// An ELF file that is cut short or of a class, byte order or type that is not a program's.
    #[error("its ELF header is not that of a 64-bit little-endian program")]
    Header,
    /// A program for another processor.
    #[error("it is built for another processor (ELF machine {found}, here {here})")]
    Machine {
        /// `e_machine` of the file.
        found: u16,
        /// `e_machine` of this build.
        here: u16,
    },
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// Looks at the first bytes of an open file.
///
/// # Errors
/// The outer error is that of the read; the inner says why the file is no program.
pub(super) fn check(file: &File) -> io::Result<Result<(), NotRunnable>> {
    let mut header = [0; 64];
    let mut filled = 0;
    while filled < header.len() {
        match file.read_at(&mut header[filled..], filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(judge(&header[..filled]))
}

fn judge(header: &[u8]) -> Result<(), NotRunnable> {
    const CLASS_64: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    const EXECUTABLE: u16 = 2;
    const SHARED: u16 = 3;
    if header.starts_with(b"#!") {
        return Err(NotRunnable::Script);
    }
    if !header.starts_with(b"\x7fELF") {
        return Err(NotRunnable::NotElf);
    }
    if header.len() < 64 || header[4] != CLASS_64 || header[5] != LITTLE_ENDIAN {
        return Err(NotRunnable::Header);
    }
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    if !matches!(half(16), EXECUTABLE | SHARED) {
        return Err(NotRunnable::Header);
    }
    match half(18) {
        MACHINE => Ok(()),
        found => Err(NotRunnable::Machine { found, here: MACHINE }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        let mut header = vec![0; 64];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[16] = 3;
        header[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        header
    }

    #[test]
    fn a_program_for_this_machine_passes_and_this_test_is_one() {
        assert_eq!(judge(&header()), Ok(()));
        let this = File::open("/proc/self/exe").expect("open");
        assert_eq!(check(&this).expect("read"), Ok(()));
    }

    #[test]
    fn each_thing_that_is_no_program_is_told_apart() {
        assert_eq!(judge(b"#!/bin/sh\n"), Err(NotRunnable::Script));
        assert_eq!(judge(b""), Err(NotRunnable::NotElf));
        assert_eq!(judge(b"MZ"), Err(NotRunnable::NotElf));
        assert_eq!(judge(&header()[..63]), Err(NotRunnable::Header));
        let mut other = header();
        other[18] = 40;
        other[19] = 0;
        assert_eq!(judge(&other), Err(NotRunnable::Machine { found: 40, here: MACHINE }));
        for (at, value) in [(4, 1), (5, 2), (16, 1)] {
            let mut wrong = header();
            wrong[at] = value;
            assert_eq!(judge(&wrong), Err(NotRunnable::Header), "byte {at}");
        }
    }
}
