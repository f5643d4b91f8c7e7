//! Hints that something changed on disk: the binary, the reference values, the mounts over them.
//!
//! A hint makes the next check come now; what it says is never believed. A store through a shared mapping and a few
//! other ways of changing a file give none: for those there is the timed check.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::{Settings, TrustSettings};
use crate::sys;

/// What gave the hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A file or folder that is watched.
    File,
    /// The table of mounts.
    Mounts,
    /// So many changes that the kernel gave up telling them.
    Overflow,
}

/// The watched files and the table of mounts.
#[derive(Debug)]
pub struct Hints {
    inotify: Inotify,
    /// The same open file description, for the runtime.
    ready: AsyncFd<OwnedFd>,
    mounts: AsyncFd<OwnedFd>,
    watched: Vec<Watched>,
}

/// A folder and the name in it that matters; none: every name does.
#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    name: Option<OsString>,
    /// Of the folder that stands there now.
    watch: Option<WatchDescriptor>,
}

const FILE: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);
const FOLDER: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);

impl Hints {
    /// Starts to watch what the settings name.
    ///
    /// # Errors
    /// No inotify instance can be had, or `/proc` cannot be read. A file that is not there is no error: its folder
    /// is watched, and the timed check is the authority anyway.
    pub fn open(settings: &Settings) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let ready = sys::register(inotify.as_fd().try_clone_to_owned()?, Interest::READABLE)?;
        let mounts = std::fs::File::open("/proc/self/mountinfo")?;
        // The kernel tells a change of the mounts as an exceptional condition.
        let mounts = sys::register(mounts.into(), Interest::PRIORITY)?;
        let mut hints = Self { inotify, ready, mounts, watched: watched(settings) };
        hints.arm();
        Ok(hints)
    }

    /// Watches what stands under the names now. To be called before each check, which then sees whatever happened
    /// before: a name that was given to another file has a new watch. The watch of the file that had it goes with it.
    pub fn arm(&mut self) {
        for Watched { folder, name, watch } in &mut self.watched {
            *watch = self.inotify.add_watch(folder.as_path(), FOLDER).ok();
            if let Some(name) = name {
                let _ = self.inotify.add_watch(&folder.join(name), FILE | AddWatchFlags::IN_DONT_FOLLOW);
            }
        }
    }

    /// Forgets what was told until now: the check that follows sees it.
    pub fn forget(&self) {
        drain(&self.inotify, &self.watched);
    }

    /// Returns at the next hint. Safe to drop half-way.
    pub async fn next(&mut self) -> Hint {
        loop {
            tokio::select! {
                ready = self.ready.readable() => {
                    // An error here can only mean that the runtime is going down; then nothing comes any more.
                    let Ok(mut ready) = ready else { return std::future::pending().await };
                    let hint = drain(&self.inotify, &self.watched);
                    ready.clear_ready();
                    if let Some(hint) = hint {
                        return hint;
                    }
                }
                ready = self.mounts.ready(Interest::PRIORITY) => {
                    let Ok(mut ready) = ready else { return std::future::pending().await };
                    ready.clear_ready();
                    return Hint::Mounts;
                }
            }
        }
    }
}

/// Reads all that waits, and says whether any of it matters.
fn drain(inotify: &Inotify, watched: &[Watched]) -> Option<Hint> {
    let mut hint = None;
    loop {
        match inotify.read_events() {
            Ok(events) => {
                for event in events {
                    hint = hint.max_with(judge(&event, watched));
                }
            }
            Err(Errno::EINTR) => {}
            // EAGAIN: that was all. Anything else is no reason to trust what was read.
            Err(Errno::EAGAIN) => return hint,
            Err(_) => return Some(Hint::Overflow),
        }
    }
}

/// An event in a folder matters where its name is one that is watched for: `/usr/bin` has many others.
fn judge(event: &InotifyEvent, watched: &[Watched]) -> Option<Hint> {
    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
        return Some(Hint::Overflow);
    }
    // The end of a watch that follows a deletion, which was told by itself.
    if event.mask.contains(AddWatchFlags::IN_IGNORED) {
        return None;
    }
    let matters = event.name.as_ref().is_none_or(|name| {
        watched.iter().filter(|watched| watched.watch == Some(event.wd)).any(|watched| {
            watched.name.as_ref().is_none_or(|wanted| {
                // A signature beside the binary decides with it.
                let (name, wanted) = (name.as_encoded_bytes(), wanted.as_encoded_bytes());
                name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.ends_with(b".minisig"))
            })
        })
    });
    matters.then_some(Hint::File)
}

trait Strongest {
    fn max_with(self, other: Self) -> Self;
}

impl Strongest for Option<Hint> {
    fn max_with(self, other: Self) -> Self {
        match (self, other) {
            (Some(Hint::Overflow), _) | (_, Some(Hint::Overflow)) => Some(Hint::Overflow),
            (None, other) => other,
            (some, _) => some,
        }
    }
}

