//! The line on the TPM: whether there is one, whether it answers, and whether the unit lets the verifier use it.

use contract::Digest;

use super::Check;
use super::facts::Node;
use super::unit::Unit;
use crate::config::{TpmMode, TpmSettings};
use crate::error::one_line;
use crate::tpm::{AT_MOST, Tpm};

/// A TPM: who may open its device, and what it says of the PCR.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) node: Node,
    pub(super) value: Result<Digest, String>,
}

/// Asks what is there for the value of the PCR, and changes nothing.
pub(super) fn look(settings: &TpmSettings, node: Result<Option<Node>, String>) -> Result<Option<Found>, String> {
    let ask = || Tpm::open(&settings.device, AT_MOST).and_then(|mut tpm| tpm.pcr(settings.pcr));
    let node = if settings.mode == TpmMode::Off { None } else { node? };
    Ok(node.map(|node| Found { node, value: ask().map_err(|error| one_line(&error)) }))
}

pub(super) fn tpm(settings: &TpmSettings, found: &Result<Option<Found>, String>, unit: Option<&Unit>) -> Check {
    const NAME: &str = "tpm";
    const DROP_IN: &str = "install /usr/share/doc/cryftgo-tee/examples/tpm.conf as \
                           /etc/systemd/system/cryftgo-tee.service.d/tpm.conf, systemctl daemon-reload, then restart it";
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
    if let Some(why) = unit.and_then(|unit| hidden(settings, &found.node, unit)) {
        return lacks(format!("{device} is there, and {why}"), DROP_IN);
    }
    Check::ok(NAME, format!("{device} answers: PCR {} has {value}", settings.pcr))
}

/// Why the unit cannot use it.
fn hidden(settings: &TpmSettings, node: &Node, unit: &Unit) -> Option<String> {
    let device = settings.device.display().to_string();
    let is_bound = unit.get("BindPaths").split([' ', ':']).any(|path| path == device);
    if device.starts_with("/dev/") && unit.get("PrivateDevices") == "yes" && !is_bound {
        return Some("the unit hides it from the verifier".to_owned());
    }
    let user = unit.get("User");
    let groups = [unit.get("Group"), unit.get("SupplementaryGroups")].join(" ");
    let may = matches!(user, "" | "root")
        || node.mode & 0o006 == 0o006
        || (node.owner == user && node.mode & 0o600 == 0o600)
        || (groups.split(' ').any(|group| group == node.group) && node.mode & 0o060 == 0o060);
    (!may).then(|| {
        format!("its owner is {}:{}, mode {:04o}: the verifier may not open it", node.owner, node.group, node.mode)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{self, Ok as Good, Warning, Wrong};
    use super::*;

    const SHIPPED: &str = "User=cryftgo-tee\nGroup=cryftgo-tee\nSupplementaryGroups=\nPrivateDevices=yes\nBindPaths=\n";
    const WITH_DROP_IN: &str = "User=cryftgo-tee\nGroup=cryftgo-tee\nSupplementaryGroups=tss\nPrivateDevices=yes\n\
                                BindPaths=/dev/tpmrm0:/dev/tpmrm0:rbind\n";

    fn settings(mode: TpmMode) -> TpmSettings {
        TpmSettings { mode, device: "/dev/tpmrm0".into(), pcr: 13, log: "/x".into() }
    }

    fn found(value: Result<Digest, String>) -> Result<Option<Found>, String> {
        let (owner, group) = ("tss".to_owned(), "tss".to_owned());
        Ok(Some(Found { node: Node { owner, group, mode: 0o660, socket: false }, value }))
    }

    fn outcome(mode: TpmMode, found: &Result<Option<Found>, String>, unit: &str) -> Outcome {
        let check = tpm(&settings(mode), found, Some(&Unit::parse(unit)));
        assert_eq!(check.outcome == Good, check.fix.is_none(), "{check:?}");
        check.outcome
    }

    #[test]
    fn a_tpm_that_the_unit_hides_is_worth_a_warning_and_one_that_is_demanded_is_wrong() {
        let good = found(Ok(Digest::new([0; 32])));
        for (unit, auto, required) in [
            (WITH_DROP_IN.to_owned(), Good, Good),
            (SHIPPED.to_owned(), Warning, Wrong),
            (WITH_DROP_IN.replace("=tss", "="), Warning, Wrong),
            (WITH_DROP_IN.replace("tpmrm0:/", "tpmrm1:/").replace("tpmrm0:r", "tpmrm1:r"), Warning, Wrong),
            (SHIPPED.replace("PrivateDevices=yes", "PrivateDevices=no").replace("Groups=", "Groups=tss"), Good, Good),
        ] {
            assert_eq!(outcome(TpmMode::Auto, &good, &unit), auto, "{unit}");
            assert_eq!(outcome(TpmMode::Required, &good, &unit), required, "{unit}");
            assert_eq!(outcome(TpmMode::Off, &good, &unit), Good, "{unit}");
        }
    }

    #[test]
    fn none_is_no_fault_unless_it_is_demanded_and_one_that_fails_always_is() {
        for (found, auto, required) in [
            (Ok(None), Good, Wrong),
            (found(Err("talk to the TPM: no answer".to_owned())), Warning, Wrong),
            (Err("denied".to_owned()), Warning, Wrong),
        ] {
            assert_eq!(outcome(TpmMode::Auto, &found, WITH_DROP_IN), auto, "{found:?}");
            assert_eq!(outcome(TpmMode::Required, &found, WITH_DROP_IN), required, "{found:?}");
        }
    }
}
