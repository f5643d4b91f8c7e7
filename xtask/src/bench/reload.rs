//! What clients see while the sidecar is upgraded.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::detect::message;
use super::kills::{Asking, asking, wait_for};
use super::load::{Counts, Fresh};
use super::swap::{Kind, Manner, Place};
use super::{BenchError, Measured, sign};
use crate::stage::{Heard, Stage, Unit, UnitError};

/// Upgrades, each to the other of two sidecars.
const RELOADS: usize = 50;
const CLIENTS: usize = 4;
/// So many requests are answered between two of them.
const BETWEEN: u64 = 400;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Refused connections, and requests that were connected and not answered as they should have been.
pub(super) fn under_load(stage: &Stage) -> Result<Measured, BenchError> {
    let (place, first) = Place::make(stage, "reload")?;
    let signer = sign::canned_signer(stage, "reload")?;
    let mut settings = stage.unit("reload", &place.path, first);
    settings.signer = signer.settings();
    let (mut unit, heard) = Unit::start_heard(&settings)?;
    unit.wait_ready(&stage.interrupt, |_, _| {})?;
    let asking = asking(&unit)?;
    let from = Instant::now();
    let fresh = Fresh::start(&asking.target, &asking.exchange, CLIENTS);
    let mut times = Vec::with_capacity(RELOADS);
    for number in 1..=RELOADS {
        wait_for(&fresh, fresh.counts().answered + BETWEEN, &stage.interrupt)?;
        let kind = if number % 2 == 1 { Kind::Second } else { Kind::First };
        place.put(kind, Manner::Rename)?;
        times.push(reload(&mut unit, &heard, &asking, &place)?.as_secs_f64() * 1000.0);
        if number % 10 == 0 {
            eprintln!("  {number} of {RELOADS} reloads, {:?}", fresh.counts());
        }
    }
    wait_for(&fresh, fresh.counts().answered + BETWEEN, &stage.interrupt)?;
    let Counts { answered, refused, broken, lost, wrong } = fresh.finish();
    unit.stop()?;
    let how = format!(
        "{RELOADS} reloads in {:.0} s, each after another accepted sidecar of 15 MiB was renamed over the last and each ending \
         with that one answering clients; {CLIENTS} clients, a new connection for each request, a signer that answers at \
         once: {answered} answered, {refused} refused, {broken} broken off, {lost} lost in the queue, {wrong} wrong; SIGHUP \
         to \"Reloaded: \": median {:.0} ms, longest {:.0} ms; load average {}",
        from.elapsed().as_secs_f64(),
        sign::percentile(&mut times, 50),
        sign::percentile(&mut times, 100),
        sign::load_average(),
    );
    Ok(Measured { values: vec![refused as f64, (broken + lost + wrong) as f64], how })
}

/// From SIGHUP to the line that says it is done; then clients are answered by the new sidecar.
fn reload(unit: &mut Unit, heard: &Heard, asking: &Asking, place: &Place) -> Result<Duration, BenchError> {
    // What it says to systemd meanwhile must not fill the queue.
    unit.keep_up()?;
    let pid = unit.pid();
    let from = Instant::now();
    let asked = kill(Pid::from_raw(i32::try_from(pid).unwrap_or_default()), Signal::SIGHUP);
    asked.map_err(|errno| BenchError::Watch { pid, source: errno.into() })?;
    while from.elapsed() < PATIENCE {
        match unit.keep_up() {
            Err(UnitError::Ended { status, .. }) => {
                return Err(BenchError::Unable(format!(
                    "the verifier does not reload: on SIGHUP it ended with {status}"
                )));
            }
            kept_up => kept_up?,
        }
        let Some(line) = heard.next(Instant::now() + Duration::from_millis(1)) else { continue };
        let event = message(&line.text);
        if event.starts_with("Reload refused: ") {
            return Err(BenchError::Reload(event.to_owned()));
        }
        if event.starts_with("Reloaded: ") {
            let took = line.at.saturating_duration_since(from);
            let answers = asking.who_answers()?.core_binary_hash;
            let expected = place.digest()?;
            return if answers == expected {
                Ok(took)
            } else {
                Err(BenchError::Reload(format!("{expected} was to run, {answers} answers clients")))
            };
        }
    }
    Err(BenchError::Unable(format!("the verifier said no \"Reloaded: …\" within {} s of SIGHUP", PATIENCE.as_secs())))
}
