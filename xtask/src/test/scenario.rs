//! The scenarios: each is a script in `tests/systemd` whose name is the claim that it tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// One claim and the script that tries it.
pub(super) struct Scenario {
    /// The claim, in words joined by underscores.
    pub(super) name: String,
    /// How often it is booted, on one file system that lasts: `# boots: 2` in the script. Its `BOOT` says which it is.
    pub(super) boots: u32,
    /// Whether it gets a TPM, at `/share/tpm.sock`: `# tpm: yes` in the script.
    pub(super) tpm: bool,
    /// Whether nothing else may run meanwhile, because it loads the machine or counts milliseconds: `# alone: yes` in the
    /// script.
    pub(super) alone: bool,
    /// Whether it may run beside the others of its Debian, because it does little but wait: `# beside: yes` in the script.
    pub(super) beside: bool,
    /// How long it may take from boot to shutdown: `# minutes: 8` in the script; 3 where it does not say.
    pub(super) deadline: Duration,
    /// The hosts that run the script at the same time, on a network of their own: `# hosts: collector validator` in the
    /// script. Its `HOST` says which it is. None: one host, without a network.
    pub(super) hosts: Vec<String>,
}

impl Scenario {
    /// Errors: the script cannot be read, or asks for what there is not.
    fn read(script: &Path, name: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(script).map_err(|error| format!("read {}: {error}", script.display()))?;
        Self::parse(&text, name).map_err(|wrong| format!("{}: {wrong}", script.display()))
    }

    fn parse(text: &str, name: &str) -> Result<Self, String> {
        let asked = |what: &str| text.lines().find_map(|line| line.strip_prefix(what));
        let boots = match asked("# boots: ") {
            Some(number) => number.parse().map_err(|_| format!("boots: {number}"))?,
            None => 1,
        };
        let hosts: Vec<String> = asked("# hosts: ").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let yes = |what: &str| text.lines().any(|line| line.strip_prefix(what) == Some("yes"));
        let (tpm, alone, beside) = (yes("# tpm: "), yes("# alone: "), yes("# beside: "));
        let minutes: u64 = match asked("# minutes: ") {
            Some(number) => number.parse().map_err(|_| format!("minutes: {number}"))?,
            None => 3,
        };
        // Each is the name of a folder and of a host.
        let is_name = |host: &String| host.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !hosts.iter().all(is_name) || (!hosts.is_empty() && (boots > 1 || tpm)) {
            return Err(format!("hosts {hosts:?}, each booted {boots} times, a TPM: {tpm}"));
        }
        if beside && (alone || boots > 1 || !hosts.is_empty()) {
            return Err("what runs beside others is one host that is booted once, and not alone".to_owned());
        }
        let deadline = Duration::from_secs(minutes * 60);
        Ok(Self { name: name.to_owned(), boots, tpm, alone, beside, deadline, hosts })
    }
}

/// Where the scripts stand; the container sees this folder as `/scenarios`.
pub(super) fn folder() -> PathBuf {
    super::host::workspace().join("tests/systemd")
}

/// All scenarios by name. Errors: the folder cannot be read, or is empty, which would pass without having tried anything.
pub(super) fn all() -> Result<Vec<Scenario>, String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("read {}: {error}", folder.display()))?;
    let mut all = Vec::new();
    for entry in entries.flatten() {
        if let Some(name) = entry.file_name().to_str().and_then(|file| file.strip_suffix(".sh")) {
            all.push(Scenario::read(&entry.path(), name)?);
        }
    }
    if all.is_empty() {
        return Err(format!("no scenario in {}", folder.display()));
    }
    all.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_how_often_and_on_which_hosts_it_runs() {
        let parse = |text| Scenario::parse(text, "x");
        let plain = parse("#!/bin/sh\nstart_all\n").expect("a script");
        assert_eq!((plain.boots, plain.tpm, plain.alone, plain.hosts.len()), (1, false, false, 0));
        let asks = parse("# tpm: yes\n# alone: yes\n").expect("a script");
        assert!(asks.tpm && asks.alone);
        let waits = parse("# beside: yes\n# minutes: 8\n").expect("a script");
        assert!(waits.beside && !plain.beside);
        assert_eq!((waits.deadline.as_secs(), plain.deadline.as_secs()), (480, 180));
        assert_eq!(parse("#!/bin/sh\n# boots: 2\n").expect("a script").boots, 2);
        assert_eq!(parse("# hosts: collector validator-a\n").expect("a script").hosts, ["collector", "validator-a"]);
        for wrong in [
            "# boots: two\n",
            "# hosts: ../up\n",
            "# hosts: a b\n# boots: 2\n",
            "# minutes: few\n",
            "# beside: yes\n# boots: 2\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
