//! One scenario in one container: booted from a root file system that no scenario can change, by a systemd of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::package::Package;
use super::rootfs::{self, Suite};
use super::scenario::{self, Scenario};
use super::soft_tpm::SoftTpm;

/// From boot to shutdown. A scenario takes seconds; whatever takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// Runs the scenario and then ends the container with its exit code.
const UNIT: &str = "[Unit]\nDescription=One scenario\n\
    [Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sh /scenarios/support/boot.sh ";

/// Where containers of one suite come from.
pub(super) struct Container<'a> {
    pub(super) suite: Suite,
    pub(super) root: PathBuf,
    pub(super) package: &'a Package,
    pub(super) target: &'a Path,
}

/// How a scenario ended.
pub(super) enum Verdict {
    Passed,
    /// The scenario found out that this host cannot show its claim.
    Skipped {
        reason: String,
    },
    /// `evidence` is what the scenario printed, then the journal of the units.
    Failed {
        reason: String,
        evidence: String,
    },
}

impl Container<'_> {
    pub(super) fn run(&self, scenario: &Scenario) -> Verdict {
        match self.boot(scenario) {
            Ok(verdict) => verdict,
            Err(reason) => Verdict::Failed { reason, evidence: String::new() },
        }
    }

    fn boot(&self, scenario: &Scenario) -> Result<Verdict, String> {
        // The only folder that the container and the host share. It stays, for whoever wants to look.
        let share = self.target.join(format!("systemd-tests/{}/{}", self.suite, scenario.name));
        make_anew(&share)?;
        let disk = share.with_extension("disk");
        if scenario.boots > 1 {
            for folder in ["upper", "work", "root"] {
                make_anew(&disk.join(folder))?;
            }
        }
        let mut verdict = Verdict::Passed;
        for boot in 1..=scenario.boots {
            verdict = self.boot_once(scenario, boot, &share, (scenario.boots > 1).then_some(&disk))?;
            if !matches!(verdict, Verdict::Passed) {
                break;
            }
        }
        if scenario.boots > 1 {
            remove(&disk)?;
        }
        Ok(verdict)
    }

    fn boot_once(
        &self,
        scenario: &Scenario,
        boot: u32,
        share: &Path,
        disk: Option<&PathBuf>,
    ) -> Result<Verdict, String> {
        let describe = |error: std::io::Error| format!("prepare {}: {error}", share.display());
        let passed = share.join("passed");
        // Of the boot before.
        match fs::remove_file(&passed) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(describe(error)),
            _ => {}
        }
        let unit = share.join("scenario.service");
        fs::write(&unit, format!("{UNIT}{}\nEnvironment=BOOT={boot}\n", scenario.name)).map_err(describe)?;
        let console = File::create(share.join("console")).map_err(describe)?;
        let errors = console.try_clone().map_err(describe)?;

        let _tpm = match scenario.tpm.then(|| SoftTpm::start(share)).transpose() {
            Ok(tpm) => tpm,
            Err(reason) => return Ok(Verdict::Skipped { reason }),
        };
        let _alone = rootfs::lock(self.target)?;
        let mut container = self
            .nspawn(share, &unit, disk)
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("start systemd-nspawn: {error}"))?;
        let ended = wait(&mut container).map_err(|error| format!("wait for systemd-nspawn: {error}"))?;
        let passed = passed.exists();
        Ok(match ended {
            // The exit code alone would also be 0 for a container that was shut down before the scenario's end.
            Some(status) if status.success() && passed => match told(share, "SKIPPED: ") {
                Some(reason) => Verdict::Skipped { reason },
                None => Verdict::Passed,
            },
            Some(status) => Verdict::Failed { reason: reason(share, status), evidence: evidence(share) },
            None => Verdict::Failed {
                reason: format!("not at an end after {} s; killed", DEADLINE.as_secs()),
                evidence: evidence(share),
            },
        })
    }

    fn nspawn(&self, share: &Path, unit: &Path, disk: Option<&PathBuf>) -> Command {
        let mut nspawn = disk.map_or_else(|| self.in_memory(), |disk| self.on_disk(disk));
        nspawn.args(["--quiet", "--register=no", "--console=pipe", "--boot"]);
        // Loopback only: the signer's port is free whatever runs on this host, and no scenario can reach out.
        nspawn.arg("--private-network");
        if !Path::new("/run/systemd/system").exists() {
            // No systemd on this host that could make a control group for the container.
            nspawn.arg("--keep-unit");
        }
        let bind = |from: &Path, to: &str| format!("{}:{to}", from.display());
        nspawn.arg("--bind").arg(bind(share, "/share"));
        nspawn.arg("--bind-ro").arg(bind(&self.package.tree, "/package"));
        nspawn.arg("--bind-ro").arg(bind(&self.package.packages, "/packages"));
        nspawn.arg("--bind-ro").arg(bind(&scenario::folder(), "/scenarios"));
        nspawn.arg("--bind-ro").arg(bind(&super::host::workspace().join("README.md"), "/README.md"));
        nspawn.arg("--bind-ro").arg(bind(unit, "/etc/systemd/system/scenario.service"));
        nspawn.args(["systemd.unit=multi-user.target", "systemd.wants=scenario.service"]);
        nspawn
    }

    /// Writes go to memory and are gone with the container.
    fn in_memory(&self) -> Command {
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.arg("--volatile=overlay").arg("-D").arg(&self.root);
        nspawn
    }

    /// Writes go to a folder, where the next boot of the same scenario finds them. The overlay is mounted in a mount namespace
    /// of the container's own, so it is gone with the container, also when that is killed.
    fn on_disk(&self, disk: &Path) -> Command {
        const MOUNT_AND_BOOT: &str = r#"mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root" &&
            root=$2/root && shift 2 && exec systemd-nspawn -D "$root" "$@""#;
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", MOUNT_AND_BOOT, "sh"]).arg(&self.root).arg(disk);
        unshare
    }
}

