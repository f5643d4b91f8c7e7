//! Fork and exec of an opened image, with everything that must happen between the two.
//!
//! `LISTEN_PID` must be the child's own pid, which is known only after the fork. In a process with threads
//! nothing may be allocated there: another thread may have held the allocator's lock. So everything is laid
//! out before the fork, and the child makes system calls on that layout alone.

use std::ffi::CString;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow};

use super::PidFd;
use super::child::Plan;

/// The uid and gid of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunAs {
    /// User.
    pub uid: u32,
    /// Primary group; there are no others.
    pub gid: u32,
}

/// The number of the first descriptor that is handed over (`SD_LISTEN_FDS_START`).
pub(super) const FIRST_HANDED: RawFd = 3;

/// What the child was about to do when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the sentence")]
pub enum Step {
    NewSession = 1,
    ResetSignals,
    PlaceDescriptors,
    CloseOthers,
    DropBoundingSet,
    LockSecurebits,
    DropGroups,
    SetGid,
    SetUid,
    DropAmbient,
    DropCapabilities,
    NoNewPrivileges,
    DieWithParent,
    LimitCore,
    ChangeFolder,
    Exec,
}

impl Step {
    const ALL: [Self; 16] = [
        Self::NewSession,
        Self::ResetSignals,
        Self::PlaceDescriptors,
        Self::CloseOthers,
        Self::DropBoundingSet,
        Self::LockSecurebits,
        Self::DropGroups,
        Self::SetGid,
        Self::SetUid,
        Self::DropAmbient,
        Self::DropCapabilities,
        Self::NoNewPrivileges,
        Self::DieWithParent,
        Self::LimitCore,
        Self::ChangeFolder,
        Self::Exec,
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::NewSession => "start a session",
            Self::ResetSignals => "reset signals",
            Self::PlaceDescriptors => "place descriptors",
            Self::CloseOthers => "close other descriptors",
            Self::DropBoundingSet => "drop the capability bounding set",
            Self::LockSecurebits => "lock securebits",
            Self::DropGroups => "drop supplementary groups",
            Self::SetGid => "set the group",
            Self::SetUid => "set the user",
            Self::DropAmbient => "drop ambient capabilities",
            Self::DropCapabilities => "drop capabilities",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::DieWithParent => "bind to the verifier's life",
            Self::LimitCore => "forbid core dumps",
            Self::ChangeFolder => "change to /",
            Self::Exec => "execute the image",
        }
    }
}

