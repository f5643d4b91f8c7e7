//! The executable mappings of a process: what else than its main image it can run.
//!
//! Read from `/proc/<pid>/smaps`, which has what `maps` has and, for each mapping, how much of it is private to
//! the process. Needs `CAP_SYS_PTRACE` for a process of another user.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use contract::Digest;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs};

use super::{MeasureError, PathCheck, Progress, digest, image};

/// Nothing that signs needs more executable mappings; a list that does not end must not fill memory.
const MOST: usize = 4096;

/// A file, by what the kernel calls it. Two mappings of one file have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

impl FileId {
    /// Of an open file.
    ///
    /// # Errors
    /// What `fstat(2)` reports.
    pub fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }
}

/// What backs a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// The kernel's own page of system calls (`[vdso]`, `[vsyscall]`).
    Kernel,
    /// No file: memory that something was written into.
    Anonymous,
    /// A file.
    File {
        /// Which one.
        id: FileId,
        /// Its name as the kernel tells it.
        path: PathBuf,
    },
}

/// One executable mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// `7f12…-7f13…`, as in `maps`.
    pub range: String,
    /// Whether the process can write to what it can execute.
    pub writable: bool,
    /// What backs it.
    pub backing: Backing,
    /// KiB that are no longer the file's but the process's own: somebody wrote to them.
    pub private_kib: u64,
}

/// The executable mappings of a process.
#[derive(Debug, Default)]
pub struct Executable {
    /// In the order of their addresses.
    pub mappings: Vec<Mapping>,
    /// There are more than are looked at, and than any sidecar needs.
    pub too_many: bool,
}

/// The executable mappings of a process.
///
/// # Errors
/// What reading reports; [`io::ErrorKind::InvalidData`] where the kernel says something else than documented.
pub fn executable(pid: u32) -> io::Result<Executable> {
    parse(BufReader::new(File::open(format!("/proc/{pid}/smaps"))?))
}

fn parse(mut smaps: impl io::BufRead) -> io::Result<Executable> {
    let mut found = Executable::default();
    let Executable { mappings, too_many } = &mut found;
    // Whether the lines that follow belong to an executable mapping.
    let mut executable = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        // One line at a time: a process can have tens of thousands of mappings.
        if smaps.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\n');
        // `Name:   0 kB`; a mapping's own line starts with a range.
        let first = text.split_whitespace().next().unwrap_or_default();
        if let Some(name) = first.strip_suffix(':') {
            if executable && matches!(name, "Anonymous" | "Swap") {
                let kib = text.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
                let kib = kib.ok_or_else(|| unexpected(text))?;
                let mapping = mappings.last_mut().ok_or_else(|| unexpected(text))?;
                // Pages of a memory file (the sealed image) may be swapped out without being private.
                if name == "Anonymous" || !is_memory_file(&mapping.backing) {
                    mapping.private_kib += kib;
                }
            }
            continue;
        }
        let (permissions, mapping) = header(text).ok_or_else(|| unexpected(text))?;
        executable = permissions.contains('x');
        if executable {
            if mappings.len() == MOST {
                *too_many = true;
                return Ok(found);
            }
            mappings.push(mapping);
        }
    }
}

/// A path has at most 4,096 bytes, each of which the kernel may spell with four.
const MAX_LINE: u64 = 20_000;

fn unexpected(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected line {line:?}"))
}

