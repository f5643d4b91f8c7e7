//! Where entries come from: the journal of this host, a file of it, or what journalctl printed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// What a file of journald begins with.
const MAGIC: &[u8] = b"LPKSHHRH";
const BUFFER: usize = 256 * 1024;
/// All that the verifier sends has it. It is covered by the hash, so one that was changed is missed.
const OURS: &str = "SYSLOG_IDENTIFIER=cryftgo-tee";

/// Entries cannot be had.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum SourceError {
    #[error("open {path}", path = path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("run journalctl")]
    Run(#[source] io::Error),
    #[error("journalctl ended with {0}")]
    Journalctl(String),
}

/// Entries to read; [`Source::end`] says whether they were all.
pub struct Source {
    input: Input,
    journalctl: Option<Child>,
}

enum Input {
    Journalctl(BufReader<ChildStdout>),
    File(BufReader<Chain<Cursor<Vec<u8>>, File>>),
    Standard(BufReader<io::Stdin>),
}

impl Source {
    /// The journal of this host. `since`: in the words of journalctl.
    ///
    /// # Errors
    /// [`SourceError::Run`].
    pub fn live(since: Option<&str>) -> Result<Self, SourceError> {
        // What was sent may still be in journald's queue. Only root may ask for this.
        let sync = Command::new("journalctl").arg("--sync").stdout(Stdio::null()).stderr(Stdio::null()).status();
        sync.map_err(SourceError::Run)?;
        let since = since.map(|since| format!("--since={since}"));
        Self::journalctl(since.iter().map(OsStr::new))
    }

    /// `-` is standard input. A file of journald, or a folder of them, is read through journalctl.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        if path == Path::new("-") {
            let input = Input::Standard(BufReader::with_capacity(BUFFER, io::stdin()));
            return Ok(Self { input, journalctl: None });
        }
        let failed = |source| SourceError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Self::journalctl([OsStr::new("--directory"), path.as_os_str()].into_iter());
        }
        let mut first = Vec::new();
        (&file).take(MAGIC.len() as u64).read_to_end(&mut first).map_err(failed)?;
        if first == MAGIC {
            return Self::journalctl([OsStr::new("--file"), path.as_os_str()].into_iter());
        }
        let input = Input::File(BufReader::with_capacity(BUFFER, Cursor::new(first).chain(file)));
        Ok(Self { input, journalctl: None })
    }

    fn journalctl<'a>(more: impl Iterator<Item = &'a OsStr>) -> Result<Self, SourceError> {
        let mut command = Command::new("journalctl");
        command.args(["--output=export", "--no-pager", "--quiet"]).args(more).arg(OURS);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(SourceError::Run)?;
        let Some(stdout) = child.stdout.take() else { unreachable!("it was asked for") };
        Ok(Self { input: Input::Journalctl(BufReader::with_capacity(BUFFER, stdout)), journalctl: Some(child) })
    }

    /// Once `count` entries were read: whether those were all.
    ///
    /// # Errors
    /// [`SourceError::Journalctl`].
    pub fn end(mut self, count: u64) -> Result<(), SourceError> {
        let Some(mut child) = self.journalctl.take() else { return Ok(()) };
        let status = child.wait().map_err(SourceError::Run)?;
        // journalctl has 1 for "no entries", too, and says nothing then.
        if status.success() || (status.code() == Some(1) && count == 0) {
            return Ok(());
        }
        Err(SourceError::Journalctl(status.to_string()))
    }

    fn input(&mut self) -> &mut dyn BufRead {
        match &mut self.input {
            Input::Journalctl(input) => input,
            Input::File(input) => input,
            Input::Standard(input) => input,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Of one whose output cannot be read.
        if let Some(child) = &mut self.journalctl {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input().read(buffer)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input().fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.input().consume(amount);
    }
}
