//! The line on the TPM: whether there is one, whether it answers, and whether the verifier can use it: by its unit and its
//! groups at the next start, and as it runs now.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use contract::Digest;
use nix::unistd::{Gid, Group, User, getgrouplist};

use super::Check;
use super::facts::Node;
use super::unit::Unit;
use crate::config::{TpmMode, TpmSettings};
use crate::text::one_line;
use crate::tpm::{AT_MOST, Tpm};

/// A TPM: who may open its device, what it says of the PCR, and who the verifier is.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) node: Node,
    pub(super) value: Result<Digest, String>,
    /// The groups of the unit's user in the group database.
    pub(super) groups: Vec<String>,
    /// None where none runs, or this user may not look.
    pub(super) running: Option<Running>,
}

/// The verifier that runs: it keeps the groups and the view of the devices that it was started with.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) sees_it: bool,
    pub(super) groups: Vec<String>,
}

/// Asks what is there for the value of the PCR, and changes nothing.
pub(super) fn look(
    settings: &TpmSettings,
    node: Result<Option<Node>, String>,
    unit: Option<&Unit>,
) -> Result<Option<Found>, String> {
    let ask = || Tpm::open(&settings.device, AT_MOST).and_then(|mut tpm| tpm.pcr(settings.pcr));
    let node = if settings.mode == TpmMode::Off { None } else { node? };
    Ok(node.map(|node| Found {
        node,
        value: ask().map_err(|error| one_line(&error)),
        groups: unit.map(|unit| groups_of(unit.get("User"))).unwrap_or_default(),
        running: unit.and_then(|unit| running(unit.get("MainPID"), &settings.device)),
    }))
}

fn groups_of(user: &str) -> Vec<String> {
    let known = User::from_name(user).ok().flatten().zip(CString::new(user).ok());
    let ids = known.and_then(|(user, name)| getgrouplist(&name, user.gid).ok());
    ids.unwrap_or_default().into_iter().map(name_of).collect()
}

fn running(pid: &str, device: &Path) -> Option<Running> {
    let process = Path::new("/proc").join(pid);
    let root = process.join("root");
    // Another user may read who is in which group, but not what it sees.
    fs::metadata(&root).ok()?;
    let sees_it = fs::symlink_metadata(root.join(device.strip_prefix("/").unwrap_or(device))).is_ok();
    let status = fs::read_to_string(process.join("status")).ok()?;
    let ids = status.lines().filter_map(|line| line.strip_prefix("Gid:").or_else(|| line.strip_prefix("Groups:")));
    let ids = ids.flat_map(str::split_whitespace).filter_map(|id| id.parse().ok());
    Some(Running { sees_it, groups: ids.map(|id| name_of(Gid::from_raw(id))).collect() })
}

fn name_of(id: Gid) -> String {
    Group::from_gid(id).ok().flatten().map_or_else(|| id.to_string(), |group| group.name)
}

pub(super) fn tpm(settings: &TpmSettings, found: &Result<Option<Found>, String>, unit: Option<&Unit>) -> Check {
    const NAME: &str = "tpm";
    let device = settings.device.display();
    let demanded = settings.mode == TpmMode::Required;
    // What is demanded and not there keeps the service down; otherwise there is only no quote.
    let lacks = |text: String, fix: &str| {
        if demanded { Check::wrong(NAME, text, fix) } else { Check::warning(NAME, text, fix) }
    };
    let found = match found {
        _ if settings.mode == TpmMode::Off => return Check::ok(NAME, "not used: tpm.mode = \"off\""),
        Ok(Some(found)) => found,
        Ok(None) if demanded => {
            return Check::wrong(NAME, format!("there is none at {device}"), "tpm.device, or tpm.mode = \"auto\"");
        }
        Ok(None) => return Check::ok(NAME, format!("there is none at {device}: evidence has no quote")),
        Err(why) => return lacks(format!("{device}: {why}"), "run this as root"),
    };
    let value = match &found.value {
        Ok(value) => value,
        Err(why) => return lacks(why.clone(), "run this as root; if it is, mend the TPM or say tpm.mode = \"off\""),
    };
    if let Some(Obstacle { why, fix }) = unit.and_then(|unit| obstacle(settings, found, unit)) {
        return lacks(format!("{device} is there, and {why}"), &fix);
    }
    Check::ok(NAME, format!("{device} answers: PCR {} has {value}", settings.pcr))
}

/// What keeps the verifier from the TPM.
struct Obstacle {
    why: String,
    fix: String,
}

