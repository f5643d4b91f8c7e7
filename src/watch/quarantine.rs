//! Evidence of a finding, kept for whoever looks into it: gathered from the process before it is killed, written after.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::Digest;
use serde::Serialize;

use crate::text::one_line;
use crate::{clock, durable, measure};

/// The folder in the verifier's state folder.
const FOLDER: &str = "quarantine";
/// How many findings are kept; the oldest gives way.
const MOST: usize = 8;
/// How much of one file of `/proc` is kept.
const MOST_BYTES: u64 = 1024 * 1024;
/// An image that is larger is not kept, only its digest.
const LARGEST_IMAGE: u64 = 32 * 1024 * 1024;

/// What was found in a process, while it was still there.
#[derive(Debug, Clone)]
pub struct Evidence {
    summary: Summary,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// `finding.json`.
#[derive(Debug, Clone, Serialize)]
struct Summary {
    /// Seconds since 1970.
    at: u64,
    utc: String,
    boot_id: String,
    pid: u32,
    finding: String,
    /// Of the image that was appraised.
    expected: String,
    /// Of the image that runs; a reason where it could not be measured.
    running: String,
    /// Where `/proc/<pid>/exe` points.
    link: String,
}

/// Evidence while it is gathered, from the most telling to the largest: whoever cannot wait any longer takes what is
/// there. A process that makes itself slow to look at thereby hides nothing but what was not reached yet.
#[derive(Debug, Clone)]
pub struct Gathering(Arc<Mutex<Evidence>>);

impl Gathering {
    /// What is known without a look.
    pub fn begin(pid: u32, expected: &Digest, finding: &str, last_words: String) -> Self {
        let (at, unknown) = (clock::now(), |_| "unknown".to_owned());
        let summary = Summary {
            at,
            utc: clock::utc(at),
            boot_id: clock::boot_id().unwrap_or_else(unknown),
            pid,
            finding: finding.to_owned(),
            expected: expected.to_string(),
            running: "not measured in time".to_owned(),
            link: fs::read_link(format!("/proc/{pid}/exe")).map_or_else(unknown, |link| link.display().to_string()),
        };
        let files = vec![("last-words", last_words.into_bytes())];
        Self(Arc::new(Mutex::new(Evidence { summary, files })))
    }

    /// Looks at the process, which had better be frozen. Whatever cannot be read is left out: part of the evidence is better
    /// than none. Reads files: for a thread of its own.
    pub fn fill(&self) {
        let pid = self.get().summary.pid;
        for name in ["status", "cmdline", "maps", "smaps"] {
            if let Ok(bytes) = read_some(&PathBuf::from(format!("/proc/{pid}/{name}")), MOST_BYTES) {
                self.get().files.push((name, bytes));
            }
        }
        let (running, image) = running(pid);
        // What was appraised is on disk and in the release; something else is nowhere else.
        let another = running != self.get().summary.expected;
        self.get().summary.running = running;
        if another && let Some(image) = image.and_then(|image| read_image(image).ok()) {
            self.get().files.push(("image", image));
        }
    }

    /// What is there now.
    pub fn take(&self) -> Evidence {
        self.get().clone()
    }

