//! The judgements on the installation. Pure: facts in, a line out. Those on the host itself are in `host.rs`.

use std::path::Path;

use super::facts::{Facts, Node};
use super::unit::Unit;
use super::{Check, host, tpm};
use crate::cli::standing::Mark;
use crate::config::{Settings, Transport};

/// Every check, in the order in which one would mend things.
pub(super) fn all(settings: &Settings, facts: &Facts) -> Vec<Check> {
    let mut checks = vec![
        host::memfd(&facts.sealing, facts.memfd_noexec, settings.image),
        host::pidfd(facts.pidfd, facts.pass_pidfd),
        host::clock(facts.clock),
        host::journal(facts.journal),
    ];
    let unit = unit(facts.unit.as_ref());
    let in_force =
        facts.unit.as_ref().and_then(|unit| unit.as_ref().ok()).filter(|unit| unit.get("LoadState") == "loaded");
    checks.push(host::namespaces(facts.user_namespaces, in_force.map(|unit| unit.get("RestrictNamespaces"))));
    checks.push(unit);
    checks.extend(in_force.map(hardening));
    checks.extend(user(facts.user.as_ref()));
    checks.extend((settings.transport == Transport::Uds).then(|| socket(&settings.socket, &facts.socket)));
    checks.push(binary(&settings.binary, &facts.binary));
    checks.extend(facts.appraisal.as_ref().map(appraisal));
    checks.extend(facts.signer.check());
    checks.extend(facts.folders.iter().map(|(path, found)| folder(path, found)));
    checks.push(tpm::tpm(&settings.tpm, &facts.tpm, in_force));
    checks.push(lock(&facts.mark));
    checks
}

fn unit(unit: Option<&Result<Unit, String>>) -> Check {
    const NAME: &str = "unit";
    let unit = match unit {
        None => {
            return Check::warning(
                NAME,
                "this host was not booted with systemd: nobody restarts the verifier, holds its socket, or restricts it",
                "run it under systemd: the unit's restrictions are part of what is promised",
            );
        }
        Some(Err(why)) => return Check::warning(NAME, format!("systemd does not say: {why}"), "run this as root"),
        Some(Ok(unit)) => unit,
    };
    match (unit.get("LoadState"), unit.get("NeedDaemonReload")) {
        ("loaded", "yes") => {
            Check::warning(NAME, "its file changed since systemd read it", "systemctl daemon-reload, then restart it")
        }
        ("loaded", _) => Check::ok(NAME, "cryftgo-tee.service is loaded"),
        (state, _) => Check::wrong(
            NAME,
            format!("cryftgo-tee.service is {state}"),
            "install the package, or copy systemd/ as the README says, and systemctl daemon-reload",
        ),
    }
}

/// What the unit has to say for the promises to hold, and what is lost without.
const NEEDED: [(&str, &[&str], &str); 7] = [
    ("NotifyAccess", &["main"], "the sidecar could tell systemd that all is well"),
    ("Type", &["notify", "notify-reload"], "systemd would not know when it is ready"),
    ("NoNewPrivileges", &["yes"], "the sidecar could gain privileges"),
    ("MemoryDenyWriteExecute", &["yes"], "the sidecar could make code of its own"),
    ("KillMode", &["mixed"], "a sidecar could outlive its verifier for seconds"),
    ("ProtectSystem", &["strict", "full"], "the sidecar could write to the system"),
    ("LimitCORE", &["0"], "a memory image on disk would hold what was signed"),
];

fn hardening(unit: &Unit) -> Check {
    const NAME: &str = "hardening";
    let mut lost: Vec<String> = NEEDED
        .iter()
        .filter(|(name, good, _)| !good.contains(&unit.get(name)))
        .map(|(name, _, lost)| format!("{name}={}: {lost}", unit.get(name)))
        .collect();
    match unit.get("WatchdogUSec") {
        "" | "0" | "infinity" => {
            lost.push("WatchdogSec= is off: a verifier that stands still is not noticed".to_owned())
        }
        _ => {}
    }
    if matches!(unit.get("User"), "" | "root") {
        lost.push("User= is root".to_owned());
    }
    if lost.is_empty() {
        return Check::ok(NAME, "the unit's restrictions are in force");
    }
    let fix = "look for the drop-in that takes it away: systemctl cat cryftgo-tee.service";
    Check::wrong(NAME, lost.join("; "), fix)
}

