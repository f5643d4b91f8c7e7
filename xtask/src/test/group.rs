//! A control group for each container, where no systemd on this host makes one: two in one group would end each other's
//! services.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Moves itself into the folders before `--`, and becomes what comes after it.
const ENTER: &str = r#"until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@""#;

/// One group, in each hierarchy that systemd uses; it is gone with this value.
pub(super) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// Errors: a folder cannot be made.
    pub(super) fn make() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cryftgo-tee-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new("/sys/fs/cgroup");
        let mut group = Self { folders: Vec::new() };
        for hierarchy in [root.to_owned(), root.join("systemd"), root.join("unified")] {
            if hierarchy.join("cgroup.procs").exists() {
                let folder = hierarchy.join(&name);
                fs::create_dir(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
                group.folders.push(folder);
            }
        }
        Ok(group)
    }

    /// The same command, in this group.
    pub(super) fn enter(&self, command: &Command) -> Command {
        let mut entering = Command::new("sh");
        entering.args(["-c", ENTER, "sh"]).args(&self.folders).arg("--");
        entering.arg(command.get_program()).args(command.get_args());
        entering
    }
}

impl Group {
    /// Kills what is in it. A systemd-nspawn that is killed leaves its container running.
    pub(super) fn kill(&self) {
        self.folders.iter().for_each(|folder| kill_in(folder));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Those that were killed are in it until the kernel is done with them.
        let until = Instant::now() + Duration::from_secs(2);
        while self.folders.iter().filter(|folder| !remove(folder)).count() > 0 {
            if Instant::now() > until {
                eprintln!("{:?} are not empty, and stay", self.folders);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn kill_in(folder: &Path) {
    for pid in fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Ok(pid) = pid.parse() {
            // It may have ended by itself.
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    folders_in(folder).for_each(|folder| kill_in(&folder));
}

/// With what the container's systemd made in it. Whether it is gone.
fn remove(folder: &Path) -> bool {
    for inner in folders_in(folder) {
        remove(&inner);
    }
    fs::remove_dir(folder).map_or_else(|error| error.kind() == ErrorKind::NotFound, |()| true)
}

fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}
