//! Where the sidecar's own lines go. Under systemd they get a stream of their own to the journal, under the
//! name `cryfttee`: on the verifier's they would read as the verifier's words.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

const STREAM: &str = "/run/systemd/journal/stdout";
/// `LOG_INFO`.
const PRIORITY: u8 = 6;

/// A stream to the journal, or none where standard error is not the journal's.
///
/// # Errors
/// journald does not take streams.
pub(super) fn for_sidecar() -> io::Result<Option<OwnedFd>> {
    if !crate::audit::stderr_is_journal() {
        return Ok(None);
    }
    let mut stream = UnixStream::connect(STREAM)?;
    // The protocol's seven lines: name, unit (journald knows it better), priority, whether "<3>" at a line's
    // start is one, and whether to forward to syslog, the kernel's log and the console.
    write!(stream, "cryfttee\n\n{PRIORITY}\n0\n0\n0\n0\n")?;
    stream.shutdown(std::net::Shutdown::Read)?;
    Ok(Some(stream.into()))
}
