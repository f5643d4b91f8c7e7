//! `cargo xtask test`: every test there is, with one tally over all of them.
//!
//! First the tests that cargo knows, then the scenarios of `tests/systemd`, each in a container of its own that a real
//! systemd has booted, once for each Debian whose systemd the units are written for.

use std::fmt;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use crate::stage::{Binaries, Profile};

mod booted;
mod cargo;
mod client;
mod container;
mod forge;
mod group;
mod host;
mod network;
mod package;
mod rootfs;
mod scenario;
mod soft_tpm;
mod tpm_device;
mod trail;

use container::{Container, Verdict};
use package::Package;
use rootfs::Suite;
use scenario::Scenario;

/// Run every test there is: those that cargo knows, then those under a real systemd.
///
/// The scenarios under a real systemd need root and Debian; what they need besides is installed, and two root file
/// systems are bootstrapped under target/ at the first run. Elsewhere they are skipped, and the reason is printed.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TestArgs {
    /// Only tests and scenarios whose name contains this
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Print the names of the scenarios and run nothing
    #[arg(long)]
    list: bool,
    /// Leave out the scenarios under a real systemd
    #[arg(long)]
    no_systemd: bool,
    /// Only the scenarios, and only on this Debian (may be given twice)
    #[arg(long, value_enum, conflicts_with = "no_systemd")]
    suite: Vec<Suite>,
    /// End with one JSON object in the place of the tally line
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    inside: Option<client::Inside>,
}

/// Stands in for the sidecar where a scenario has put this program in its place.
pub(crate) fn as_sidecar() -> Option<ExitCode> {
    (std::env::args_os().next()? == "cryfttee").then(forge::main)
}

/// How many tests went which way.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

pub(crate) fn run(args: TestArgs) -> ExitCode {
    if let Some(inside) = args.inside {
        return client::run(inside);
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let scenarios: Vec<_> = match scenario::all() {
        Ok(all) => all.into_iter().filter(|scenario| wanted(&scenario.name)).collect(),
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    if args.list {
        scenarios.iter().for_each(|scenario| println!("{}", scenario.name));
        return ExitCode::SUCCESS;
    }
    let (suites, with_cargo) = match args.suite.as_slice() {
        [] => (Suite::ALL.to_vec(), true),
        named => (named.to_vec(), false),
    };

    // Before anything else, because tests that cargo runs also use openssl.
    let host = if args.no_systemd { Err("left out by --no-systemd".to_owned()) } else { host::prepare() };
    let mut tally = Tally::default();
    if with_cargo {
        tally += cargo::test(args.only.as_deref());
    }
    if !scenarios.is_empty() {
        tally += run_scenarios(host, &suites, &scenarios);
    }

    if args.json {
        let Tally { passed, failed, skipped } = tally;
        println!("{}", serde_json::json!({ "passed": passed, "failed": failed, "skipped": skipped }));
    } else {
        println!("{tally}");
    }
    // A name that matches nothing is a typing error, and no success.
    let nothing_ran = tally == Tally::default();
    if tally.failed > 0 || nothing_ran { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run_scenarios(host: Result<(), String>, suites: &[Suite], scenarios: &[Scenario]) -> Tally {
    let each = (suites.len() * scenarios.len()) as u64;
    if let Err(reason) = host {
        println!("skip {each} scenarios under a real systemd: {reason}");
        for (suite, scenario) in pairs(suites, scenarios) {
            println!("skip {suite} {}", scenario.name);
        }
        return Tally { skipped: each, ..Tally::default() };
    }
    let all_failed = |reason: String| {
        println!("FAIL {each} scenarios under a real systemd: {reason}");
        Tally { failed: each, ..Tally::default() }
    };
    let binaries = match Binaries::build(Profile::Shipped) {
        Ok(binaries) => binaries,
        Err(error) => return all_failed(error.to_string()),
    };
    let package = match Package::stage(&binaries) {
        Ok(package) => package,
        Err(reason) => return all_failed(reason),
    };
    let of_suite = |suite: Suite, scenarios: &[&Scenario]| match rootfs::bootstrapped(suite, &binaries.target) {
        _ if scenarios.is_empty() => Tally::default(),
        Ok(root) => {
            let container = Container { suite, root, package: &package, target: &binaries.target };
            let (beside, others): (Vec<_>, Vec<_>) = scenarios.iter().copied().partition(|scenario| scenario.beside);
            thread::scope(|scope| {
                let waiting = scope.spawn(|| run_suite(&container, &beside));
                let mut tally = run_suite(&container, &others);
                tally += waiting.join().unwrap_or_else(|panic| resume_unwind(panic));
                tally
            })
        }
        Err(reason) => {
            let failed = scenarios.len() as u64;
            println!("FAIL {failed} scenarios on {suite}: {reason}");
            Tally { failed, ..Tally::default() }
        }
    };
    let (alone, others): (Vec<_>, Vec<_>) = scenarios.iter().partition(|scenario| scenario.alone);
    let mut tally = Tally::default();
    // A scenario waits most of its time: those of one Debian run beside those of the other.
    thread::scope(|scope| {
        let running: Vec<_> = suites.iter().map(|suite| scope.spawn(|| of_suite(*suite, &others))).collect();
        for of_suite in running {
            tally += of_suite.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    for suite in suites {
        tally += of_suite(*suite, &alone);
    }
    tally
}

fn run_suite(container: &Container<'_>, scenarios: &[&Scenario]) -> Tally {
    let mut tally = Tally::default();
    for scenario in scenarios {
        let start = Instant::now();
        let verdict = container.run(scenario);
        let seconds = start.elapsed().as_secs_f32();
        let (suite, name) = (container.suite, &scenario.name);
        match verdict {
            Verdict::Passed => {
                println!("ok   {suite} {name} ({seconds:.1} s)");
                tally.passed += 1;
            }
            Verdict::Skipped { reason } => {
                println!("SKIP {suite} {name} ({seconds:.1} s): {reason}");
                tally.skipped += 1;
            }
            Verdict::Failed { reason, evidence } => {
                let evidence = evidence.lines().fold(String::new(), |text, line| text + "\n     | " + line);
                println!("FAIL {suite} {name} ({seconds:.1} s): {reason}{evidence}");
                tally.failed += 1;
            }
        }
    }
    tally
}

fn pairs<'a>(suites: &'a [Suite], scenarios: &'a [Scenario]) -> impl Iterator<Item = (&'a Suite, &'a Scenario)> {
    suites.iter().flat_map(move |suite| scenarios.iter().map(move |scenario| (suite, scenario)))
}
