//! The judgements on the host. Pure: facts in, a line out.

use super::Check;
use super::facts::Clock;
use crate::clock;
use crate::config::ImageKind;

pub(super) fn memfd(sealing: &Result<bool, String>, noexec: Option<u32>, image: ImageKind) -> Check {
    const NAME: &str = "memfd";
    let policy =
        noexec.filter(|value| *value > 0).map_or_else(String::new, |value| format!(", vm.memfd_noexec={value}"));
    match (sealing, image) {
        (Ok(true), ImageKind::Sealed) => Check::ok(NAME, format!("sealed images, their mode sealed too{policy}")),
        (Ok(false), ImageKind::Sealed) => {
            Check::ok(NAME, format!("sealed images; their mode cannot be sealed before Linux 6.3{policy}"))
        }
        (Ok(_), ImageKind::Fd) => Check::warning(
            NAME,
            "launch.image = \"fd\" runs the file itself, although this kernel gives sealed copies",
            "launch.image = \"sealed\"",
        ),
        (Err(_), ImageKind::Fd) => Check::warning(
            NAME,
            format!("this kernel gives no sealed copy, so the file itself runs, and its owner can write to it{policy}"),
            "vm.memfd_noexec=0, then launch.image = \"sealed\"",
        ),
        (Err(why), ImageKind::Sealed) => Check::wrong(
            NAME,
            format!("this kernel gives no sealed executable copy: {why}{policy}"),
            "sysctl vm.memfd_noexec=0 (and no other policy against it), or launch.image = \"fd\", which protects less",
        ),
    }
}

pub(super) fn pidfd(pidfd: bool, pass_pidfd: bool) -> Check {
    const NAME: &str = "pidfd";
    match (pidfd, pass_pidfd) {
        (true, true) => Check::ok(NAME, "processes are held by descriptors, and senders can be"),
        (true, false) => Check::ok(NAME, "processes are held by descriptors; SO_PASSPIDFD comes with Linux 6.5"),
        (false, _) => Check::wrong(NAME, "this kernel has no pidfd", "a kernel of 5.4 or later"),
    }
}

/// `restricted` is what the unit says of namespaces; none where no unit is in force.
pub(super) fn namespaces(allowed: Option<u64>, restricted: Option<&str>) -> Check {
    const NAME: &str = "namespaces";
    const FORGE: &str = "in a user namespace a process can forge /proc/<pid>/exe";
    match (allowed, restricted) {
        (_, Some("yes")) => Check::ok(NAME, "RestrictNamespaces=yes is in force: the sidecar can make none"),
        (Some(0), _) => Check::ok(NAME, "user.max_user_namespaces=0: nobody can make a user namespace"),
        // A list of those that are allowed.
        (_, Some(kinds)) if !kinds.is_empty() && kinds != "no" && !kinds.split(' ').any(|kind| kind == "user") => {
            Check::ok(NAME, format!("the unit allows namespaces, but none of users: {kinds}"))
        }
        (_, Some(_)) => {
            let fix = "RestrictNamespaces=yes in the unit: look for the drop-in that takes it away";
            Check::wrong(NAME, format!("the unit lets the sidecar make user namespaces: {FORGE}"), fix)
        }
        (_, None) => Check::warning(
            NAME,
            format!(
                "without the unit the sidecar can make user namespaces: {FORGE}, so measuring it again proves less"
            ),
            "run it under the unit, or sysctl user.max_user_namespaces=0",
        ),
    }
}

pub(super) fn clock(clock: Clock) -> Check {
    const NAME: &str = "clock";
    /// Beyond it, a clock is broken: 2100.
    const LAST: u64 = 4_102_444_800;
    let now = clock::utc(clock.now);
    let fix =
        "timedatectl set-ntp true, and see that it takes: the expiry of manifests, TLS and validating need the time";
    match clock.synchronised {
        _ if clock.now < clock.installed || clock.now > LAST => {
            let installed = clock::utc(clock.installed);
            Check::wrong(NAME, format!("it says {now}, and this program was installed at {installed}"), fix)
        }
        Some(true) => Check::ok(NAME, format!("{now}, synchronised")),
        Some(false) => Check::warning(NAME, format!("{now}, and not synchronised"), fix),
        None => Check::ok(NAME, format!("{now}; nobody says whether it is synchronised")),
    }
}

pub(super) fn journal(persistent: Option<bool>) -> Check {
    const NAME: &str = "journal";
    match persistent {
        Some(true) => Check::ok(NAME, "kept over a reboot"),
        Some(false) => Check::warning(
            NAME,
            "not kept over a reboot, and the audit trail with it",
            "mkdir /var/log/journal; systemd-tmpfiles --create --prefix /var/log/journal; \
             systemctl restart systemd-journald",
        ),
        None => Check::warning(
            NAME,
            "there is no journald: the audit trail goes to standard error",
            "run it under systemd, with systemd-journald",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Ok as Good, Warning, Wrong};
    use super::*;

    #[test]
    fn a_kernel_without_sealed_images_is_wrong_unless_the_declared_fallback_is_used() {
        let none = || Err("EACCES".to_owned());
        for (sealing, noexec, image, outcome) in [
            (Ok(true), Some(0), ImageKind::Sealed, Good),
            (Ok(false), None, ImageKind::Sealed, Good),
            (Ok(true), Some(1), ImageKind::Fd, Warning),
            (none(), Some(2), ImageKind::Fd, Warning),
            (none(), Some(2), ImageKind::Sealed, Wrong),
        ] {
            let check = memfd(&sealing, noexec, image);
            assert_eq!(check.outcome, outcome, "{check:?}");
        }
        assert!(memfd(&none(), Some(2), ImageKind::Sealed).text.contains("vm.memfd_noexec=2"));
        assert_eq!((pidfd(true, false).outcome, pidfd(false, false).outcome), (Good, Wrong));
    }

    #[test]
    fn without_the_units_restriction_the_forgery_of_exe_is_told() {
        for (allowed, restricted, outcome) in [
            (Some(1000), Some("yes"), Good),
            (Some(1000), Some("no"), Wrong),
            (Some(1000), Some(""), Wrong),
            (Some(1000), Some("cgroup net user"), Wrong),
            (Some(1000), Some("cgroup net"), Good),
            (Some(0), Some("no"), Good),
            (Some(1000), None, Warning),
            (None, None, Warning),
        ] {
            let check = namespaces(allowed, restricted);
            assert_eq!(check.outcome, outcome, "{check:?}");
            assert_eq!(outcome == Good, !check.text.contains("forge"), "{check:?}");
        }
    }

    #[test]
    fn a_clock_before_the_installation_or_after_the_century_is_wrong() {
        let at = |now, synchronised| clock(Clock { now, installed: 1_700_000_000, synchronised }).outcome;
        assert_eq!(at(1_700_000_001, Some(true)), Good);
        assert_eq!(at(1_700_000_001, None), Good);
        assert_eq!(at(1_700_000_001, Some(false)), Warning);
        assert_eq!(at(1_699_999_999, Some(true)), Wrong);
        assert_eq!(at(0, None), Wrong);
        assert_eq!(at(5_000_000_000, Some(true)), Wrong);
        assert_eq!(
            [journal(Some(true)), journal(Some(false)), journal(None)].map(|c| c.outcome),
            [Good, Warning, Warning]
        );
    }
}