/// The first one, in the order in which one would mend them.
fn obstacle(settings: &TpmSettings, found: &Found, unit: &Unit) -> Option<Obstacle> {
    const RESTART: &str = "systemctl restart cryftgo-tee";
    let Found { node, groups, running, .. } = found;
    let user = unit.get("User");
    if let Some(why) = withheld(&settings.device, node, unit) {
        let device = settings.device.display();
        // As shipped, the unit knows one device; another name, or a drop-in that takes this one away, is an operator's.
        let fix = format!(
            "under [Service] of the unit, or of a drop-in that takes them away (systemctl cat cryftgo-tee.service): \
             BindPaths=-{device} and DeviceAllow=char-tpm rw; systemctl daemon-reload; {RESTART}"
        );
        return Some(Obstacle { why: why.to_owned(), fix });
    }
    let of_unit = [unit.get("Group"), unit.get("SupplementaryGroups")].join(" ");
    if !may_open(node, user, of_unit.split(' ').chain(groups.iter().map(String::as_str))) {
        let Node { owner, group, mode, .. } = node;
        let fix = match group.as_str() {
            // As the kernel makes it: no rule was applied.
            _ if mode & 0o060 != 0o060 => "udevadm trigger --settle --subsystem-match=tpmrm".to_owned(),
            "tss" => "systemd-sysusers cryftgo-tee.conf".to_owned(),
            group => format!("usermod -aG {group} {user}"),
        };
        let why = format!("its owner is {owner}:{group}, mode {mode:04o}: the verifier may not open it");
        return Some(Obstacle { why, fix: format!("{fix}; {RESTART}") });
    }
    let running = running.as_ref()?;
    let why = match running {
        Running { sees_it: false, .. } => "the verifier that runs was started before it was",
        _ if !may_open(node, user, running.groups.iter().map(String::as_str)) => {
            "the verifier that runs was started before it was allowed to open it"
        }
        Running { .. } => return None,
    };
    Some(Obstacle { why: why.to_owned(), fix: RESTART.to_owned() })
}

/// Whether the unit keeps the device away, and how.
fn withheld(device: &Path, node: &Node, unit: &Unit) -> Option<&'static str> {
    let device = device.display().to_string();
    let is_bound = unit.get("BindPaths").split([' ', ':']).any(|path| path.trim_start_matches('-') == device);
    if device.starts_with("/dev/") && unit.get("PrivateDevices") == "yes" && !is_bound {
        return Some("the unit hides it from the verifier");
    }
    let is_allowed = unit.get("DeviceAllow").split(' ').any(|allowed| allowed == "char-tpm" || allowed == device);
    if !node.socket && matches!(unit.get("DevicePolicy"), "closed" | "strict") && !is_allowed {
        return Some("the unit forbids it to the verifier");
    }
    None
}