/// The child could not be started. No process is left behind.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// Something before the fork.
    #[error("prepare the child")]
    Prepare(#[source] io::Error),
    /// The fork itself.
    #[error("fork")]
    Fork(#[source] io::Error),
    /// A step in the child.
    #[error("in the child: {step}", step = .0.describe())]
    Child(Step, #[source] io::Error),
    /// The child ended before it could say why.
    #[error("the child ended before exec")]
    Vanished,
}

/// A child that runs the image, not yet reaped.
#[derive(Debug)]
pub struct Spawned {
    /// Its pid.
    pub pid: u32,
    /// The handle to signal and wait with.
    pub pidfd: PidFd,
}

/// What to run, with what.
#[derive(Debug)]
pub struct Program<'a> {
    /// The opened image.
    pub image: BorrowedFd<'a>,
    /// Its arguments, the name first.
    pub argv: &'a [CString],
    /// Its environment, to which the `LISTEN_…` variables are added.
    pub environment: &'a [CString],
    /// What it inherits as descriptors 3, 4, …, with the names in `LISTEN_FDNAMES`.
    pub sockets: &'a [(&'a str, BorrowedFd<'a>)],
    /// Standard output and error; none shares the verifier's.
    pub output: Option<BorrowedFd<'a>>,
    /// Who it runs as; none is the verifier's own user.
    pub run_as: Option<RunAs>,
}

/// Runs a program; standard input is `/dev/null`.
///
/// The child has its own session, no supplementary groups and no capabilities, cannot gain privileges, and
/// dies with the thread that called this, which therefore must live as long as the process.
///
/// # Errors
/// [`SpawnError`]; the child, if there was one, is reaped.
pub fn spawn(program: &Program<'_>) -> Result<Spawned, SpawnError> {
    let sockets = program.sockets;
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    let count = sockets.len();
    let listen = [format!("LISTEN_FDS={count}"), format!("LISTEN_FDNAMES={}", names.join(":"))]
        .map(|text| CString::new(text).expect("no NUL in names of our own"));

    // Descriptors are moved out of the way first: dup3 onto itself is an error, and dup2 onto itself would
    // leave close-on-exec set.
    let null = std::fs::File::open("/dev/null").map_err(SpawnError::Prepare)?;
    let null = out_of_the_way(null.as_fd())?;
    let image = out_of_the_way(program.image)?;
    let output = program.output.map(out_of_the_way).transpose()?;
    let sockets: Vec<OwnedFd> = sockets.iter().map(|(_, fd)| out_of_the_way(*fd)).collect::<Result<_, _>>()?;
    let socket_numbers: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
    let (report_reader, report_writer) = io::pipe().map_err(SpawnError::Prepare)?;
    let report_writer = out_of_the_way(OwnedFd::from(report_writer).as_fd())?;

    let mut listen_pid = *b"LISTEN_PID=\0\0\0\0\0\0\0\0\0\0\0\0";
    let listen_pid = listen_pid.as_mut_ptr();
    let argv = pointers(program.argv.iter().map(|text| text.as_ptr()));
    let environment = program.environment.iter().chain(&listen).map(|text| text.as_ptr());
    let environment = pointers(environment.chain([listen_pid.cast_const().cast()]));
    let plan = Plan {
        image: image.as_raw_fd(),
        null: null.as_raw_fd(),
        output: output.as_ref().map(AsRawFd::as_raw_fd),
        report: report_writer.as_raw_fd(),
        sockets: &socket_numbers,
        listen_pid,
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        run_as: program.run_as,
        root: nix::unistd::geteuid().is_root(),
        parent: nix::unistd::getpid().as_raw(),
    };

    // Until the child has put every disposition back to its default, a signal would run a handler of the
    // verifier's inside it, and that handler would write into a pipe that both share.
    let mask =
        SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(|error| SpawnError::Prepare(error.into()))?;
    // SAFETY: the child calls only `Plan::execute`, which makes system calls on memory laid out above,
    // allocates nothing and never returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        plan.execute();
    }
    let fork_error = io::Error::last_os_error();
    let unmasked = mask.thread_set_mask();
    if pid < 0 {
        return Err(SpawnError::Fork(fork_error));
    }
    drop(report_writer);
    let spawned = Spawned {
        pid: pid.unsigned_abs(),
        pidfd: PidFd::of_unreaped_child(pid).map_err(|error| {
            abandon(pid);
            SpawnError::Prepare(error)
        })?,
    };
    if let Err(error) = unmasked {
        abandon(pid);
        return Err(SpawnError::Prepare(error.into()));
    }
    match read_report(report_reader) {
        Ok(None) => Ok(spawned),
        Ok(Some(error)) => {
            abandon(pid);
            Err(error)
        }
        Err(error) => {
            abandon(pid);
            Err(SpawnError::Prepare(error))
        }
    }
}

/// Kills and reaps a child that is of no use.
fn abandon(pid: libc::pid_t) {
    // SAFETY: the child was not reaped, so the pid is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let pid = nix::unistd::Pid::from_raw(pid);
    while let Err(nix::errno::Errno::EINTR) = nix::sys::wait::waitpid(pid, None) {}
}

/// Nothing: the pipe was closed, by exec or by a death before it, which the look at the running image tells
/// apart. Five bytes: the step and the error number. Less: it vanished while it wrote.
fn read_report(mut reader: io::PipeReader) -> io::Result<Option<SpawnError>> {
    let mut report = Vec::new();
    reader.read_to_end(&mut report)?;
    Ok(match *report.as_slice() {
        [] => None,
        [step, a, b, c, d] => {
            let error = io::Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d]));
            Step::ALL.into_iter().find(|known| *known as u8 == step).map(|step| SpawnError::Child(step, error))
        }
        _ => Some(SpawnError::Vanished),
    })
}

fn out_of_the_way(fd: BorrowedFd<'_>) -> Result<OwnedFd, SpawnError> {
    /// Above anything that is handed over.
    const FIRST_FREE: RawFd = 64;
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE)).map_err(|error| SpawnError::Prepare(error.into()))?;
    // SAFETY: fcntl just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) })
}

/// A null-terminated array of pointers, as `execveat(2)` wants it.
fn pointers(texts: impl Iterator<Item = *const libc::c_char>) -> Vec<*const libc::c_char> {
    texts.chain([std::ptr::null()]).collect()
}
