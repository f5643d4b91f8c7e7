//! How soon a change of the sidecar's file is told.

use std::time::{Duration, Instant};

use contract::defaults;

use super::swap::{Kind, Manner, Place};
use super::{BenchError, Measured, sign};
use crate::stage::{Heard, Stage, Unit};

/// Changes that are counted: rounds of three, each round by the other manner.
const CHANGES: usize = 1002;
/// The longest that any of them may take: the verifier's default interval, and generously the time to hash.
const LONGEST: Duration = Duration::from_secs(defaults::WATCH_INTERVAL.as_secs() + 1);

/// What stands in the place afterwards, and the start of the sentence that says so.
const ROUND: [(Kind, &str); 3] =
    [(Kind::Second, "Upgrade staged: "), (Kind::Bad, "Tamper pending: "), (Kind::First, "Verified again: ")];

/// From just before the change to the audit event's line on a pipe: median and 99th percentile, in milliseconds.
pub(super) fn changes(stage: &Stage) -> Result<Measured, BenchError> {
    let (place, first) = Place::make(stage, "detect")?;
    let (mut unit, heard) = Unit::start_heard(&stage.unit("detect", &place.path, first))?;
    unit.wait_ready(&stage.interrupt, |_, _| {})?;
    let mut times = (Vec::new(), Vec::new());
    let mut others = 0;
    for number in 0..CHANGES {
        stage.interrupt.check()?;
        // What it says to systemd meanwhile, and that it is still there.
        unit.keep_up()?;
        let (kind, sentence) = ROUND[number % ROUND.len()];
        let manner = if (number / ROUND.len()).is_multiple_of(2) { Manner::Rename } else { Manner::Write };
        place.prepare(kind, manner)?;
        let from = Instant::now();
        place.change(kind, manner)?;
        let told = await_sentence(&heard, sentence, from, &mut others)?;
        let to = if manner == Manner::Rename { &mut times.0 } else { &mut times.1 };
        to.push(told.as_secs_f64() * 1000.0);
        if number % 200 == 199 {
            eprintln!("  {} of {CHANGES} changes", number + 1);
        }
    }
    unit.stop()?;
    let (renamed, written) = (sign::percentile(&mut times.0, 50), sign::percentile(&mut times.1, 50));
    let mut all = [times.0, times.1].concat();
    let how = format!(
        "{} changes of a sidecar of 15 MiB on disk, by rename (median {renamed:.1} ms) and by a write of one byte (median \
         {written:.1} ms) in turns, to another that is accepted, to one that is not, and back; from just before the change \
         to the audit event's line on the verifier's stderr, at the default interval of {} s; longest {:.1} ms; {others} \
         events between a change and its own; load average {}",
        all.len(),
        defaults::WATCH_INTERVAL.as_secs(),
        sign::percentile(&mut all, 100),
        sign::load_average(),
    );
    Ok(Measured { values: vec![sign::percentile(&mut all, 50), sign::percentile(&mut all, 99)], how })
}

/// The time from `from` to the event that begins with `sentence`. Other events about the file are counted: a
/// look at a file that was half written is one.
fn await_sentence(heard: &Heard, sentence: &str, from: Instant, others: &mut u32) -> Result<Duration, BenchError> {
    while let Some(line) = heard.next(from + LONGEST) {
        let event = message(&line.text);
        if event.starts_with(sentence) {
            return Ok(line.at.saturating_duration_since(from));
        }
        if ROUND.iter().any(|(_, other)| event.starts_with(other)) {
            *others += 1;
        }
    }
    Err(BenchError::Unable(format!(
        "the verifier said no \"{sentence}…\" within {} s of a change on disk: it does not watch the file, or missed it",
        LONGEST.as_secs()
    )))
}

/// An audit line without its time: `[   0.123s] Ready: …`.
pub(super) fn message(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|rest| rest.split_once("s] "));
    rest.map_or(line, |(_, message)| message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_stands_behind_the_time() {
        assert_eq!(message("[   0.123s] Upgrade staged: x"), "Upgrade staged: x");
        assert_eq!(message("Upgrade staged: [1s] x"), "Upgrade staged: [1s] x");
    }
}
