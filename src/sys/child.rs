//! What happens in the child between fork and exec: system calls on memory that was laid out before the fork,
//! and nothing else. No allocation, no lock, no formatting, no panic.

use std::os::fd::RawFd;

use super::spawn::{FIRST_HANDED, RunAs, Step};

/// Everything the child needs. The pointers are to memory of the parent's, of which the child has a copy.
pub(super) struct Plan<'a> {
    pub(super) image: RawFd,
    pub(super) null: RawFd,
    pub(super) output: Option<RawFd>,
    pub(super) report: RawFd,
    pub(super) sockets: &'a [RawFd],
    /// `LISTEN_PID=` and twelve zero bytes.
    pub(super) listen_pid: *mut u8,
    pub(super) argv: *const *const libc::c_char,
    pub(super) environment: *const *const libc::c_char,
    pub(super) run_as: Option<RunAs>,
    pub(super) root: bool,
    pub(super) parent: libc::pid_t,
}

/// Where the digits start in `LISTEN_PID=`.
const DIGITS_AT: usize = "LISTEN_PID=".len();

/// `struct __user_cap_header_struct` and `__user_cap_data_struct[2]` of `capset(2)`.
const CAP_HEADER: [u32; 2] = [0x2008_0522, 0];
static NO_CAPABILITIES: [u32; 6] = [0; 6];

/// The kernel's `struct sigaction` with the default action, no flags and an empty mask.
static DEFAULT_ACTION: [u64; 4] = [0; 4];

/// Uid 0 gets no capabilities from exec, ambient ones cannot be raised, and neither can be undone.
const SECUREBITS: libc::c_long = 0b1100_0011;

/// An argument of a system call in the width that the kernel reads: `syscall(2)` is variadic, and what is
/// passed narrower has undefined upper bits.
trait Word {
    fn word(self) -> libc::c_long;
}

macro_rules! words {
    ($($kind:ty),+) => { $(impl Word for $kind {
        fn word(self) -> libc::c_long {
            self as libc::c_long
        }
    })+ };
}

words!(i32, u32, i64, u64, usize);

impl<T> Word for *const T {
    fn word(self) -> libc::c_long {
        self as libc::c_long
    }
}

impl<T> Word for *mut T {
    fn word(self) -> libc::c_long {
        self as libc::c_long
    }
}

/// One system call; a failure is reported as the step and ends the child.
macro_rules! must {
    ($plan:expr, $step:expr, $number:expr $(, $argument:expr)*) => {{
        // SAFETY: every pointer among the arguments is to memory that the plan, a static or this frame holds.
        let result = unsafe { libc::syscall($number $(, Word::word($argument))*) };
        if result == -1 {
            $plan.fail($step);
        }
        result
    }};
}

/// One system call whose failure is found out later, by the look at `/proc/<pid>/status`.
macro_rules! may {
    ($number:expr $(, $argument:expr)*) => {{
        // SAFETY: integers, and pointers to statics.
        unsafe { libc::syscall($number $(, Word::word($argument))*) }
    }};
}

