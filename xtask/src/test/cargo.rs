//! The tests that cargo knows, counted from what cargo prints.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::Tally;

/// Runs `cargo test` over the workspace, shows its output as it comes, and counts.
pub(super) fn test(only: Option<&str>) -> Tally {
    let mut cargo = crate::stage::cargo();
    // The release profile, because the claims are made for the code that ships.
    cargo.args(["test", "--release", "--workspace", "--no-fail-fast"]);
    if let Some(only) = only {
        cargo.args(["--", only]);
    }
    cargo.current_dir(super::host::workspace()).stdin(Stdio::null()).stdout(Stdio::piped());
    match run(cargo) {
        Ok(tally) => tally,
        Err(error) => {
            println!("FAIL cargo test: {error}");
            Tally { failed: 1, ..Tally::default() }
        }
    }
}

fn run(mut cargo: Command) -> std::io::Result<Tally> {
    let mut child = cargo.spawn()?;
    let mut tally = Tally::default();
    let mut unable = 0;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            // Bytes, because a test may print what is not text.
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            // A test that found out while it ran that it cannot run here. Its harness has no word for that and will
            // count it as passed.
            unable += u64::from(line.contains("SKIPPED: "));
            if let Some(mut counted) = count(&line) {
                let skipped = unable.min(counted.passed);
                counted.passed -= skipped;
                counted.skipped += skipped;
                tally += counted;
                unable = 0;
            }
        }
    }
    let status = child.wait()?;
    // Did not compile, or a test program died before it could count: no line says so, only the exit status.
    if !status.success() && tally.failed == 0 {
        println!("FAIL cargo test ended with {status}, and no test of its own to blame");
        tally.failed = 1;
    }
    Ok(tally)
}

/// The counts in `test result: ok. 3 passed; 0 failed; 1 ignored; …`. What is ignored did not run, so it is skipped.
fn count(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        let (number, what) = part.split_once(' ')?;
        let place = match what {
            "passed" => &mut tally.passed,
            "failed" => &mut tally.failed,
            "ignored" => &mut tally.skipped,
            _ => continue,
        };
        *place = number.parse().ok()?;
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_of_cargo_test_is_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 5 filtered out; finished in 0.01s";
        assert_eq!(count(ok), Some(Tally { passed: 12, failed: 0, skipped: 3 }));
        let failed = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s";
        assert_eq!(count(failed), Some(Tally { passed: 1, failed: 2, skipped: 0 }));
        assert_eq!(count("test a_result ... ok"), None);
    }

    #[test]
    fn a_test_that_says_it_cannot_run_here_is_skipped_and_not_passed() {
        let mut cargo = Command::new("sh");
        let output = "echo 'SKIPPED: a: needs root'; echo 'test result: ok. 3 passed; 0 failed; 1 ignored'; \
                      echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        cargo.args(["-c", output]).stdout(Stdio::piped());
        assert_eq!(run(cargo).expect("sh can be started"), Tally { passed: 4, failed: 0, skipped: 2 });
    }

    #[test]
    fn a_cargo_that_fails_without_a_count_is_a_failure() {
        let mut silent = Command::new("false");
        silent.stdout(Stdio::piped());
        assert_eq!(run(silent).expect("false can be started").failed, 1);
    }

    #[test]
    fn a_failed_test_is_not_counted_twice() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo 'test result: FAILED. 4 passed; 2 failed; 0 ignored'; exit 101"]);
        failing.stdout(Stdio::piped());
        assert_eq!(run(failing).expect("sh can be started"), Tally { passed: 4, failed: 2, skipped: 0 });
    }
}
