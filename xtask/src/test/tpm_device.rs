//! The device of a TPM for a host without one: a pseudo terminal in raw mode is a character device as well, has an owner, a
//! group and a mode, and takes and gives bytes. Behind it is a software TPM.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

/// Tag, length and code.
const HEADER: usize = 10;
/// No command and no answer is longer.
const LONGEST: usize = 4096;

#[derive(clap::Args)]
pub(crate) struct TpmDevice {
    /// Of a software TPM that takes bare commands
    #[arg(long, default_value = "/share/tpm.sock")]
    socket: PathBuf,
}

impl TpmDevice {
    pub(super) fn run(&self) -> ExitCode {
        match self.serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tpm-device: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Prints the path of the device, and serves one command after the other.
    fn serve(&self) -> io::Result<()> {
        // The other end stays open here, or the first who closes the device would end it.
        let OpenptyResult { master, slave } = openpty(None, None)?;
        let mut raw = tcgetattr(&slave)?;
        cfmakeraw(&mut raw);
        tcsetattr(&slave, SetArg::TCSANOW, &raw)?;
        println!("{}", ttyname(&slave)?.display());
        io::stdout().flush()?;
        let mut master = File::from(master);
        loop {
            let command = message(&mut master)?;
            // One connection for each: it serves one after the other, and others ask it, too.
            let mut tpm = UnixStream::connect(&self.socket)?;
            tpm.write_all(&command)?;
            let answer = message(&mut tpm)?;
            // In two pieces, which is more than a driver does, and no less than it may.
            let (first, second) = answer.split_at(answer.len() / 2);
            master.write_all(first)?;
            std::thread::sleep(std::time::Duration::from_millis(2));
            master.write_all(second)?;
        }
    }
}

/// A command, or an answer: its header says how long it is.
fn message(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes([message[2], message[3], message[4], message[5]]) as usize;
    if !(HEADER..=LONGEST).contains(&length) {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    message.resize(length, 0);
    from.read_exact(&mut message[HEADER..])?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_it_says_and_no_longer_than_any() {
        let two = b"\x80\x01\0\0\0\x0b\0\0\0\0\r\x80\x01\0";
        let mut rest = &two[..];
        assert_eq!(message(&mut rest).expect("the first"), two[..11]);
        assert_eq!(rest, &two[11..]);
        assert!(message(&mut rest).is_err(), "cut short");
        for absurd in [b"\x80\x01\0\0\0\x09\0\0\0\0", b"\x80\x01\0\0\x10\x01\0\0\0\0"] {
            assert!(message(&mut &absurd[..]).is_err(), "{absurd:?}");
        }
    }
}
