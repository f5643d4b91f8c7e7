//! Programs of a few machine instructions: a hundred thousand of them start in about a minute, and what ran
//! is told by one byte.

/// Where the program is loaded. A multiple of every page size that Linux has on these processors.
const BASE: u64 = 0x40_0000;
/// The ELF header and one program header.
const HEADERS: usize = 64 + 56;

#[cfg(target_arch = "x86_64")]
mod machine {
    pub(super) const NUMBER: u16 = 62;

    /// `exit(code)`.
    pub(super) fn exit(code: u8) -> Vec<u8> {
        #[rustfmt::skip]
        let code = [
            0xbf, code, 0, 0, 0,        // mov edi, code
            0xb8, 60, 0, 0, 0,          // mov eax, SYS_exit
            0x0f, 0x05,                 // syscall
        ];
        code.to_vec()
    }

    /// `write(fd, argv[0], count)`, with whatever comes after it.
    pub(super) fn write_from_first_argument(fd: u8, count: u8) -> Vec<u8> {
        #[rustfmt::skip]
        let code = [
            0xbf, fd, 0, 0, 0,              // mov edi, fd
            0x48, 0x8b, 0x74, 0x24, 0x08,   // mov rsi, [rsp + 8]
            0xba, count, 0, 0, 0,           // mov edx, count
            0xb8, 1, 0, 0, 0,               // mov eax, SYS_write
            0x0f, 0x05,                     // syscall
        ];
        code.to_vec()
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    pub(super) const NUMBER: u16 = 183;

    const SVC: u32 = 0xd400_0001;

    /// `mov xN, value`.
    fn set(register: u32, value: u8) -> u32 {
        0xd280_0000 | u32::from(value) << 5 | register
    }

    fn bytes(code: &[u32]) -> Vec<u8> {
        code.iter().flat_map(|instruction| instruction.to_le_bytes()).collect()
    }

    /// `exit(code)`.
    pub(super) fn exit(code: u8) -> Vec<u8> {
        const SYS_EXIT: u8 = 93;
        bytes(&[set(0, code), set(8, SYS_EXIT), SVC])
    }

    /// `write(fd, argv[0], count)`, with whatever comes after it.
    pub(super) fn write_from_first_argument(fd: u8, count: u8) -> Vec<u8> {
        const SYS_WRITE: u8 = 64;
        /// `ldr x1, [sp, #8]`.
        const FIRST_ARGUMENT: u32 = 0xf940_07e1;
        bytes(&[set(0, fd), FIRST_ARGUMENT, set(2, count), set(8, SYS_WRITE), SVC])
    }
}

/// A program that ends with `code`.
pub(super) fn exits_with(code: u8) -> Vec<u8> {
    elf(&machine::exit(code))
}

/// A program that writes `count` bytes to `fd`, from its first argument on, and ends with 0. Behind the
/// arguments Linux puts the environment, in the order in which exec was given it.
pub(super) fn tells_its_environment(fd: u8, count: u8) -> Vec<u8> {
    let mut code = machine::write_from_first_argument(fd, count);
    code.extend(machine::exit(0));
    elf(&code)
}

/// The smallest 64-bit ELF around `code`.
fn elf(code: &[u8]) -> Vec<u8> {
    let size = (HEADERS + code.len()) as u64;
    let mut file = Vec::with_capacity(HEADERS + code.len());
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2, machine::NUMBER] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    // Entry, program headers, section headers.
    for word in [BASE + HEADERS as u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    // Sizes and counts: header, one program header, no sections.
    for half in [64_u16, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    for word in [1_u32, 5] {
        file.extend(word.to_le_bytes());
    }
    // From offset 0 to BASE, all of it.
    for word in [0, BASE, BASE, size, size, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}
