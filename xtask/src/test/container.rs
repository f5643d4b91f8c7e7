//! One scenario in one container: booted from a root file system that no scenario can change, by a systemd of its own. A
//! scenario about several hosts has a container for each, on a network that leads nowhere else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::booted::{self, Booted};
use super::group::Group;
use super::host::workspace;
use super::network::Network;
use super::package::Package;
use super::rootfs::{self, Lane, Suite};
use super::scenario::{self, Scenario};
use super::soft_tpm::SoftTpm;

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
#[derive(Debug)]
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

/// What one container is booted with.
struct Host<'a> {
    /// Its name, and the network it is on. None: the container is alone.
    named: Option<(&'a str, &'a Network)>,
    /// The only folder that the container and this host share. It stays, for whoever wants to look.
    share: PathBuf,
    /// Where its writes go. None: to memory, and they are gone with the container.
    disk: Option<PathBuf>,
}

impl Container<'_> {
    pub(super) fn run(&self, scenario: &Scenario) -> Verdict {
        let share = self.target.join(format!("systemd-tests/{}/{}", self.suite, scenario.name));
        let verdict = make_anew(&share).and_then(|()| match scenario.hosts.as_slice() {
            [] => self.run_alone(scenario, share),
            hosts => self.run_together(scenario, hosts, &share),
        });
        verdict.unwrap_or_else(|reason| Verdict::Failed { reason, evidence: String::new() })
    }

    fn run_alone(&self, scenario: &Scenario, share: PathBuf) -> Result<Verdict, String> {
        let disk = (scenario.boots > 1).then(|| share.with_extension("disk"));
        disk.iter().try_for_each(|disk| make_disk(disk))?;
        let host = Host { named: None, share, disk };
        let mut verdict = Verdict::Passed;
        for boot in 1..=scenario.boots {
            let _tpm = match scenario.tpm.then(|| SoftTpm::start(&host.share)).transpose() {
                Ok(tpm) => tpm,
                Err(reason) => return Ok(Verdict::Skipped { reason }),
            };
            let _alone = rootfs::lock(self.suite, lane(scenario), self.target)?;
            verdict = booted::all([self.boot(scenario, boot, &host)?].into(), scenario.deadline)?;
            if !matches!(verdict, Verdict::Passed) {
                break;
            }
        }
        host.disk.iter().try_for_each(|disk| remove(disk))?;
        Ok(verdict)
    }

    fn run_together(&self, scenario: &Scenario, hosts: &[String], share: &Path) -> Result<Verdict, String> {
        let _alone = rootfs::lock(self.suite, Lane::Main, self.target)?;
        let network = Network::make(self.suite)?;
        let disks = share.with_extension("disk");
        let mut all = Vec::new();
        for name in hosts {
            let (own, disk) = (share.join(name), disks.join(name));
            make_anew(&own)?;
            make_disk(&disk)?;
            identify(&disk, name)?;
            all.push(Host { named: Some((name, &network)), share: own, disk: Some(disk) });
        }
        let booted = all.iter().map(|host| self.boot(scenario, 1, host)).collect::<Result<_, _>>()?;
        let verdict = booted::all(booted, scenario.deadline)?;
        remove(&disks)?;
        Ok(verdict)
    }

    fn boot(&self, scenario: &Scenario, boot: u32, host: &Host<'_>) -> Result<Booted, String> {
        let share = &host.share;
        let describe = |error: std::io::Error| format!("prepare {}: {error}", share.display());
        // Of the boot before.
        match fs::remove_file(share.join(booted::PASSED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(describe(error)),
            _ => {}
        }
        let unit = share.join("scenario.service");
        let name = host.named.map_or("", |(name, _)| name);
        let text = format!("{UNIT}{}\nEnvironment=BOOT={boot} HOST={name}\n", scenario.name);
        fs::write(&unit, text).map_err(describe)?;
        let console = File::create(share.join("console")).map_err(describe)?;
        let errors = console.try_clone().map_err(describe)?;

        let mut nspawn = self.nspawn(scenario, host, &unit);
        let group = no_systemd_here().then(Group::make).transpose()?;
        if let Some(group) = &group {
            nspawn = group.enter(&nspawn);
        }
        let container = nspawn
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("start systemd-nspawn: {error}"))?;
        Ok(Booted::new(container, name, share.clone(), group))
    }

    fn nspawn(&self, scenario: &Scenario, host: &Host<'_>, unit: &Path) -> Command {
        let mut nspawn = host.disk.as_ref().map_or_else(|| self.in_memory(), |disk| self.on_disk(disk));
        nspawn.args(["--quiet", "--register=no", "--console=pipe", "--boot"]);
        if scenario.beside {
            // Two containers from one tree have one name otherwise, and the second is refused.
            nspawn.arg(format!("--machine=beside-{}-{}", self.suite, std::process::id()));
        }
        if no_systemd_here() {
            nspawn.arg("--keep-unit");
        }
        let bind = |from: &Path, to: &str| format!("{}:{to}", from.display());
        match host.named {
            // Loopback only: the signer's port is free whatever runs on this host, and no scenario can reach out.
            None => drop(nspawn.arg("--private-network")),
            Some((name, network)) => {
                nspawn.arg(format!("--machine={name}-{}-{}", self.suite, std::process::id()));
                nspawn.arg(format!("--network-bridge={}", network.name()));
                // What the hosts' operators carry from one to another by hand.
                let all = host.share.parent().unwrap_or(&host.share);
                nspawn.arg("--bind").arg(bind(all, "/hosts"));
            }
        }
        nspawn.arg("--bind").arg(bind(&host.share, "/share"));
        nspawn.arg("--bind-ro").arg(bind(&self.package.tree, "/package"));
        nspawn.arg("--bind-ro").arg(bind(&self.package.packages, "/packages"));
        nspawn.arg("--bind-ro").arg(bind(&scenario::folder(), "/scenarios"));
        nspawn.arg("--bind-ro").arg(bind(&workspace().join("README.md"), "/README.md"));
        nspawn.arg("--bind-ro").arg(bind(&workspace().join("docs"), "/docs"));
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

    /// Writes go to a folder, where the next boot of the same scenario finds them, and which no other container has. The overlay is mounted in a mount namespace
    /// of the container's own, so it is gone with the container, also when that is killed.
    fn on_disk(&self, disk: &Path) -> Command {
        const MOUNT_AND_BOOT: &str = r#"mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root" &&
            root=$2/root && shift 2 && exec systemd-nspawn -D "$root" "$@""#;
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", MOUNT_AND_BOOT, "sh"]).arg(&self.root).arg(disk);
        unshare
    }
}

const fn lane(scenario: &Scenario) -> Lane {
    if scenario.beside { Lane::Beside } else { Lane::Main }
}

/// Whether no systemd on this host could make a control group for a container.
fn no_systemd_here() -> bool {
    !Path::new("/run/systemd/system").exists()
}

/// Gives the host a name and a machine-id of its own; those in the root file system are this host's, and one for all.
fn identify(disk: &Path, name: &str) -> Result<(), String> {
    let id = Sha256::digest(name)[..16].iter().fold(String::new(), |id, byte| id + &format!("{byte:02x}"));
    let etc = disk.join("upper/etc");
    fs::create_dir_all(&etc)
        .and_then(|()| fs::write(etc.join("machine-id"), id + "\n"))
        .and_then(|()| fs::write(etc.join("hostname"), format!("{name}\n")))
        .map_err(|error| format!("write into {}: {error}", etc.display()))
}

fn make_disk(disk: &Path) -> Result<(), String> {
    ["upper", "work", "root"].iter().try_for_each(|folder| make_anew(&disk.join(folder)))
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
