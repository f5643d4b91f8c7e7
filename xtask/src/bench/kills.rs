//! What clients see when the sidecar is killed, again and again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use contract::Bytes;
use contract::wire::{Attestation, path};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::http::{Exchange, Target};
use super::load::{self, Counts, End, Fresh};
use super::sys::Watched;
use super::{BenchError, Measured, canned, sign, start};
use crate::stage::{self, CallError, Interrupt, Stage, Unit};

const KILLS: usize = 110;
/// At least so many requests are answered in all …
const REQUESTS: u64 = 100_000;
/// … by so many clients.
const CLIENTS: usize = 4;
/// How long a killed process may take to be gone, and a request to be answered after that.
const PATIENCE: Duration = Duration::from_secs(20);

/// Kills; requests that were answered; connections that were refused; the 99th percentile of the gap in ms.
pub(super) fn under_load(stage: &Stage) -> Result<Measured, BenchError> {
    let signer = sign::canned_signer(stage, "kills")?;
    // As large as the one that operators know: each restart measures it.
    let sidecar = start::padded_in(stage, &stage.folder.path().join("kills/bin"), "cryfttee", start::RELEASED_MIB)?;
    let mut settings = stage.unit("kills", &sidecar, stage::digest_of(&sidecar)?);
    settings.signer = signer.settings();
    // Each crash is to be answered like the first one: what is measured is a restart, and not the pause that
    // grows from one crash to the next and keeps a sidecar that cannot run from being started without end.
    settings.flags = vec![("--watch-restart-max", "1000000".into()), ("--watch-restart-within", "1ms".into())];
    let mut unit = Unit::start(&settings)?;
    unit.wait_ready(&stage.interrupt, |_, _| {})?;
    let asking = asking(&unit)?;
    let from = Instant::now();
    let fresh = Fresh::start(&asking.target, &asking.exchange, CLIENTS);
    // The verifier's words are taken here while another thread kills: it waits for a listener otherwise.
    let killer = asking.clone();
    let killed = std::thread::scope(|scope| {
        let killing = scope.spawn(|| killer.kill_all(&fresh, &stage.interrupt));
        while !killing.is_finished() {
            unit.keep_up()?;
        }
        killing.join().unwrap_or(Err(BenchError::Unread { program: "the killer", said: "it panicked".to_owned() }))
    });
    let mut gaps = killed?;
    let counts = fresh.finish();
    let took = from.elapsed();
    unit.stop()?;
    let Counts { answered, refused, broken, lost, wrong } = counts;
    if lost + wrong > 0 {
        return Err(BenchError::Answers { lost, wrong });
    }
    let (kills, p50) = (gaps.len(), sign::percentile(&mut gaps, 50));
    let how = format!(
        "{kills} times SIGKILL to a sidecar of 15 MiB behind the verifier, in {:.0} s; {CLIENTS} clients, a new \
         connection for each request, a signer that answers at once: {answered} answered, {refused} refused, {broken} \
         that a sidecar had accepted broke off with it; 0 lost in the queue, 0 wrong. Gap: from the kill to the answer to a \
         request on a connection made after the sidecar was gone, median {p50:.0} ms, longest {:.0} ms, by \
         watch.restart.within = \"1ms\", so that no pause for earlier crashes is in it; load average {}",
        took.as_secs_f64(),
        sign::percentile(&mut gaps, 100),
        sign::load_average(),
    );
    Ok(Measured { values: vec![kills as f64, answered as f64, refused as f64, sign::percentile(&mut gaps, 99)], how })
}

/// What clients of a unit with the canned signer ask, each on a connection of its own.
pub(super) fn asking(unit: &Unit) -> Result<Asking, BenchError> {
    let signature: Bytes = canned::signature().parse().map_err(BenchError::Signature)?;
    let exchange = sign::through_sidecar(&sign::bls_key(unit)?, &signature, "close");
    Ok(Asking { target: Target::Unix(unit.socket.clone()), socket: unit.socket.clone(), exchange })
}

/// Whom to ask, and what.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) target: Target,
    pub(super) exchange: Exchange,
    socket: PathBuf,
}

impl Asking {
    /// What the sidecar that answers clients says of itself.
    pub(super) fn who_answers(&self) -> Result<Attestation, CallError> {
        stage::get(&self.socket, path::ATTESTATION)?.json()
    }

    /// The gaps in milliseconds.
    fn kill_all(&self, fresh: &Fresh, interrupt: &Interrupt) -> Result<Vec<f64>, BenchError> {
        let mut gaps = Vec::with_capacity(KILLS);
        for number in 1..=KILLS as u64 {
            let due = REQUESTS.div_ceil(KILLS as u64) * number;
            wait_for(fresh, due, interrupt)?;
            gaps.push(self.kill_once()?.as_secs_f64() * 1000.0);
            if number % 22 == 0 {
                eprintln!("  {number} of {KILLS} kills, {:?}", fresh.counts());
            }
        }
        // What is under way at the last kill counts as well.
        wait_for(fresh, REQUESTS + 1000, interrupt)?;
        Ok(gaps)
    }

    fn kill_once(&self) -> Result<Duration, BenchError> {
        let pid = self.who_answers()?.pid;
        let sidecar = Watched::process(pid).map_err(|source| BenchError::Watch { pid, source })?;
        let at = Instant::now();
        let killed = kill(Pid::from_raw(i32::try_from(pid).unwrap_or_default()), Signal::SIGKILL);
        killed.map_err(|errno| BenchError::Watch { pid, source: errno.into() })?;
        if !sidecar.wait(PATIENCE).map_err(|source| BenchError::Watch { pid, source })? {
            return Err(BenchError::Outlived { pid, what: "SIGKILL" });
        }
        // Whoever answers now is not the one that was killed.
        match load::once(&self.target, &self.exchange) {
            End::Answered => Ok(at.elapsed()),
            end => Err(BenchError::AfterKill(format!("{end:?}"))),
        }
    }
}

/// Waits until so many were answered.
pub(super) fn wait_for(fresh: &Fresh, answered: u64, interrupt: &Interrupt) -> Result<(), BenchError> {
    let mut progress = (Instant::now(), 0);
    loop {
        let counts = fresh.counts();
        if counts.answered >= answered {
            return Ok(());
        }
        if counts.answered > progress.1 {
            progress = (Instant::now(), counts.answered);
        } else if progress.0.elapsed() > PATIENCE {
            return Err(BenchError::NoProgress(counts));
        }
        interrupt.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
}
