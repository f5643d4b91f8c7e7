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
    /// A device takes a command in one write. Its answer, like a socket's, may come in pieces.
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
            if wanted.transpose()?.is_some_and(|wanted| got >= wanted) {
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    use nix::pty::{OpenptyResult, openpty};
    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
    use nix::unistd::ttyname;

    use super::*;

    /// A character device that takes one command and gives these pieces, one after the other.
    fn answered(pieces: &'static [&[u8]], within: Duration) -> io::Result<Vec<u8>> {
        let OpenptyResult { master, slave } = openpty(None, None).expect("a pseudo terminal");
        let mut raw = tcgetattr(&slave).expect("its settings");
        cfmakeraw(&mut raw);
        tcsetattr(&slave, SetArg::TCSANOW, &raw).expect("raw");
        let until = Instant::now() + within;
        let device = Device::open(&ttyname(&slave).expect("its name"), until).expect("open");
        let tpm = std::thread::spawn(move || {
            let mut master = File::from(master);
            let mut command = [0; 4];
            master.read_exact(&mut command).expect("the command");
            for piece in pieces {
                std::thread::sleep(Duration::from_millis(20));
                master.write_all(piece).expect("a piece");
            }
            (command, master)
        });
        let answer = device.exchange(b"\x80\x01\x00\n", until);
        assert_eq!(tpm.join().expect("no panic").0, *b"\x80\x01\x00\n", "a device takes bytes as they are");
        answer
    }

    #[test]
    fn the_answer_of_a_device_is_taken_whole_although_it_comes_in_pieces() {
        let long = Duration::from_secs(30);
        let whole = b"\x80\x01\0\0\0\x0c\0\0\0\0\r\n";
        let at_once: &[&[u8]] = &[b"\x80\x01\0\0\0\x0c\0\0\0\0\r\n"];
        let in_pieces: &[&[u8]] = &[b"\x80\x01\0", b"\0\0\x0c\0\0\0\0\r", b"\n"];
        for pieces in [at_once, in_pieces] {
            assert_eq!(answered(pieces, long).expect("an answer"), whole);
        }
        assert_eq!(
            answered(&[b"\x80\x01\0\0\0\x0c\0\0\0\0"], Duration::from_millis(300)).expect_err("cut short").kind(),
            io::ErrorKind::TimedOut
        );
        assert!(answered(&[b"\x80\x01\xff\0\0\x0c\0\0\0\0"], long).is_err(), "longer than any answer");
    }
}
