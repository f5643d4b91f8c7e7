//! A private folder that is removed at the end.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The kernel's limit on the path of a unix socket, without the closing zero byte.
const SOCKET_PATH_MAX: usize = 107;
/// The longest name that is made below the folder, with room to spare.
const LONGEST_BELOW: usize = "/demo-XXXXXX/start-verifier/control.sock".len();

/// A folder with mode 0700; dropping it removes it with all that is in it.
pub(crate) struct Folder(TempDir);

/// Why there is no private folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("no folder with a path short enough for unix sockets (tried {}): set TMPDIR to a short one", tried.display())]
    TooLong { tried: PathBuf },
    #[error("make a private folder in {}: {source}", parent.display())]
    Make { parent: PathBuf, source: std::io::Error },
}

impl Folder {
    /// Makes `<target>/<prefix>XXXXXX`, or the same in the system's temporary folder where that path would
    /// be too long for a unix socket.
    pub(crate) fn make(prefix: &str, target: &Path) -> Result<Self, FolderError> {
        let temporary = std::env::temp_dir();
        let parent = [target, &temporary]
            .into_iter()
            .find(|parent| parent.as_os_str().len() + LONGEST_BELOW <= SOCKET_PATH_MAX)
            .ok_or_else(|| FolderError::TooLong { tried: temporary.clone() })?;
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
        made.map(Self).map_err(|source| FolderError::Make { parent: parent.to_owned(), source })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