/// `55d0-55e0 r-xp 00001000 fd:01 1234   /usr/bin/cryfttee`
fn header(line: &str) -> Option<(&str, Mapping)> {
    let (range, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let (_offset, rest) = rest.split_once(' ')?;
    let (device, rest) = rest.split_once(' ')?;
    let (inode, name) = rest.split_once(' ').unwrap_or((rest, ""));
    if permissions.len() != 4 {
        return None;
    }
    let (major, minor) = device.split_once(':')?;
    let device = nix::sys::stat::makedev(u64::from_str_radix(major, 16).ok()?, u64::from_str_radix(minor, 16).ok()?);
    let inode: u64 = inode.parse().ok()?;
    let name = name.trim_start_matches(' ');
    let backing = match (inode, name) {
        // The process can name its anonymous memory, but the kernel then writes [anon:…].
        (0, "[vdso]" | "[vsyscall]") => Backing::Kernel,
        (0, _) => Backing::Anonymous,
        _ => Backing::File { id: FileId { device, inode }, path: unescape(name) },
    };
    let writable = permissions.contains('w');
    Some((permissions, Mapping { range: range.to_owned(), writable, backing, private_kib: 0 }))
}

/// The kernel writes a line break in a name as `\012`.
fn unescape(name: &str) -> PathBuf {
    PathBuf::from(name.replace("\\012", "\n"))
}

fn is_memory_file(backing: &Backing) -> bool {
    matches!(backing, Backing::File { path, .. } if path.starts_with("/memfd:cryfttee (deleted)"))
}

/// A mapped file beside the main image: the loader, a library. Held open, so that it can be measured again also
/// after its name was given to another file.
#[derive(Debug)]
pub struct Library {
    /// Its name when it was found.
    pub path: PathBuf,
    /// Which file.
    pub id: FileId,
    /// SHA-256 of the file.
    pub digest: Digest,
    file: File,
}

/// A mapped file could not be measured.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum LibraryError {
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error("look at {path}", path = path.display())]
    Look { path: PathBuf, source: io::Error },
    #[error("{path} is another file by now than the one that is mapped", path = path.display())]
    Replaced { path: PathBuf },
}

impl Library {
    /// Opens and measures the file that a mapping names, and makes sure that it is the one that is mapped.
    ///
    /// # Errors
    /// [`LibraryError`], also where others than root and the verifier could have put it there.
    pub fn open(path: &Path, mapped: FileId, check: PathCheck) -> Result<Self, LibraryError> {
        let file = match check {
            PathCheck::Enforced => super::path::open_library(path).map_err(MeasureError::from)?,
            PathCheck::Off => image::open(path, libc::O_NOFOLLOW)?,
        };
        let look = |source| LibraryError::Look { path: path.to_owned(), source };
        if !same_file(&file, mapped).map_err(look)? {
            return Err(LibraryError::Replaced { path: path.to_owned() });
        }
        let (digest, _) = digest(&file, &Progress::default())
            .map_err(|source| MeasureError::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), id: mapped, digest, file })
    }

    /// Whether a file stands under this name that a mapping may be of, because nobody else could have put it there.
    pub fn is_safe(path: &Path, check: PathCheck) -> bool {
        match check {
            PathCheck::Enforced => super::path::open_library(path).is_ok(),
            PathCheck::Off => image::open(path, libc::O_NOFOLLOW).is_ok(),
        }
    }

    /// Measures it again.
    ///
    /// # Errors
    /// What reading reports.
    pub fn measure(&self) -> io::Result<Digest> {
        digest(&self.file, &Progress::default()).map(|(digest, _)| digest)
    }

    /// Whether its name leads to another file by now, as after an upgrade of the package.
    pub fn was_replaced(&self) -> bool {
        let named = std::fs::metadata(&self.path).map(|found| found.ino());
        !named.is_ok_and(|inode| inode == self.id.inode)
    }
}