fn user(user: Option<&(String, bool)>) -> Option<Check> {
    const NAME: &str = "users";
    Some(match user {
        None => Check::warning(
            NAME,
            "the sidecar runs as the verifier's own user, and could trace it",
            "launch.user = \"cryfttee\"",
        ),
        Some((name, true)) => Check::ok(NAME, format!("the sidecar's user {name} exists")),
        Some((name, false)) => Check::wrong(NAME, format!("there is no user {name} (launch.user)"), "systemd-sysusers"),
    })
}

fn socket(path: &Path, found: &Result<Option<Node>, String>) -> Check {
    const NAME: &str = "socket";
    let path = path.display();
    let node = match found {
        Ok(Some(node)) => node,
        Ok(None) => {
            let fix = "systemctl enable --now cryfttee.socket";
            return Check::warning(NAME, format!("{path} is not there: no client can connect"), fix);
        }
        Err(why) => return Check::warning(NAME, format!("{path}: {why}"), "run this as root"),
    };
    let fix = "systemctl restart cryfttee.socket, whose SocketUser=, SocketGroup= and SocketMode= say who may connect";
    if !node.socket {
        return Check::wrong(NAME, format!("{path} is no socket"), format!("remove it, then {fix}"));
    }
    let Node { owner, group, mode, .. } = node;
    let text = format!("{path} belongs to {owner}:{group}, mode {mode:04o}");
    if mode & 0o006 != 0 {
        return Check::wrong(NAME, format!("{text}: everybody can have things signed"), fix);
    }
    if owner != "root" {
        return Check::warning(NAME, format!("{text}: its owner can let others connect"), fix);
    }
    Check::ok(NAME, text)
}

fn binary(path: &Path, found: &Result<String, String>) -> Check {
    const NAME: &str = "binary";
    match found {
        Ok(digest) => Check::ok(NAME, format!("{} is safe from other users, {digest}", path.display())),
        Err(why) => Check::wrong(
            NAME,
            why.as_str(),
            "install cryfttee there, owned by root and writable by nobody else, every folder above it too",
        ),
    }
}

fn appraisal(found: &Result<String, String>) -> Check {
    const NAME: &str = "reference";
    match found {
        Ok(origin) if origin.is_empty() => Check::warning(
            NAME,
            "nothing says which binary may run, and any may",
            "trust.require = \"always\", and a pin",
        ),
        Ok(origin) => Check::ok(NAME, format!("the binary is accepted by {origin}")),
        Err(why) => Check::wrong(
            NAME,
            why.as_str(),
            "if this binary is the right one: cryftgo-tee measure /usr/bin/cryfttee > /etc/cryftgo-tee/pins.d/mine",
        ),
    }
}

fn folder(path: &Path, found: &Result<Option<Node>, String>) -> Check {
    const NAME: &str = "state folder";
    let path = path.display();
    match found {
        Ok(None) => Check::ok(NAME, format!("{path} is made at the first start")),
        Ok(Some(node)) if node.mode & 0o077 == 0 => Check::ok(NAME, format!("{path} is {}'s alone", node.owner)),
        Ok(Some(node)) => {
            let text = format!("{path} is open to others: mode {:04o}", node.mode);
            Check::wrong(NAME, text, format!("chmod 0700 {path}"))
        }
        Err(why) => Check::warning(NAME, format!("{path}: {why}"), "run this as root"),
    }
}