    fn get(&self) -> MutexGuard<'_, Evidence> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evidence {
    /// Writes it into a folder of its own, and removes the oldest where there are too many. Gives the folder.
    ///
    /// # Errors
    /// The operation that failed; what was written until then stays.
    pub fn keep(&self, state_dir: &Path) -> io::Result<PathBuf> {
        let all = state_dir.join(FOLDER);
        durable::make_folder(&all)?;
        remove_oldest(&all, MOST - 1)?;
        let name = format!("{}-pid{}", self.summary.utc.replace(':', "-"), self.summary.pid);
        let folder = (0..MOST).map(|count| match count {
            0 => all.join(&name),
            count => all.join(format!("{name}-{count}")),
        });
        // Two findings in one second, of the same pid.
        let folder = folder.into_iter().find(|folder| !folder.exists()).unwrap_or_else(|| all.join(&name));
        durable::make_folder(&folder)?;
        for (name, bytes) in &self.files {
            durable::write(&folder.join(name), bytes)?;
        }
        // Last, so that a folder that has it is complete.
        let summary = serde_json::to_string_pretty(&self.summary).map_err(io::Error::other)?;
        durable::write(&folder.join("finding.json"), format!("{summary}\n").as_bytes())?;
        Ok(folder)
    }
}

/// The digest of the running image, and the image where it is not too large.
fn running(pid: u32) -> (String, Option<File>) {
    let image = match measure::open_running(pid) {
        Ok(image) => image,
        Err(error) => return (one_line(&error), None),
    };
    let digest = measure::digest_of_running(pid, &image);
    let small = image.metadata().is_ok_and(|found| found.len() <= LARGEST_IMAGE);
    (digest.map_or_else(|error| one_line(&error), |digest| digest.to_string()), small.then_some(image))
}

fn read_image(image: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image.take(LARGEST_IMAGE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_some(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn remove_oldest(all: &Path, keep: usize) -> io::Result<()> {
    let mut folders: Vec<PathBuf> = fs::read_dir(all)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    // The names begin with the time.
    folders.sort();
    let surplus = folders.len().saturating_sub(keep);
    for entry in &folders[..surplus] {
        let is_folder = fs::symlink_metadata(entry)?.is_dir();
        if is_folder { fs::remove_dir_all(entry)? } else { fs::remove_file(entry)? }
    }
    Ok(())
}

/// Removes all evidence but the newest, to make room for what matters more.
///
/// # Errors
/// What listing or removing reports.
pub fn forget_oldest(state_dir: &Path) -> io::Result<()> {
    remove_oldest(&state_dir.join(FOLDER), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(expected: Digest, finding: &str, last_words: &str) -> Evidence {
        let gathering = Gathering::begin(std::process::id(), &expected, finding, last_words.to_owned());
        gathering.fill();
        gathering.take()
    }

    fn own_digest() -> Digest {
        measure::running(std::process::id()).expect("measured")
    }

    #[test]
    fn what_is_kept_tells_the_finding_and_is_bounded_in_number() {
        let state = tempfile::tempdir().expect("folder");
        let mut last = None;
        for round in 0..MOST + 3 {
            let evidence = gathered(Digest::new([0; 32]), &format!("finding {round}"), "the end\n");
            last = Some(evidence.keep(state.path()).expect("kept"));
        }
        let folder = last.expect("the last one");
        assert_eq!(fs::read_dir(state.path().join(FOLDER)).expect("list").count(), MOST);
        let summary = fs::read_to_string(folder.join("finding.json")).expect("read");
        assert!(summary.contains(&own_digest().to_string()) && summary.contains("\"boot_id\""), "{summary}");
        assert_eq!(fs::read_to_string(folder.join("last-words")).expect("read"), "the end\n");
        assert!(fs::read_to_string(folder.join("maps")).expect("read").contains("r-xp"));
        assert!(folder.join("image").exists());
    }

    #[test]
    fn an_image_that_was_appraised_is_not_kept_once_more() {
        let state = tempfile::tempdir().expect("folder");
        let folder = gathered(own_digest(), "finding", "").keep(state.path()).expect("kept");
        assert!(!folder.join("image").exists());
        assert!(folder.join("finding.json").exists());
    }

    #[test]
    fn evidence_that_is_taken_early_has_the_finding_and_the_last_words() {
        let state = tempfile::tempdir().expect("folder");
        let gathering = Gathering::begin(std::process::id(), &Digest::new([0; 32]), "finding", "the end\n".to_owned());
        let folder = gathering.take().keep(state.path()).expect("kept");
        let summary = fs::read_to_string(folder.join("finding.json")).expect("read");
        assert!(summary.contains("not measured in time") && summary.contains("\"finding\": \"finding\""), "{summary}");
        assert_eq!(fs::read_to_string(folder.join("last-words")).expect("read"), "the end\n");
    }
}
