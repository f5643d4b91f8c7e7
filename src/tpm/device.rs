//! The way to a TPM: a character device of the kernel, or a Unix socket of a software TPM, which takes and gives the same
//! bytes. The socket is not waited for beyond a deadline; the kernel's driver has deadlines of its own.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::TpmError;
use super::command::{HEADER, LONGEST, length};

/// Opened.
#[derive(Debug)]
pub(super) struct Device {
    fd: OwnedFd,
    /// A device takes a command in one write and gives the answer to one read.
    is_socket: bool,
}

impl Device {
    pub(super) fn open(path: &Path, until: Instant) -> Result<Self, TpmError> {
        let failed = |source| TpmError::Open { device: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if kind.is_char_device() {
            let mut options = OpenOptions::new();
            // Blocking: without, the kernel keeps to itself that the TPM failed. It waits for its own deadlines then.
            options.read(true).write(true).custom_flags(libc::O_NOCTTY);
            return Ok(Self { fd: options.open(path).map_err(failed)?.into(), is_socket: false });
        }
        if !kind.is_socket() {
            return Err(TpmError::NoDevice(path.to_owned()));
        }
        let fd = connected(path, until).map_err(failed)?;
        Ok(Self { fd, is_socket: true })
    }

    /// Sends a command and takes the answer.
    pub(super) fn exchange(&self, command: &[u8], until: Instant) -> io::Result<Vec<u8>> {
        let mut sent = 0;
        while sent < command.len() {
            self.wait_for(PollFlags::POLLOUT, until)?;
            match self.write(&command[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            if !self.is_socket && sent < command.len() {
                return Err(io::Error::other("the device took a part of the command"));
            }
        }
        let mut answer = vec![0; LONGEST];
        let mut got = 0;
        loop {
            self.wait_for(PollFlags::POLLIN, until)?;
            match nix::unistd::read(&self.fd, &mut answer[got..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => got += count,
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let header = answer[..got].first_chunk::<HEADER>();
            let wanted =
                header.map(|header| length(*header).ok_or_else(|| io::Error::other("its answer has no such length")));
            // A device has given all there is.
            if !self.is_socket || wanted.transpose()?.is_some_and(|wanted| got >= wanted) {
                answer.truncate(got);
                return Ok(answer);
            }
        }
    }

    /// A software TPM that has gone must be an error, and no signal.
    fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        use nix::sys::socket::{MsgFlags, send};
        if self.is_socket {
            send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
        } else {
            nix::unistd::write(&self.fd, bytes)
        }
    }

    fn wait_for(&self, what: PollFlags, until: Instant) -> io::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // Rounded up, so that the last millisecond is not spent asking.
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.fd.as_fd(), what)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// A software TPM serves one after the other; where its queue is full, the kernel says so at once.
fn connected(path: &Path, until: Instant) -> io::Result<OwnedFd> {
    const AGAIN: Duration = Duration::from_millis(20);
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    let address = UnixAddr::new(path)?;
    loop {
        match connect(fd.as_raw_fd(), &address) {
            Ok(()) => return Ok(fd),
            Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() + AGAIN < until => std::thread::sleep(AGAIN),
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