fn make_anew(folder: &Path) -> Result<(), String> {
    remove(folder)?;
    fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The end of the container, or none if it had to be killed.
fn wait(container: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = container.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > DEADLINE {
            // The container's init dies with systemd-nspawn, and everything in it with init.
            container.kill()?;
            container.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the scenario said last after `word`.
fn told(share: &Path, word: &str) -> Option<String> {
    let output = fs::read(share.join("output")).unwrap_or_default();
    let output = String::from_utf8_lossy(&output);
    output.lines().rev().find_map(|line| line.strip_prefix(word)).map(str::to_owned)
}

/// The claim that did not hold, as the scenario said it.
fn reason(share: &Path, status: ExitStatus) -> String {
    let output = share.join("output").metadata().map_or(0, |output| output.len());
    match told(share, "FAILED: ") {
        Some(claim) => format!("FAILED: {claim}"),
        None if output == 0 => format!("the container ended with {status} before the scenario began"),
        None => format!("a command of the scenario failed ({status})"),
    }
}

fn evidence(share: &Path) -> String {
    let mut all = String::new();
    // What the console has is of use only where the scenario did not begin.
    for name in ["output", "journal", "console"] {
        if name == "console" && !all.is_empty() {
            break;
        }
        let text = fs::read(share.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if !text.trim().is_empty() {
            all.push_str(&format!("--- {name}\n{}\n", text.trim_end()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scenario_said_last_is_what_is_reported_and_a_word_inside_a_line_is_not() {
        let share = tempfile::tempdir().expect("a folder");
        assert_eq!(told(share.path(), "SKIPPED: "), None);
        let output = "it was not SKIPPED: no\nSKIPPED: first\n\u{ff}\nSKIPPED: no memory\nmore\n";
        fs::write(share.path().join("output"), output).expect("write");
        assert_eq!(told(share.path(), "SKIPPED: ").as_deref(), Some("no memory"));
        assert_eq!(told(share.path(), "FAILED: "), None);
    }
}