/// Whether an open file is the one with this id in `maps`. Btrfs and overlayfs give `maps` another device number
/// than `stat`, so there the inode has to do.
///
/// # Errors
/// What `fstat(2)` or `fstatfs(2)` reports.
pub fn same_file(file: &File, mapped: FileId) -> io::Result<bool> {
    let found = FileId::of(file)?;
    if found.inode != mapped.inode || found.device == mapped.device {
        return Ok(found == mapped);
    }
    let kind = fstatfs(file)?.filesystem_type();
    Ok(kind == BTRFS_SUPER_MAGIC || kind == OVERLAYFS_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0-55e0 r--p 00000000 fe:01 1234                     /usr/bin/program
Size:                 20 kB
Anonymous:             4 kB
55e0-55f0 r-xp 00001000 fe:01 1234                     /usr/bin/program
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
7f00-7f10 r-xp 00001000 fe:01 99                       /usr/lib/with space\\012and break.so
Anonymous:             8 kB
Swap:                  4 kB
7f20-7f30 rwxp 00000000 00:00 0
Anonymous:            12 kB
7f40-7f50 r-xp 00000000 00:01 2055                     /memfd:cryfttee (deleted)
Anonymous:             0 kB
Swap:                 64 kB
7ffe-7fff r-xp 00000000 00:00 0                        [vdso]
Anonymous:             0 kB
ffff-fffff --xp 00000000 00:00 0                       [anon:[vdso]]
Anonymous:             0 kB
";

    #[test]
    fn each_executable_mapping_is_told_by_what_backs_it_and_how_much_of_it_is_private() {
        let Executable { mappings, too_many } = parse(SMAPS.as_bytes()).expect("parsed");
        assert!(!too_many);
        let seen: Vec<(&str, bool, u64)> =
            mappings.iter().map(|m| (m.range.as_str(), m.writable, m.private_kib)).collect();
        assert_eq!(
            seen,
            [
                ("55e0-55f0", false, 0),
                ("7f00-7f10", false, 12),
                ("7f20-7f30", true, 12),
                ("7f40-7f50", false, 0),
                ("7ffe-7fff", false, 0),
                ("ffff-fffff", false, 0)
            ]
        );
        let id = FileId { device: nix::sys::stat::makedev(0xfe, 1), inode: 99 };
        assert_eq!(mappings[1].backing, Backing::File { id, path: "/usr/lib/with space\nand break.so".into() });
        assert_eq!(mappings[2].backing, Backing::Anonymous);
        assert_eq!(mappings[4].backing, Backing::Kernel);
        assert_eq!(mappings[5].backing, Backing::Anonymous, "a process can name its memory, but not like this");
    }

    #[test]
    fn what_the_kernel_does_not_write_is_an_error_and_not_an_empty_list() {
        for text in
            ["garbage", "55d0-55e0 r-x 0 fe:01 1", "1-2 r-xp 0 zz:01 1 /x", "1-2 r-xp 0 fe:01 1 /x\nSwap: x kB\n"]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_mappings_of_this_very_process_are_its_image_libraries_and_the_kernels_page() {
        let this = File::open("/proc/self/exe").expect("open");
        let mappings = executable(std::process::id()).expect("read").mappings;
        let of_file = |mapping: &&Mapping| match &mapping.backing {
            Backing::File { id, .. } => same_file(&this, *id).expect("stat"),
            _ => false,
        };
        assert!(mappings.iter().any(|mapping| of_file(&mapping)), "{mappings:?}");
        assert!(mappings.iter().all(|m| !m.writable && m.private_kib == 0), "{mappings:?}");
        assert!(mappings.iter().any(|m| m.backing == Backing::Kernel), "{mappings:?}");
        for mapping in &mappings {
            if let Backing::File { id, path } = &mapping.backing {
                let library = Library::open(path, *id, PathCheck::Off).expect("measured");
                assert_eq!(library.measure().expect("again"), library.digest);
                assert!(!library.was_replaced());
            }
        }
    }

    #[test]
    fn a_list_without_an_end_is_cut_and_says_so() {
        let line = "7f00-7f10 r-xp 00000000 00:00 0 \nAnonymous: 4 kB\n";
        let found = parse(line.repeat(MOST + 1).as_bytes()).expect("parsed");
        assert!(found.too_many && found.mappings.len() == MOST);
    }

    #[test]
    fn another_file_under_the_mapped_ones_name_is_not_taken_for_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("library.so");
        std::fs::write(&path, "old").expect("write");
        let mapped = FileId::of(&File::open(&path).expect("open")).expect("stat");
        let library = Library::open(&path, mapped, PathCheck::Off).expect("measured");
        std::fs::write(folder.path().join("new"), "new").expect("write");
        std::fs::rename(folder.path().join("new"), &path).expect("rename");
        assert!(library.was_replaced());
        assert_eq!(library.measure().expect("the old one, which is held open"), library.digest);
        assert!(matches!(Library::open(&path, mapped, PathCheck::Off), Err(LibraryError::Replaced { .. })));
    }
}
