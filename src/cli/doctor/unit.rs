//! What systemd says of the unit, through `systemctl show`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The properties that are judged.
const PROPERTIES: &str = "LoadState,NeedDaemonReload,Type,NotifyAccess,WatchdogUSec,KillMode,User,NoNewPrivileges,\
                          RestrictNamespaces,MemoryDenyWriteExecute,ProtectSystem,ProtectProc,LimitCORE,\
                          SystemCallArchitectures,CapabilityBoundingSet,UnsetEnvironment,\
                          Group,SupplementaryGroups,PrivateDevices,DevicePolicy,DeviceAllow,BindPaths,MainPID";

/// The properties of a unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit(pub(super) BTreeMap<String, String>);

impl Unit {
    pub(super) fn read(name: &str) -> Result<Self, String> {
        ask("systemctl", &["show", name, "--property", PROPERTIES]).map(|text| Self::parse(&text))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut properties = BTreeMap::<String, String>::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            // Of some lists, systemd prints a line for each entry.
            properties
                .entry(name.to_owned())
                .and_modify(|values| *values = format!("{values} {value}"))
                .or_insert_with(|| value.to_owned());
        }
        Self(properties)
    }

    /// Empty where systemd is too old to know the property.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Whether this host was booted with systemd.
pub(super) fn is_there() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether somebody keeps the clock in time; none where nobody says.
pub(super) fn clock_synchronised() -> Option<bool> {
    match ask("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).ok()?.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// What a program prints. A bus that does not answer must not keep the doctor.
fn ask(program: &'static str, arguments: &[&str]) -> Result<String, String> {
    const AT_MOST: Duration = Duration::from_secs(10);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
    let (answered, answer) = mpsc::channel();
    std::thread::spawn(move || answered.send(command.output()));
    match answer.recv_timeout(AT_MOST) {
        Err(_) => Err(format!("{program} does not answer within {AT_MOST:?}")),
        Ok(Err(error)) => Err(format!("start {program}: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
