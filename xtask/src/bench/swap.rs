//! Sidecars of 15 MiB that differ in their last byte, and the two ways to put one in another's place.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use contract::Digest;

use super::{BenchError, start};
use crate::stage::{self, Stage};

/// Which sidecar: its last byte, which no program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The one that was started first.
    First = 0,
    /// Another one that is accepted.
    Second = 1,
    /// One that no reference value names.
    Bad = 2,
}

/// How the file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Another file is renamed over it.
    Rename,
    /// One byte of it is written.
    Write,
}

/// The sidecar's place, in a folder of its own.
pub(super) struct Place {
    pub(super) path: PathBuf,
    size: u64,
    /// Where a file waits for its rename: on the same file system, and not in the watched folder.
    waiting: PathBuf,
}

impl Place {
    /// `name` is the folder of the unit as well. The reference values are in its `pins.d`, as an operator puts
    /// them there; the digest of the first is given back.
    pub(super) fn make(stage: &Stage, name: &str) -> Result<(Self, Digest), BenchError> {
        let folder = stage.folder.path().join(name);
        let path = start::padded_in(stage, &folder.join("bin"), "cryfttee", start::RELEASED_MIB)?;
        let size = std::fs::metadata(&path).map_err(failed("look at", &path))?.len();
        let place = Self { path, size, waiting: folder.join("waiting") };
        place.put(Kind::Second, Manner::Write)?;
        let second = place.digest()?;
        place.put(Kind::First, Manner::Write)?;
        let first = place.digest()?;
        let pins = folder.join("pins.d");
        // Whatever the umask is: a reference value that others could write counts for nothing.
        DirBuilder::new().mode(0o700).create(&pins).map_err(failed("make", &pins))?;
        let pin = pins.join("bench");
        let line = |digest: Digest| {
            let text = digest.to_string();
            format!("{}  cryfttee\n", text.strip_prefix("sha256:").unwrap_or(&text))
        };
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&pin);
        let written =
            made.and_then(|mut file| io::Write::write_all(&mut file, (line(first) + &line(second)).as_bytes()));
        written.map_err(failed("write", &pin))?;
        Ok((place, first))
    }

    /// Prepares what can be prepared before the clock starts.
    pub(super) fn prepare(&self, kind: Kind, manner: Manner) -> Result<(), BenchError> {
        if manner == Manner::Rename {
            std::fs::copy(&self.path, &self.waiting).map_err(failed("copy", &self.path))?;
            self.mark(&self.waiting, kind)?;
        }
        Ok(())
    }

    /// Makes a prepared change: one system call, or three.
    pub(super) fn change(&self, kind: Kind, manner: Manner) -> Result<(), BenchError> {
        match manner {
            Manner::Rename => std::fs::rename(&self.waiting, &self.path).map_err(failed("rename", &self.waiting)),
            Manner::Write => self.mark(&self.path, kind),
        }
    }

    /// Both at once.
    pub(super) fn put(&self, kind: Kind, manner: Manner) -> Result<(), BenchError> {
        self.prepare(kind, manner)?;
        self.change(kind, manner)
    }

    /// Of the file that stands there now.
    pub(super) fn digest(&self) -> Result<Digest, BenchError> {
        Ok(stage::digest_of(&self.path)?)
    }

    fn mark(&self, path: &Path, kind: Kind) -> Result<(), BenchError> {
        let open = |path: &Path| -> io::Result<File> { OpenOptions::new().write(true).open(path) };
        let written = open(path).and_then(|file| file.write_all_at(&[kind as u8], self.size - 1));
        written.map_err(failed("write", path))
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BenchError {
    let path = path.to_owned();
    move |source| BenchError::File { operation, path, source }
}