fn watched(settings: &Settings) -> Vec<Watched> {
    let TrustSettings { pins_d, libraries_d, manifest, .. } = &settings.trust;
    let file = |path: &Path| {
        Some(Watched { folder: path.parent()?.to_owned(), name: Some(path.file_name()?.to_owned()), watch: None })
    };
    let files = [Some(settings.binary.as_path()), manifest.as_deref()].into_iter().flatten().filter_map(file);
    let folders =
        pins_d.iter().chain(libraries_d).map(|folder| Watched { folder: folder.clone(), name: None, watch: None });
    files.chain(folders).collect()
}

/// The mounts that decide what stands at `path`, one line each: a bind mount over the file, or over a folder on the
/// way to it.
///
/// # Errors
/// What reading `/proc/self/mountinfo` reports.
pub fn mounts_over(path: &Path) -> io::Result<Vec<String>> {
    // A folder on the way may be a link: /bin is one to /usr/bin.
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Ok(parse_mounts(&std::fs::read_to_string("/proc/self/mountinfo")?, &resolved))
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw` → `98:0 /mnt1 on /mnt2`
fn parse_mounts(mountinfo: &str, path: &Path) -> Vec<String> {
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        let (device, root, point) = (fields.nth(2)?, fields.next()?, fields.next()?);
        // Spaces and the like are spelled \040; a path of ours with one never matches, and the timed check has it.
        path.starts_with(point).then(|| format!("{device} {root} on {point}"))
    };
    mountinfo.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::CommandLine;

    fn hints(binary: &Path) -> Hints {
        let flags = [("cryfttee.binary", binary.display().to_string()), ("trust.pins_d", "/nonexistent".to_owned())];
        let command_line = CommandLine { file: Some("/dev/null".into()), flags: flags.into() };
        Hints::open(&Settings::load_with(&command_line, |_| Ok(None)).expect("settings")).expect("opened")
    }

    async fn hint(hints: &mut Hints) -> Option<Hint> {
        let hint = tokio::time::timeout(Duration::from_millis(300), hints.next()).await.ok();
        hints.arm();
        hint
    }

    #[tokio::test]
    async fn each_way_of_changing_the_file_gives_a_hint_and_another_file_beside_it_none() {
        let folder = tempfile::tempdir().expect("folder");
        let (binary, other) = (folder.path().join("program"), folder.path().join("other"));
        std::fs::write(&binary, "one").expect("write");
        let mut hints = hints(&binary);
        assert_eq!(hint(&mut hints).await, None, "nothing happened");
        std::fs::write(&other, "new").expect("write");
        assert_eq!(hint(&mut hints).await, None, "another file was written");
        for round in 0..3 {
            std::fs::write(&binary, "two").expect("write");
            assert_eq!(hint(&mut hints).await, Some(Hint::File), "in place, {round}");
            std::fs::write(&other, "three").expect("write");
            std::fs::rename(&other, &binary).expect("rename");
            assert_eq!(hint(&mut hints).await, Some(Hint::File), "renamed over, {round}");
            std::fs::remove_file(&binary).expect("remove");
            assert_eq!(hint(&mut hints).await, Some(Hint::File), "removed, {round}");
            std::fs::write(&binary, "four").expect("write");
            assert_eq!(hint(&mut hints).await, Some(Hint::File), "made anew, {round}");
        }
        std::fs::write(folder.path().join("program.alice.minisig"), "signature").expect("write");
        assert_eq!(hint(&mut hints).await, Some(Hint::File), "a signature beside it");
    }

    #[test]
    fn an_overflow_is_a_hint_whatever_else_was_told() {
        for other in [None, Some(Hint::File), Some(Hint::Mounts)] {
            assert_eq!(other.max_with(Some(Hint::Overflow)), Some(Hint::Overflow));
            assert_eq!(Some(Hint::Overflow).max_with(other), Some(Hint::Overflow));
        }
    }

    #[test]
    fn the_mounts_on_the_way_to_a_file_are_found_and_no_others() {
        let mountinfo = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 0:5 / /proc rw - proc proc rw\n\
             3 1 8:2 / /usr rw shared:1 - ext4 /dev/sda2 rw\n\
             4 3 8:1 /tmp/evil /usr/bin/cryfttee rw - ext4 /dev/sda1 rw\n";
        let over = parse_mounts(mountinfo, Path::new("/usr/bin/cryfttee"));
        assert_eq!(over, ["8:1 / on /", "8:2 / on /usr", "8:1 /tmp/evil on /usr/bin/cryfttee"]);
        assert_eq!(parse_mounts(mountinfo, Path::new("/usr/bin/other")).len(), 2);
    }
}