impl Plan<'_> {
    /// Becomes the image. Runs in the child; never returns.
    pub(super) fn execute(&self) -> ! {
        // A terminal's Ctrl-C is for the verifier, which stops the sidecar in order.
        must!(self, Step::NewSession, libc::SYS_setsid);
        self.reset_signals();
        self.place_descriptors();
        self.drop_privileges();
        must!(self, Step::NoNewPrivileges, libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        // After the change of user, which clears it; then the parent may be gone already.
        must!(self, Step::DieWithParent, libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if must!(self, Step::DieWithParent, libc::SYS_getppid) != libc::c_long::from(self.parent) {
            self.end();
        }
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let no_old = std::ptr::null_mut::<libc::rlimit>();
        must!(self, Step::LimitCore, libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, &raw const no_core, no_old);
        must!(self, Step::ChangeFolder, libc::SYS_chdir, c"/".as_ptr());
        self.write_listen_pid();
        let flags = libc::AT_EMPTY_PATH;
        must!(self, Step::Exec, libc::SYS_execveat, self.image, c"".as_ptr(), self.argv, self.environment, flags);
        self.end()
    }

    /// Exec keeps ignored signals ignored, and Rust ignores SIGPIPE.
    fn reset_signals(&self) {
        let none = 0_u64;
        let no_old = std::ptr::null_mut::<u64>();
        let size = size_of::<u64>();
        for signal in 1..=64 {
            // Not through the C library, which refuses for two signals that it keeps to itself, and which
            // an ancestor may have left ignored. Fails for KILL and STOP, which have no disposition.
            may!(libc::SYS_rt_sigaction, signal, &raw const DEFAULT_ACTION, no_old, size);
        }
        must!(self, Step::ResetSignals, libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, no_old, size);
    }

    fn place_descriptors(&self) {
        must!(self, Step::PlaceDescriptors, libc::SYS_dup3, self.null, 0, 0);
        if let Some(output) = self.output {
            must!(self, Step::PlaceDescriptors, libc::SYS_dup3, output, 1, 0);
            must!(self, Step::PlaceDescriptors, libc::SYS_dup3, output, 2, 0);
        }
        let mut next = FIRST_HANDED;
        for socket in self.sockets {
            must!(self, Step::PlaceDescriptors, libc::SYS_dup3, *socket, next, 0);
            next += 1;
        }
        // Every other descriptor closes at exec, also one that a library opened without the flag.
        let (first, last, flags) = (next, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        must!(self, Step::CloseOthers, libc::SYS_close_range, first, last, flags);
    }

    fn drop_privileges(&self) {
        // Both need CAP_SETPCAP. Without it there is nothing to lose: no_new_privs and an unprivileged uid
        // keep exec from giving capabilities. A root child that kept them is refused after exec.
        for capability in 0..64 {
            may!(libc::SYS_prctl, libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        may!(libc::SYS_prctl, libc::PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0);
        if self.root || self.run_as.is_some() {
            let no_groups = std::ptr::null::<libc::gid_t>();
            must!(self, Step::DropGroups, libc::SYS_setgroups, 0, no_groups);
        }
        if let Some(RunAs { uid, gid }) = self.run_as {
            must!(self, Step::SetGid, libc::SYS_setresgid, gid, gid, gid);
            must!(self, Step::SetUid, libc::SYS_setresuid, uid, uid, uid);
        }
        // Ambient capabilities survive the change from one unprivileged user to another, and exec.
        must!(self, Step::DropAmbient, libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        // The kernel writes its version into a header that it does not know, so it gets a copy.
        let mut header = CAP_HEADER;
        must!(self, Step::DropCapabilities, libc::SYS_capset, &raw mut header, &raw const NO_CAPABILITIES);
    }

    fn write_listen_pid(&self) {
        let mut pid = must!(self, Step::Exec, libc::SYS_getpid);
        let mut digits = [0_u8; 10];
        let mut count = 0;
        while pid > 0 && count < digits.len() {
            digits[count] = b'0' + (pid % 10) as u8;
            pid /= 10;
            count += 1;
        }
        for (place, digit) in digits[..count].iter().rev().enumerate() {
            // SAFETY: the buffer has twelve bytes after the equals sign, ten digits at most are written,
            // and the zero after them stays.
            unsafe { self.listen_pid.wrapping_add(DIGITS_AT + place).write(*digit) };
        }
    }

    /// Tells the parent which step failed and why, and ends.
    fn fail(&self, step: Step) -> ! {
        // SAFETY: takes nothing and only returns the address of this thread's errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: that address is valid for as long as the thread runs.
        let errno = unsafe { *errno };
        let [a, b, c, d] = errno.to_ne_bytes();
        let report = [step as u8, a, b, c, d];
        // SAFETY: the pointer and the length describe `report`. Where even this fails the parent finds the
        // child gone.
        unsafe { libc::syscall(libc::SYS_write, self.report, report.as_ptr(), report.len()) };
        self.end()
    }

    fn end(&self) -> ! {
        // SAFETY: ends this process at once and runs none of the verifier's exit handlers.
        unsafe { libc::_exit(127) }
    }
}
