//! `cargo xtask bench`: the project's figures, measured on this machine.
//!
//! To add figures: one line in [`MEASUREMENTS`] with their names and goals, and one function that gives
//! their values in that order.

use std::process::ExitCode;

use serde_json::{Map, Number, Value};

use crate::stage::{Profile, Stage};

mod apart;
mod attack;
mod canned;
mod detect;
mod exposure;
mod failure;
mod finding;
mod hash;
mod http;
mod idle;
mod kills;
mod load;
mod peak;
mod reload;
mod sign;
mod start;
mod swap;
mod sys;
mod trail;

pub(crate) use canned::run as canned_signer;

use failure::BenchError;

/// Measure the figures that the documentation names, each beside its goal.
///
/// Takes about a quarter of an hour, most of it for the attacks, which say on stderr how far they are; `--only` takes
/// one figure. The machine should be otherwise idle: other work makes the times worse.
#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    /// Print one JSON object, name to number, as the last line of stdout.
    #[arg(long)]
    json: bool,
    /// Measure this figure alone.
    #[arg(long, value_name = "NAME", value_parser = names())]
    only: Option<String>,
}

/// What a value should be.
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One run of something, and the figures that come out of it.
struct Measurement {
    figures: &'static [(&'static str, Goal)],
    run: fn(&Stage) -> Result<Measured, BenchError>,
}

/// What came out.
struct Measured {
    /// One value for each of the measurement's figures, in their order.
    values: Vec<f64>,
    /// How it was measured, for people.
    how: String,
}

/// Every measurement there is.
const MEASUREMENTS: &[Measurement] = &[
    Measurement { figures: &[("unit_exposure", Goal::AtMost(2.0))], run: exposure::of_the_unit },
    Measurement { figures: &[("start_ratio", Goal::AtMost(1.25))], run: start::ratio },
    Measurement { figures: &[("start_overhead_50mib_ms", Goal::AtMost(150.0))], run: start::overhead },
    Measurement { figures: &[("hash_vs_openssl", Goal::AtLeast(0.97))], run: hash::against_openssl },
    Measurement { figures: &[("measure_peak_mib_1gib", Goal::AtMost(16.0))], run: peak::of_measuring },
    Measurement {
        figures: &[("verifier_idle_pss_mib", Goal::AtMost(6.0)), ("verifier_idle_cpu_percent", Goal::AtMost(0.3))],
        run: idle::memory_and_time,
    },
    Measurement { figures: &[("sign_vs_direct_1", Goal::AtLeast(0.4))], run: sign::one },
    Measurement { figures: &[("sign_vs_direct_16", Goal::AtLeast(0.4))], run: sign::sixteen },
    Measurement {
        figures: &[
            ("sign_vs_direct_128", Goal::AtLeast(0.4)),
            ("sign_p99_ms_128", Goal::AtMost(10.0)),
            ("sidecar_pss_mib_128", Goal::AtMost(16.0)),
        ],
        run: sign::many,
    },
    Measurement { figures: &[("sign_vs_direct_bls_16", Goal::AtLeast(0.9))], run: sign::sixteen_bls },
    Measurement {
        figures: &[
            ("kills", Goal::AtLeast(100.0)),
            ("kill_requests", Goal::AtLeast(100_000.0)),
            ("kill_refused", Goal::AtMost(0.0)),
            ("restart_gap_p99_ms", Goal::AtMost(500.0)),
        ],
        run: kills::under_load,
    },
    Measurement {
        figures: &[("detect_p50_ms", Goal::AtMost(100.0)), ("detect_p99_ms", Goal::AtMost(100.0))],
        run: detect::changes,
    },
    Measurement { figures: &[("kill_p99_ms", Goal::AtMost(250.0))], run: finding::to_death },
    Measurement {
        figures: &[("reload_refused", Goal::AtMost(0.0)), ("reload_broken", Goal::AtMost(0.0))],
        run: reload::under_load,
    },
    Measurement {
        // What journalctl -o json made here of the same entries, beside which the run prints its own.
        figures: &[
            ("audit_verify_entries_per_s", Goal::AtLeast(trail::JOURNALCTL)),
            ("audit_verify_peak_mib", Goal::AtMost(32.0)),
        ],
        run: trail::verified,
    },
    Measurement {
        figures: &[("race_attempts", Goal::AtLeast(100_000.0)), ("race_wrong_execs", Goal::AtMost(0.0))],
        run: attack::race,
    },
    Measurement {
        figures: &[("bitflips_tried", Goal::AtLeast(131_072.0)), ("bitflips_missed", Goal::AtMost(0.0))],
        run: attack::bitflips,
    },
    Measurement {
        figures: &[("spawns", Goal::AtLeast(100_000.0)), ("spawns_wrong", Goal::AtMost(0.0))],
        run: attack::spawns,
    },
];

/// Runs the figures; the exit code says whether they could be measured, not whether the goals are met.
pub(crate) fn run(args: BenchArgs) -> ExitCode {
    match measure(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &BenchArgs) -> Result<(), BenchError> {
    let wanted = |name: &str| args.only.as_deref().is_none_or(|only| only == name);
    let stage = Stage::set("bench-", Profile::Shipped, &[])?;
    let mut object = Map::new();
    for measurement in MEASUREMENTS.iter().filter(|one| one.figures.iter().any(|(name, _)| wanted(name))) {
        eprintln!("measuring {} …", measurement.names().collect::<Vec<_>>().join(", "));
        let measured = match (measurement.run)(&stage) {
            // Asked for by name, it must not pass for measured.
            Err(BenchError::Unable(reason)) if args.only.is_none() => {
                eprintln!("  not measured: {reason}");
                continue;
            }
            measured => measured?,
        };
        eprintln!("  {}", measured.how);
        for ((name, goal), value) in measurement.figures.iter().zip(measured.values) {
            if !wanted(name) {
                continue;
            }
            if !args.json {
                let met = if goal.is_met(value) { "met" } else { "NOT MET" };
                println!("{name:<28} {value:>12.3}   goal {goal:<10} {met}");
            }
            let number = Number::from_f64(rounded(value)).ok_or(BenchError::NotANumber(name))?;
            object.insert((*name).to_owned(), Value::Number(number));
        }
    }
    if args.json {
        println!("{}", Value::Object(object));
    }
    Ok(())
}

/// The names that `--only` knows.
fn names() -> Vec<&'static str> {
    MEASUREMENTS.iter().flat_map(Measurement::names).collect()
}

impl Measurement {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.figures.iter().map(|(name, _)| *name)
    }
}

impl Goal {
    fn is_met(&self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= *limit,
            Self::AtLeast(limit) => value >= *limit,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&match self {
            Self::AtMost(limit) => format!("≤ {limit}"),
            Self::AtLeast(limit) => format!("≥ {limit}"),
        })
    }
}

/// To a thousandth: what is behind that is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The middle one. Empty: not a number, which [`measure`] reports.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let mut all = names();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn the_median_is_a_value_from_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