fn lock(mark: &Mark) -> Check {
    const NAME: &str = "lock";
    match mark {
        Mark::NotSet => Check::ok(NAME, "no tamper mark"),
        Mark::Hidden => Check::warning(NAME, "this user may not look for the tamper mark", "run this as root"),
        Mark::Set(found) => Check::wrong(
            NAME,
            format!("locked: {found}"),
            "find out why (journalctl -u cryftgo-tee), then cryftgo-tee unlock --reason \"…\"",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    const GOOD: &str = "LoadState=loaded\nNeedDaemonReload=no\nType=notify\nNotifyAccess=main\nWatchdogUSec=1min\n\
                        KillMode=mixed\nUser=cryftgo-tee\nNoNewPrivileges=yes\nRestrictNamespaces=yes\n\
                        MemoryDenyWriteExecute=yes\nProtectSystem=strict\nLimitCORE=0\n";

    fn node(owner: &str, mode: u32) -> Node {
        Node { owner: owner.to_owned(), group: "cryftgo".to_owned(), mode, socket: true }
    }

    #[test]
    fn each_restriction_that_a_drop_in_takes_away_is_named() {
        assert_eq!(hardening(&Unit::parse(GOOD)).outcome, Outcome::Ok);
        for (good, bad) in [
            ("NotifyAccess=main", "NotifyAccess=all"),
            ("Type=notify", "Type=simple"),
            ("NoNewPrivileges=yes", "NoNewPrivileges=no"),
            ("MemoryDenyWriteExecute=yes", "MemoryDenyWriteExecute=no"),
            ("KillMode=mixed", "KillMode=control-group"),
            ("ProtectSystem=strict", "ProtectSystem=no"),
            ("LimitCORE=0", "LimitCORE=infinity"),
            ("WatchdogUSec=1min", "WatchdogUSec=0"),
            ("User=cryftgo-tee", "User="),
        ] {
            let check = hardening(&Unit::parse(&GOOD.replace(good, bad)));
            let name = bad.split('=').next().expect("a name").trim_end_matches("USec");
            assert!(check.outcome == Outcome::Wrong && check.text.contains(name), "{bad}: {check:?}");
        }
        assert_eq!(hardening(&Unit::default()).outcome, Outcome::Wrong, "what nobody says is not in force");
    }

    #[test]
    fn a_unit_that_is_not_there_is_wrong_and_a_host_without_systemd_is_told_so() {
        let outcome = |text: &str| unit(Some(&Ok(Unit::parse(text)))).outcome;
        assert_eq!(outcome(GOOD), Outcome::Ok);
        assert_eq!(outcome(&GOOD.replace("NeedDaemonReload=no", "NeedDaemonReload=yes")), Outcome::Warning);
        assert_eq!(outcome("LoadState=not-found"), Outcome::Wrong);
        assert_eq!(outcome("LoadState=masked"), Outcome::Wrong);
        assert!(matches!(unit(None), Check { outcome: Outcome::Warning, text, .. } if text.contains("not booted")));
    }

    #[test]
    fn a_socket_for_everybody_is_wrong_and_one_that_is_not_there_yet_is_not() {
        let path = Path::new("/run/cryfttee.sock");
        for (found, outcome) in [
            (Ok(Some(node("root", 0o660))), Outcome::Ok),
            (Ok(Some(node("root", 0o666))), Outcome::Wrong),
            (Ok(Some(node("root", 0o662))), Outcome::Wrong),
            (Ok(Some(node("somebody", 0o660))), Outcome::Warning),
            (Ok(Some(Node { socket: false, ..node("root", 0o660) })), Outcome::Wrong),
            (Ok(None), Outcome::Warning),
            (Err("permission denied".to_owned()), Outcome::Warning),
        ] {
            assert_eq!(socket(path, &found).outcome, outcome, "{found:?}");
        }
    }

    #[test]
    fn what_is_wrong_or_to_consider_always_comes_with_a_way_to_mend_it() {
        let checks = [
            user(None).expect("a line"),
            user(Some(&("x".to_owned(), false))).expect("a line"),
            binary(Path::new("/x"), &Err("no file".to_owned())),
            appraisal(&Ok(String::new())),
            appraisal(&Err("not pinned".to_owned())),
            folder(Path::new("/x"), &Ok(Some(node("x", 0o755)))),
            folder(Path::new("/x"), &Err("denied".to_owned())),
            lock(&Mark::Hidden),
            lock(&Mark::Set("found".to_owned())),
        ];
        for check in &checks {
            assert!(check.outcome != Outcome::Ok && check.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "{check:?}");
        }
        let good = [
            user(Some(&("x".to_owned(), true))).expect("a line"),
            appraisal(&Ok("pins.d".to_owned())),
            folder(Path::new("/x"), &Ok(Some(node("x", 0o700)))),
            folder(Path::new("/x"), &Ok(None)),
            lock(&Mark::NotSet),
        ];
        assert!(good.iter().all(|check| check.outcome == Outcome::Ok), "{good:?}");
    }
}
