//! A container that runs a scenario, its end, and what is left of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::container::Verdict;
use super::group::Group;

/// The file that says that the scenario came to its end. The exit code alone would also be 0 for a container that was shut
/// down before that.
pub(super) const PASSED: &str = "passed";

/// One container; killed with this value.
pub(super) struct Booted {
    container: Child,
    /// Empty where it is the only one.
    host: String,
    share: PathBuf,
    ended: Option<ExitStatus>,
    /// Removed once the container is gone.
    group: Option<Group>,
}

impl Booted {
    pub(super) fn new(container: Child, host: &str, share: PathBuf, group: Option<Group>) -> Self {
        Self { container, host: host.to_owned(), share, ended: None, group }
    }

    /// Whether it has ended.
    fn look(&mut self) -> Result<bool, String> {
        if self.ended.is_none() {
            self.ended = self.container.try_wait().map_err(|error| format!("wait for systemd-nspawn: {error}"))?;
        }
        Ok(self.ended.is_some())
    }

    fn passed(&self) -> bool {
        self.ended.is_some_and(|status| status.success()) && self.share.join(PASSED).exists()
    }

    /// In a scenario on several hosts, on which.
    fn on(&self, text: String) -> String {
        if self.host.is_empty() { text } else { format!("on {}: {text}", self.host) }
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.group.iter().for_each(Group::kill);
            let _ = self.container.kill();
            let _ = self.container.wait();
        }
    }
}

/// Waits for the end of every container, or for the first that did not pass. What takes longer than `deadline` from boot to
/// shutdown hangs.
pub(super) fn all(mut booted: Vec<Booted>, deadline: Duration) -> Result<Verdict, String> {
    let start = Instant::now();
    let why = loop {
        let mut running = 0;
        for host in &mut booted {
            running += usize::from(!host.look()?);
        }
        let failed = booted.iter().find_map(|host| Some((host, host.ended.filter(|_| !host.passed())?)));
        if let Some((host, status)) = failed {
            break host.on(reason(&host.share, status));
        }
        if running == 0 {
            let skipped = booted.iter().find_map(|host| Some(host.on(told(&host.share, "SKIPPED: ")?)));
            return Ok(skipped.map_or(Verdict::Passed, |reason| Verdict::Skipped { reason }));
        }
        if start.elapsed() > deadline {
            let late = booted.iter().filter(|host| host.ended.is_none()).map(|host| host.host.as_str());
            break format!(
                "{} not at an end after {} s; killed",
                late.collect::<Vec<_>>().join(", "),
                deadline.as_secs()
            )
            .trim_start()
            .to_owned();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let evidence = booted.iter().map(|host| evidence(&host.host, &host.share)).collect();
    Ok(Verdict::Failed { reason: why, evidence })
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

fn evidence(host: &str, share: &Path) -> String {
    let mut all = String::new();
    // What the console has is of use only where the scenario did not begin.
    for name in ["output", "journal", "console"] {
        if name == "console" && !all.is_empty() {
            break;
        }
        let text = fs::read(share.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if !text.trim().is_empty() {
            all.push_str(&format!("--- {}\n{}\n", format!("{host} {name}").trim_start(), text.trim_end()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_scenario_said_last_is_what_is_reported_and_a_word_inside_a_line_is_not() {
        let share = tempfile::tempdir().expect("a folder");
        assert_eq!(told(share.path(), "SKIPPED: "), None);
        let output = "it was not SKIPPED: no\nSKIPPED: first\n\u{ff}\nSKIPPED: no memory\nmore\n";
        fs::write(share.path().join("output"), output).expect("write");
        assert_eq!(told(share.path(), "SKIPPED: ").as_deref(), Some("no memory"));
        assert_eq!(told(share.path(), "FAILED: "), None);
    }

    #[test]
    fn hosts_pass_together_and_the_first_that_does_not_ends_the_others_and_is_named() {
        let share = tempfile::tempdir().expect("a folder");
        let host = |name: &str, script: &str| {
            let own = share.path().join(name);
            fs::create_dir_all(&own).expect("a folder");
            let child = Command::new("sh").args(["-c", script]).current_dir(&own).spawn().expect("sh");
            Booted::new(child, name, own, None)
        };
        let pass = "touch passed";
        assert!(matches!(all(vec![host("a", pass), host("b", pass)], DEADLINE), Ok(Verdict::Passed)));
        for wrong in ["touch passed; echo 'FAILED: no' >output; exit 3", "rm -f passed; echo 'FAILED: no' >output"] {
            let verdict = all(vec![host("a", "exec sleep 100"), host("b", wrong)], DEADLINE).expect("a verdict");
            let Verdict::Failed { reason, evidence } = verdict else { panic!("{wrong}: {verdict:?}") };
            assert_eq!(reason, "on b: FAILED: no");
            assert!(evidence.contains("--- b output\nFAILED: no"), "{evidence}");
        }
        let skip = "touch passed; echo 'SKIPPED: old' >output";
        let verdict = all(vec![host("a", skip), host("c", pass)], DEADLINE).expect("a verdict");
        assert!(matches!(verdict, Verdict::Skipped { reason } if reason == "on a: old"));
        let verdict = all(vec![host("a", "exec sleep 100")], Duration::ZERO).expect("a verdict");
        assert!(matches!(verdict, Verdict::Failed { reason, .. } if reason.contains("not at an end")));
    }
}
