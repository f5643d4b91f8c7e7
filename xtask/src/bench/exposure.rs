//! What systemd says of the unit's restrictions.

use std::process::Command;

use super::{BenchError, Measured};
use crate::stage::{Stage, workspace};

const PROGRAM: &str = "systemd-analyze";

/// The exposure level of the verifier's unit, by this machine's `systemd-analyze`.
pub(super) fn of_the_unit(_: &Stage) -> Result<Measured, BenchError> {
    let mut command = Command::new(PROGRAM);
    command.args(["security", "--offline=true", "--no-pager"]);
    command.arg(workspace().join("systemd/cryftgo-tee.service"));
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BenchError::Unable(format!("there is no {PROGRAM} here")));
        }
        output => output.map_err(|source| BenchError::Run { program: PROGRAM.into(), source })?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let level = level(&text).ok_or_else(|| BenchError::Unread {
        program: PROGRAM,
        said: format!("{} {}", text.trim(), String::from_utf8_lossy(&output.stderr).trim()),
    })?;
    Ok(Measured { values: vec![level], how: format!("{PROGRAM} security --offline=true systemd/cryftgo-tee.service") })
}

/// The number in `→ Overall exposure level for cryftgo-tee.service: 1.9 OK`.
fn level(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("Overall exposure level"))?;
    line.rsplit_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_read_from_the_last_line() {
        let text = "✓ PrivateTmp= x 0.1\n\n→ Overall exposure level for cryftgo-tee.service: 1.9 OK :-)\n";
        assert_eq!(level(text), Some(1.9));
        assert_eq!(level("Failed to load"), None);
    }
}