fn may_open<'a>(node: &Node, user: &str, mut groups: impl Iterator<Item = &'a str>) -> bool {
    matches!(user, "" | "root")
        || node.mode & 0o006 == 0o006
        || (node.owner == user && node.mode & 0o600 == 0o600)
        || (node.mode & 0o060 == 0o060 && groups.any(|group| group == node.group))
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{self, Ok as Good, Warning, Wrong};
    use super::*;

    const SHIPPED: &str = "User=cryftgo-tee\nGroup=cryftgo-tee\nSupplementaryGroups=\nPrivateDevices=yes\n\
                           DevicePolicy=closed\nDeviceAllow=char-rtc r\nDeviceAllow=char-tpm rw\n\
                           BindPaths=-/dev/tpmrm0:/dev/tpmrm0:rbind\n";

    fn settings(mode: TpmMode) -> TpmSettings {
        TpmSettings { mode, device: "/dev/tpmrm0".into(), pcr: 13, log: "/x".into() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// As a package for TPMs leaves it, on a host with ours.
    fn good() -> Found {
        let groups = names(&["cryftgo-tee", "tss"]);
        Found {
            node: Node { owner: "tss".to_owned(), group: "tss".to_owned(), mode: 0o660, socket: false },
            value: Ok(Digest::new([0; 32])),
            running: Some(Running { sees_it: true, groups: groups.clone() }),
            groups,
        }
    }

    fn judged(mode: TpmMode, found: &Result<Option<Found>, String>, unit: &str) -> Check {
        let check = tpm(&settings(mode), found, Some(&Unit::parse(unit)));
        assert_eq!(check.outcome == Good, check.fix.is_none(), "{check:?}");
        check
    }

    fn outcome(mode: TpmMode, found: &Result<Option<Found>, String>, unit: &str) -> Outcome {
        judged(mode, found, unit).outcome
    }

    #[test]
    fn the_unit_as_shipped_can_use_a_tpm_whether_or_not_it_runs() {
        for running in [None, good().running] {
            let found = Ok(Some(Found { running, ..good() }));
            assert_eq!(outcome(TpmMode::Required, &found, SHIPPED), Good, "{found:?}");
        }
        // Its group by the unit, by nobody's leave but the mode's, and no restriction at all.
        let none = Found { groups: Vec::new(), running: None, ..good() };
        let with_group = SHIPPED.replace("SupplementaryGroups=", "SupplementaryGroups=tss");
        assert_eq!(outcome(TpmMode::Required, &Ok(Some(none.clone())), &with_group), Good);
        let for_all = Found { node: Node { mode: 0o666, ..none.node.clone() }, ..none.clone() };
        assert_eq!(outcome(TpmMode::Required, &Ok(Some(for_all)), SHIPPED), Good);
        assert_eq!(outcome(TpmMode::Required, &Ok(Some(none)), "User=root\nPrivateDevices=no\n"), Good);
    }

    #[test]
    fn a_unit_that_withholds_it_is_worth_a_warning_and_is_wrong_where_a_tpm_is_demanded() {
        let found = Ok(Some(good()));
        for (unit, why) in [
            (SHIPPED.replace("BindPaths=-/dev/tpmrm0:/dev/tpmrm0:rbind", "BindPaths="), "hides it"),
            (SHIPPED.replace("tpmrm0:/dev/tpmrm0:r", "tpmrm1:/dev/tpmrm1:r"), "hides it"),
            (SHIPPED.replace("DeviceAllow=char-tpm rw\n", ""), "forbids it"),
            (SHIPPED.replace("char-tpm rw", "/dev/tpmrm1 rw"), "forbids it"),
        ] {
            let check = judged(TpmMode::Auto, &found, &unit);
            assert!(check.text.contains(why), "{check:?}");
            assert!(check.fix.expect("a fix").contains("systemctl cat cryftgo-tee.service"), "{unit}");
            for (mode, expected) in [(TpmMode::Auto, Warning), (TpmMode::Required, Wrong), (TpmMode::Off, Good)] {
                assert_eq!(outcome(mode, &found, &unit), expected, "{unit}");
            }
        }
        // Of another device, the shipped unit knows nothing. The socket of a software TPM is no device.
        let other = TpmSettings { device: "/dev/tpmrm1".into(), ..settings(TpmMode::Auto) };
        let check = tpm(&other, &found, Some(&Unit::parse(SHIPPED)));
        assert!(check.fix.is_some_and(|fix| fix.contains("BindPaths=-/dev/tpmrm1 and DeviceAllow=char-tpm rw")));
        let socket = TpmSettings { device: "/run/tpm.sock".into(), ..settings(TpmMode::Auto) };
        let node = Node { socket: true, ..good().node };
        let found = Ok(Some(Found { node, ..good() }));
        assert_eq!(tpm(&socket, &found, Some(&Unit::parse(SHIPPED))).outcome, Good);
    }

    #[test]
    fn each_reason_why_the_verifier_may_not_open_it_has_the_fix_that_mends_it() {
        let without = names(&["cryftgo-tee"]);
        let node = |group: &str, mode| Node { owner: "root".to_owned(), group: group.to_owned(), mode, socket: false };
        for (found, fix) in [
            (Found { groups: without.clone(), ..good() }, "systemd-sysusers cryftgo-tee.conf; systemctl restart"),
            (Found { node: node("root", 0o600), ..good() }, "udevadm trigger --settle --subsystem-match=tpmrm; "),
            (Found { node: node("tss", 0o640), ..good() }, "udevadm trigger --settle --subsystem-match=tpmrm; "),
            (Found { node: node("chips", 0o660), ..good() }, "usermod -aG chips cryftgo-tee; systemctl restart"),
            (
                Found { running: Some(Running { sees_it: false, groups: good().groups }), ..good() },
                "systemctl restart cryftgo-tee",
            ),
            (
                Found { running: Some(Running { sees_it: true, groups: without.clone() }), ..good() },
                "systemctl restart cryftgo-tee",
            ),
        ] {
            let check = judged(TpmMode::Auto, &Ok(Some(found)), SHIPPED);
            assert_eq!(check.outcome, Warning, "{check:?}");
            assert!(check.fix.as_ref().is_some_and(|given| given.starts_with(fix)), "{fix}: {check:?}");
        }
    }

    #[test]
    fn none_is_no_fault_unless_it_is_demanded_and_one_that_fails_always_is() {
        let fails = Found { value: Err("talk to the TPM: no answer".to_owned()), ..good() };
        for (found, auto, required) in
            [(Ok(None), Good, Wrong), (Ok(Some(fails)), Warning, Wrong), (Err("denied".to_owned()), Warning, Wrong)]
        {
            assert_eq!(outcome(TpmMode::Auto, &found, SHIPPED), auto, "{found:?}");
            assert_eq!(outcome(TpmMode::Required, &found, SHIPPED), required, "{found:?}");
        }
    }

    #[test]
    fn the_groups_of_a_user_are_those_of_the_database_and_a_user_that_is_not_there_has_none() {
        assert!(groups_of("root").contains(&"root".to_owned()));
        assert!(groups_of("nobody-of-this-name").is_empty());
        let me = running(&std::process::id().to_string(), Path::new("/proc/self")).expect("this process");
        assert!(me.sees_it && !me.groups.is_empty(), "{me:?}");
        assert!(running("0", Path::new("/dev/null")).is_none(), "none runs");
    }
}
