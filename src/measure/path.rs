//! Who could have put the binary there? Every folder on the way to it is opened and looked at, and the next
//! name is looked up in *that* folder: nothing can be swapped between the look and the use.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use contract::exit;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::fault::{Fault, Severity};

/// As the kernel's own bound (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Somebody else could have written, or could still write, what would run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the finding")]
pub enum UnsafePath {
    #[error("look at {path}", path = path.display())]
    Look { path: PathBuf, source: io::Error },
    #[error("{path} is writable by {who} (mode {mode:04o}): chmod go-w {path}", path = path.display())]
    Writable { path: PathBuf, who: &'static str, mode: u32 },
    #[error("{path} belongs to uid {uid}, which is neither root nor the verifier: chown root {path}", path = path.display())]
    Owner { path: PathBuf, uid: u32 },
    #[error("{path} is {what}, not a regular file", path = path.display())]
    NotAFile { path: PathBuf, what: &'static str },
    #[error("{path} is not a folder", path = path.display())]
    NotAFolder { path: PathBuf },
    #[error("{path} has {links} hard links: under another name, somebody may write to it", path = path.display())]
    HardLinked { path: PathBuf, links: u64 },
    #[error("too many symbolic links on the way to {path}", path = path.display())]
    TooManyLinks { path: PathBuf },
}

impl Fault for UnsafePath {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Look { .. } => exit::IO,
            Self::Writable { .. }
            | Self::Owner { .. }
            | Self::NotAFile { .. }
            | Self::NotAFolder { .. }
            | Self::HardLinked { .. }
            | Self::TooManyLinks { .. } => exit::INTEGRITY,
        }
    }

    /// Who may write there is decided by whoever sets the host up: that somebody did is another question.
    fn severity(&self) -> Severity {
        match self {
            Self::Look { .. }
            | Self::Writable { .. }
            | Self::Owner { .. }
            | Self::NotAFile { .. }
            | Self::NotAFolder { .. }
            | Self::HardLinked { .. }
            | Self::TooManyLinks { .. } => Severity::Slip,
        }
    }
}

/// Opens the file at an absolute path for reading after checking it and every folder up to `/`.
///
/// # Errors
/// [`UnsafePath`], which names the folder or file and what to do.
pub(super) fn open(path: &Path) -> Result<File, UnsafePath> {
    with_one_name(path, walk(path)?)
}

fn with_one_name(path: &Path, (file, links): (File, u64)) -> Result<File, UnsafePath> {
    if links > 1 {
        return Err(UnsafePath::HardLinked { path: path.to_owned(), links });
    }
    Ok(file)
}

/// The same for a library. It may have more names than one: some distributions link equal files, and the rule is
/// about a binary that one person installs.
pub(super) fn open_library(path: &Path) -> Result<File, UnsafePath> {
    walk(path).map(|(file, _)| file)
}

/// The file and how many names it has.
fn walk(path: &Path) -> Result<(File, u64), UnsafePath> {
    if !path.is_absolute() {
        // The walk would take it for one below the root.
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not an absolute path");
        return Err(UnsafePath::Look { path: path.to_owned(), source });
    }
    let look = |source| UnsafePath::Look { path: PathBuf::from("/"), source };
    let root = File::open("/").map_err(look)?;
    open_below(root.into(), path)
}

/// The same with another folder in the place of `/`.
fn open_below(root: OwnedFd, path: &Path) -> Result<(File, u64), UnsafePath> {
    let mut walk = Walk { folders: vec![root], shown: PathBuf::from("/"), links: 0 };
    check_folder(walk.here(), &walk.shown)?;
    let mut ahead: VecDeque<OsString> = names(path).collect();
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            walk.up();
        } else if ahead.is_empty() {
            return walk.open_file(&name);
        } else {
            walk.enter(&name, &mut ahead)?;
        }
    }
    Err(UnsafePath::NotAFile { path: path.to_owned(), what: "a folder" })
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// The folders that were entered, each held open, the root first.
struct Walk {
    folders: Vec<OwnedFd>,
    shown: PathBuf,
    links: usize,
}

