//! The units for several validators on one host, made from those for one: what differs is a name here and there, and 150
//! lines of restrictions that were written twice would not stay the same.

use super::contents::{Entry, text};
use super::tool;
use crate::stage::workspace;

/// A unit, its template, and what is put in the place of what. Each must be found, or the unit has changed under us.
struct Template {
    from: &'static str,
    to: &'static str,
    changes: &'static [(&'static str, &'static str)],
}

/// The paths that no two instances may share, with beginnings that no name of an instance can make the same (`cryftgo-%i` would be
/// the plain verifier's own folder for an instance called "tee"). By the environment, which beats the instance's file: a copied file cannot mix
/// two validators up.
const SERVICE: &str = "\
# This instance's paths; the rest is in /etc/cryftgo-tee/instances/%i.toml.
Environment=CRYFTGO_CRYFTTEE_SOCKET=/run/cryfttee-%i.sock
Environment=CRYFTGO_CONTROL_SOCKET=/run/cryftgo-tee-%i/control.sock
Environment=CRYFTGO_IDENTITY_FILE=/run/cryftgo-tee-%i/identity.json
Environment=CRYFTGO_IDENTITY_STATE_DIR=/var/lib/cryftgo-node-%i
Environment=CRYFTGO_STATE_DIR=/var/lib/cryftgo-tee-%i
Environment=CRYFTGO_STATE_FILE=/run/cryftgo-tee-%i/state.json
Environment=CRYFTGO_TPM_LOG=/run/cryftgo-tee-%i/tpm.json
ExecStart=/usr/bin/cryftgo-tee run --config /etc/cryftgo-tee/instances/%i.toml
";

/// What the unit for one has the TPM by, and its reasons.
const TPM: &str = "\
# Of all devices that are somebody's, only the TPM, where there is one (docs/evidence.md): what is launched is extended into
# it. Who may open it is left to its mode and its group, tss, which the verifier's user is in (sysusers.d) and the sidecar is
# not. A TPM that comes after the start is used from the next one on. Allowed by its kind, because systemd warns of each device
# that is allowed by name and not there; what is not bound here is still not to be seen.
BindPaths=-/dev/tpmrm0
DeviceAllow=char-tpm rw
";

const TEMPLATES: [Template; 3] = [
    Template {
        from: "cryfttee.socket",
        to: "cryfttee@.socket",
        changes: &[
            (
                "Description=Public socket of cryfttee, the signing sidecar\n",
                "Description=Public socket of cryfttee, the signing sidecar, for %i\n",
            ),
            ("ListenStream=/run/cryfttee.sock\n", "ListenStream=/run/cryfttee-%i.sock\n"),
            (
                "AssertPathExists=!/var/lib/cryftgo-tee/tampered\n",
                "AssertPathExists=!/var/lib/cryftgo-tee-%i/tampered\n",
            ),
            ("Service=cryftgo-tee.service\n", "Service=cryftgo-tee@%i.service\n"),
        ],
    },
    Template {
        from: "cryftgo-tee.service",
        to: "cryftgo-tee@.service",
        changes: &[
            (
                "Description=Verifier of cryfttee, the signing sidecar\n",
                "Description=Verifier of cryfttee, the signing sidecar, for %i\n",
            ),
            ("=cryfttee.socket\n", "=cryfttee@%i.socket\n"),
            ("ExecStart=/usr/bin/cryftgo-tee run\n", SERVICE),
            (
                "ExecReload=/usr/bin/cryftgo-tee reload\n",
                "ExecReload=/usr/bin/cryftgo-tee reload --config /etc/cryftgo-tee/instances/%i.toml\n",
            ),
            ("--no-block cryftgo-tee-down.service", "--no-block \"cryftgo-tee-down@$$0.service\""),
            (" ;; esac'\n", " ;; esac' %i\n"),
            ("RuntimeDirectory=cryftgo-tee\n", "RuntimeDirectory=cryftgo-tee-%i\n"),
            ("StateDirectory=cryftgo cryftgo-tee\n", "StateDirectory=cryftgo-node-%i cryftgo-tee-%i\n"),
            (
                TPM,
                "# No device but those: of two that extend one PCR of a TPM, neither could account for it (examples/tpm.conf).\n",
            ),
        ],
    },
    Template {
        from: "cryftgo-tee-down.service",
        to: "cryftgo-tee-down@.service",
        changes: &[
            ("whose verifier is down\n", "whose verifier is down, for %i\n"),
            ("=cryfttee.socket\n", "=cryfttee@%i.socket\n"),
            ("cryftgo-tee is down", "cryftgo-tee@%i is down"),
            ("systemctl status cryftgo-tee.", "systemctl status cryftgo-tee@%i."),
            (
                "reset-failed cryftgo-tee.service cryfttee.socket",
                "reset-failed cryftgo-tee@%i.service cryfttee@%i.socket",
            ),
            ("systemctl start cryftgo-tee\"", "systemctl start cryftgo-tee@%i\""),
        ],
    },
];

/// Errors: a unit no longer has what its template changes.
pub(super) fn units() -> Result<Vec<Entry>, String> {
    TEMPLATES.iter().map(Template::entry).collect()
}

impl Template {
    fn entry(&self) -> Result<Entry, String> {
        let unit = tool::read(&workspace().join("systemd").join(self.from))?;
        Ok(text(self.apply(&unit)?, format!("usr/lib/systemd/system/{}", self.to)))
    }

    fn apply(&self, unit: &str) -> Result<String, String> {
        let mut made = unit.to_owned();
        for (from, to) in self.changes {
            if !made.contains(from) {
                return Err(format!("systemd/{}: {} cannot be made, there is no {from:?} in it", self.from, self.to));
            }
            made = made.replace(from, to);
        }
        Ok(format!("# {}: {} for one of several validators on this host.\n{made}", self.to, self.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::contents::Content;

    /// The lines that systemd reads.
    fn directives(unit: &str) -> Vec<&str> {
        unit.lines().filter(|line| line.contains('=') && !line.starts_with('#')).collect()
    }

    #[test]
    fn a_template_has_every_restriction_of_its_unit_and_no_path_that_two_instances_would_share() {
        for template in &TEMPLATES {
            let plain = tool::read(&workspace().join("systemd").join(template.from)).expect("the unit");
            let Content::Bytes(made) = template.entry().expect("the template").content else { panic!("a file") };
            let made = String::from_utf8(made).expect("text");
            let changed: Vec<&str> = directives(&made).into_iter().filter(|line| line.contains('%')).collect();
            // What widens instead, and is for one alone.
            for line in directives(&plain).into_iter().filter(|line| !TPM.contains(line)) {
                let name = line.split_once('=').map_or(line, |(name, _)| name);
                let kept = directives(&made).contains(&line);
                assert!(kept || changed.iter().any(|changed| changed.starts_with(name)), "{}: {line}", template.to);
            }
            for shared in [
                "=/run/cryfttee.sock",
                "/var/lib/cryftgo/",
                "/var/lib/cryftgo-tee/",
                "=cryftgo-tee.service",
                "/dev/tpm",
            ] {
                assert!(!directives(&made).iter().any(|line| line.contains(shared)), "{}: {shared}", template.to);
            }
        }
    }

    #[test]
    fn a_unit_that_changed_under_its_template_is_noticed() {
        let reason = TEMPLATES[0].apply("[Socket]\nListenStream=/run/other.sock\n").expect_err("refused");
        assert!(reason.contains("cryfttee.socket"), "{reason}");
    }
}