impl Walk {
    fn here(&self) -> BorrowedFd<'_> {
        self.folders.last().expect("the root is never left").as_fd()
    }

    fn up(&mut self) {
        if self.folders.len() > 1 {
            self.folders.pop();
            self.shown.pop();
        }
    }

    /// Enters a folder, or puts what a symbolic link says in front of what is ahead. A link is as good as
    /// the folder that holds it, which was checked, and its owner.
    fn enter(&mut self, name: &OsStr, ahead: &mut VecDeque<OsString>) -> Result<(), UnsafePath> {
        let path = self.shown.join(name);
        let look = |error: nix::Error| UnsafePath::Look { path: path.clone(), source: error.into() };
        let found = fstatat(self.here(), name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(look)?;
        if kind(&found) != SFlag::S_IFLNK {
            // NOFOLLOW: what was a folder a moment ago may be a link by now, and then this fails.
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let folder = openat(self.here(), name, flags, Mode::empty()).map_err(look)?;
            check_folder(folder.as_fd(), &path)?;
            self.folders.push(folder);
            self.shown = path;
            return Ok(());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(UnsafePath::TooManyLinks { path });
        }
        check_owner(&found, &path)?;
        let target = PathBuf::from(readlinkat(self.here(), name).map_err(look)?);
        if target.is_absolute() {
            self.folders.truncate(1);
            self.shown = PathBuf::from("/");
        }
        for name in names(&target).rev() {
            ahead.push_front(name);
        }
        Ok(())
    }

    /// Opens the file itself. Not through a link: the path names the binary, and not what somebody lets it
    /// point to. Without blocking: it may be a FIFO.
    fn open_file(&self, name: &OsStr) -> Result<(File, u64), UnsafePath> {
        let path = self.shown.join(name);
        let look = |error: nix::Error| UnsafePath::Look { path: path.clone(), source: error.into() };
        let before = fstatat(self.here(), name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(look)?;
        // Opening a device can do things, so what it is is asked first; what was opened is asked again.
        check_regular(&before, &path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = openat(self.here(), name, flags, Mode::empty()).map_err(look)?;
        let found = fstat(&file).map_err(look)?;
        check_regular(&found, &path)?;
        check_owner(&found, &path)?;
        check_mode(&found, &path)?;
        Ok((file.into(), found.st_nlink))
    }
}

fn check_folder(folder: BorrowedFd<'_>, path: &Path) -> Result<(), UnsafePath> {
    let look = |error: nix::Error| UnsafePath::Look { path: path.to_owned(), source: error.into() };
    let found = fstat(folder).map_err(look)?;
    if kind(&found) != SFlag::S_IFDIR {
        return Err(UnsafePath::NotAFolder { path: path.to_owned() });
    }
    check_owner(&found, path)?;
    check_mode(&found, path)
}

fn check_owner(found: &FileStat, path: &Path) -> Result<(), UnsafePath> {
    let own = nix::unistd::geteuid().as_raw();
    if found.st_uid == 0 || found.st_uid == own {
        return Ok(());
    }
    Err(UnsafePath::Owner { path: path.to_owned(), uid: found.st_uid })
}

/// A sticky folder such as /tmp is no exception: there, anybody may put a file where none is.
fn check_mode(found: &FileStat, path: &Path) -> Result<(), UnsafePath> {
    let mode = found.st_mode & 0o7777;
    let who = match (mode & 0o020 != 0, mode & 0o002 != 0) {
        (false, false) => return Ok(()),
        (_, true) => "everybody",
        (true, false) => "its group",
    };
    Err(UnsafePath::Writable { path: path.to_owned(), who, mode })
}

fn check_regular(found: &FileStat, path: &Path) -> Result<(), UnsafePath> {
    let what = match kind(found) {
        SFlag::S_IFREG => return Ok(()),
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFDIR => "a folder",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        _ => "a device",
    };
    Err(UnsafePath::NotAFile { path: path.to_owned(), what })
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A root of our own with `/usr/bin/program` in it, so that the test does not depend on where it runs.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir_all(root.path().join("usr/bin")).expect("folders");
        fs::write(root.path().join("usr/bin/program"), "program").expect("file");
        for (name, mode) in [("usr", 0o755), ("usr/bin", 0o755), ("usr/bin/program", 0o755)] {
            chmod(&root, name, mode);
        }
        root
    }

    fn chmod(root: &tempfile::TempDir, name: &str, mode: u32) {
        fs::set_permissions(root.path().join(name), fs::Permissions::from_mode(mode)).expect("mode");
    }

    fn open_in(root: &tempfile::TempDir, path: &str) -> Result<File, UnsafePath> {
        with_one_name(Path::new(path), open_below(File::open(root.path()).expect("root").into(), Path::new(path))?)
    }

    #[test]
    fn a_file_that_only_its_owner_can_write_in_folders_likewise_opens() {
        let root = tree();
        let text = io::read_to_string(open_in(&root, "/usr/bin/program").expect("opens")).expect("read");
        assert_eq!(text, "program");
        assert!(open_in(&root, "/usr/../usr/./bin/program").is_ok());
    }

    #[test]
    fn a_group_or_world_writable_file_or_folder_anywhere_on_the_way_is_refused() {
        for name in ["", "usr", "usr/bin", "usr/bin/program"] {
            for mode in [0o775, 0o757, 0o1777] {
                let root = tree();
                chmod(&root, name, mode);
                let refused = open_in(&root, "/usr/bin/program").expect_err("refused");
                assert!(matches!(refused, UnsafePath::Writable { .. }), "{name} {mode:o}: {refused}");
                assert!(refused.to_string().contains("chmod go-w"), "{refused}");
            }
        }
    }

    #[test]
    fn another_owner_anywhere_on_the_way_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            use std::io::Write as _;
            let _ = writeln!(io::stdout(), "SKIPPED: another_owner_anywhere_on_the_way_is_refused: needs root");
            return;
        }
        for name in ["usr", "usr/bin", "usr/bin/program"] {
            let root = tree();
            std::os::unix::fs::chown(root.path().join(name), Some(12345), None).expect("chown");
            let refused = open_in(&root, "/usr/bin/program").expect_err("refused");
            assert!(matches!(refused, UnsafePath::Owner { uid: 12345, .. }), "{name}: {refused}");
        }
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_opening_it() {
        let root = tree();
        let at = |name: &str| root.path().join("usr/bin").join(name);
        symlink("program", at("link")).expect("link");
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).expect("fifo");
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("socket");
        for (name, what) in [("link", "a symbolic link"), ("fifo", "a FIFO"), ("socket", "a socket"), ("", "a folder")]
        {
            let refused = open_in(&root, &format!("/usr/bin/{name}")).expect_err("refused");
            assert!(refused.to_string().contains(what), "{name}: {refused}");
        }
    }

    #[test]
    fn a_second_hard_link_is_refused() {
        let root = tree();
        fs::hard_link(root.path().join("usr/bin/program"), root.path().join("other")).expect("link");
        assert!(matches!(open_in(&root, "/usr/bin/program"), Err(UnsafePath::HardLinked { links: 2, .. })));
    }

    #[test]
    fn a_linked_folder_is_followed_and_what_it_leads_to_is_checked() {
        let root = tree();
        symlink("usr/bin", root.path().join("bin")).expect("relative");
        symlink("/usr/bin", root.path().join("sbin")).expect("absolute");
        symlink("../usr", root.path().join("usr/self")).expect("upwards");
        for path in ["/bin/program", "/sbin/program", "/usr/self/self/bin/program"] {
            assert!(open_in(&root, path).is_ok(), "{path}");
        }
        chmod(&root, "usr", 0o777);
        for path in ["/bin/program", "/sbin/program"] {
            assert!(matches!(open_in(&root, path), Err(UnsafePath::Writable { .. })), "{path}");
        }
    }

    #[test]
    fn links_that_go_round_in_circles_end() {
        let root = tree();
        symlink("loop", root.path().join("loop")).expect("link");
        assert!(matches!(open_in(&root, "/loop/program"), Err(UnsafePath::TooManyLinks { .. })));
    }

    #[test]
    fn a_relative_path_is_not_taken_for_an_absolute_one() {
        assert!(matches!(open(Path::new("proc/self/exe")), Err(UnsafePath::Look { .. })));
    }

    #[test]
    fn what_is_absent_is_an_io_error_with_its_path() {
        let root = tree();
        let refused = open_in(&root, "/usr/sbin/program").expect_err("refused");
        assert!(matches!(&refused, UnsafePath::Look { path, .. } if path == Path::new("/usr/sbin")), "{refused}");
    }
}
