//! What the way through the sidecar costs a signature.

use std::net::SocketAddr;
use std::time::Duration;

use contract::wire::{Attestation, SignRequest, Signed, StakingStatus, path};
use contract::{BlsPublicKey, Bytes};
use serde_json::{Value, json};

use super::apart::Apart;
use super::http::{Exchange, Target};
use super::load::{self, Load};
use super::{BenchError, Measured, canned, idle, median};
use crate::stage::{self, Signer, SignerSettings, Stage, Unit};

/// Rounds of each kind, in turns, so that both see the same machine.
const ROUNDS: usize = 9;
const WARM_UP: Duration = Duration::from_millis(200);
const COUNTED: Duration = Duration::from_millis(1000);
/// What is signed: a type that no slashing protection looks at, so that a signature is all that it costs.
const TYPE: &str = "RANDAO_REVEAL";

/// With one client.
pub(super) fn one(stage: &Stage) -> Result<Measured, BenchError> {
    let compared = canned(stage, 1)?;
    Ok(Measured { values: vec![compared.ratio], how: compared.how })
}

/// With sixteen.
pub(super) fn sixteen(stage: &Stage) -> Result<Measured, BenchError> {
    let compared = canned(stage, 16)?;
    Ok(Measured { values: vec![compared.ratio], how: compared.how })
}

/// With 128: the ratio, the 99th percentile through the sidecar in milliseconds, and what memory the sidecar has
/// then in MiB.
pub(super) fn many(stage: &Stage) -> Result<Measured, BenchError> {
    let compared = canned(stage, 128)?;
    let how = format!(
        "{}; p99 over all rounds through the sidecar: {:.1} ms; its Pss after the last of them: {:.1} MiB",
        compared.how, compared.p99_ms, compared.pss_mib
    );
    Ok(Measured { values: vec![compared.ratio, compared.p99_ms, compared.pss_mib], how })
}

/// With sixteen, and a signer that signs.
pub(super) fn sixteen_bls(stage: &Stage) -> Result<Measured, BenchError> {
    let compared = compare(stage, "sign-bls", &stage.signers.eth2, stage.signers.settings(), None, 16)?;
    Ok(Measured {
        values: vec![compared.ratio],
        how: format!("signer: cryfttee-devsigner --as eth2, {TYPE}; {}", compared.how),
    })
}

/// Both ways, side by side.
struct Compared {
    ratio: f64,
    p99_ms: f64,
    pss_mib: f64,
    how: String,
}

fn canned(stage: &Stage, clients: usize) -> Result<Compared, BenchError> {
    let name = format!("sign-{clients}");
    let signer = canned_signer(stage, &name)?;
    let signature: Bytes = canned::signature().parse().map_err(BenchError::Signature)?;
    compare(stage, &name, &signer, signer.settings(), Some(signature), clients)
}

/// The canned signer, with a folder of its own that the unit will use as well.
pub(super) fn canned_signer(stage: &Stage, name: &str) -> Result<Signer, BenchError> {
    let folder = stage.folder.path().join(name);
    let made = std::fs::create_dir_all(&folder);
    made.map_err(|source| BenchError::File { operation: "make", path: folder.clone(), source })?;
    Ok(Signer::canned(&folder, &stage.interrupt).map_err(stage::StageError::from)?)
}

/// The sidecar runs under the verifier, as it would in service. `signature`: what the signer is known to answer.
fn compare(
    stage: &Stage,
    name: &str,
    signer: &Signer,
    told: SignerSettings,
    signature: Option<Bytes>,
    clients: usize,
) -> Result<Compared, BenchError> {
    let pin = stage::digest_of(&stage.binaries.sidecar)?;
    let mut settings = stage.unit(name, &stage.binaries.sidecar, pin);
    settings.signer = told;
    let mut unit = Unit::start(&settings)?;
    unit.wait_ready(&stage.interrupt, |_, _| {})?;

    let (through, key) = (Target::Unix(unit.socket.clone()), bls_key(&unit)?);
    let direct = Target::Tcp(address(&signer.url)?);
    let signature = match signature {
        Some(known) => known,
        None => sign(&unit, &key)?,
    };
    let asked_through = through_sidecar(&key, &signature, "keep-alive");
    let asked_direct = straight(&key, &signature);
    let pid = stage::get(&unit.socket, path::ATTESTATION)?.json::<Attestation>()?.pid;
    // A single request is under way on one core at a time. Whether the kernel wakes the next end on the same core or
    // on another changes such a rate fourfold, and with it the ratio: here it is always another, as on a quiet
    // machine. With more clients every core is busy whoever is where.
    let apart = if clients == 1 { Apart::keep(signer.pid())? } else { None };
    let (mut cost_through, mut cost_direct) = (Cost::default(), Cost::default());
    let mut run_through = || cost_through.of(pid, signer.pid(), || kept(&through, &asked_through, clients));
    let mut run_direct = || cost_direct.of(pid, signer.pid(), || kept(&direct, &asked_direct, clients));
    let (mut ratios, mut rates) = (Vec::new(), (Vec::new(), Vec::new()));
    let mut latencies = Vec::new();
    for round in 0..ROUNDS {
        stage.interrupt.check()?;
        unit.keep_up()?;
        // Either goes first as often as the other.
        let (via, straight): (Load, Load) = if round.is_multiple_of(2) {
            let via = run_through()?;
            (via, run_direct()?)
        } else {
            let straight = run_direct()?;
            (run_through()?, straight)
        };
        ratios.push(via.rate / straight.rate);
        rates.0.push(via.rate);
        rates.1.push(straight.rate);
        latencies.extend(via.latencies);
    }
    let layout = if apart.is_some() { ", the client on the first and the signer on the last" } else { "" };
    drop(apart);
    let pss_mib = idle::pss_mib(pid)?;
    unit.stop()?;
    let ratio = median(ratios.clone());
    let how = format!(
        "{clients} kept connections, one request under way on each, {ROUNDS} rounds of {} s each way in turns, every \
         answer checked; the medians: {:.0} signatures/s through the sidecar's unix socket, {:.0} straight over TCP, \
         as a node calls Web3Signer; ratio of neighbouring rounds {:.3}, {}; client, sidecar and signer are processes of \
         their own on {} cores{layout}. CPU time for each signature, which other work on the machine hardly changes: {:.1} µs \
         through (sidecar {:.1}, signer {:.1}, client {:.1}), {:.1} µs straight; load average {}",
        COUNTED.as_secs_f64(),
        median(rates.0),
        median(rates.1),
        ratio,
        spread(&ratios),
        std::thread::available_parallelism().map_or(1, usize::from),
        cost_through.micros(cost_through.all()),
        cost_through.micros(cost_through.sidecar),
        cost_through.micros(cost_through.signer),
        cost_through.micros(cost_through.client),
        cost_direct.micros(cost_direct.all()),
        load_average(),
    );
    Ok(Compared { ratio, p99_ms: percentile(&mut latencies, 99) / 1000.0, pss_mib, how })
}

fn kept(target: &Target, exchange: &Exchange, clients: usize) -> Result<Load, BenchError> {
    Ok(load::kept(target, exchange, clients, WARM_UP, COUNTED)?)
}

/// CPU time of each end, and for how many signatures.
#[derive(Default)]
struct Cost {
    sidecar: Duration,
    signer: Duration,
    client: Duration,
    signatures: u64,
}

impl Cost {
    fn of(
        &mut self,
        sidecar: u32,
        signer: u32,
        run: impl FnOnce() -> Result<Load, BenchError>,
    ) -> Result<Load, BenchError> {
        let pids = [sidecar, signer, std::process::id()];
        let before = pids.map(idle::cpu_time);
        let load = run()?;
        let mut spent = [Duration::ZERO; 3];
        for ((spent, pid), before) in spent.iter_mut().zip(pids).zip(before) {
            *spent = idle::cpu_time(pid)?.saturating_sub(before?);
        }
        let [sidecar, signer, client] = spent;
        self.sidecar += sidecar;
        self.signer += signer;
        self.client += client;
        self.signatures += load.answered;
        Ok(load)
    }

    fn all(&self) -> Duration {
        self.sidecar + self.signer + self.client
    }

    /// For each signature.
    fn micros(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.signatures as f64
    }
}

/// The key that the sidecar would sign with.
pub(super) fn bls_key(unit: &Unit) -> Result<BlsPublicKey, BenchError> {
    let status = stage::get(&unit.socket, path::STATUS)?.json::<StakingStatus>()?;
    status.bls_pubkeys.first().copied().ok_or(BenchError::NoKey)
}

/// What the signer behind the sidecar answers, which is the same each time: BLS has no randomness.
fn sign(unit: &Unit, key: &BlsPublicKey) -> Result<Bytes, BenchError> {
    let request = json!({"pubkey": key, "data": typed(), "type": TYPE});
    Ok(stage::post(&unit.socket, path::BLS_SIGN, &request)?.json::<Signed>()?.signature)
}

/// A request as a client of the sidecar makes it.
pub(super) fn through_sidecar(key: &BlsPublicKey, signature: &Bytes, connection: &str) -> Exchange {
    let body = json!(SignRequest::new(key.to_string(), typed(), TYPE)).to_string();
    Exchange::post(path::BLS_SIGN, &body, connection, expected(signature))
}

/// The same request as a node makes it of a signer.
fn straight(key: &BlsPublicKey, signature: &Bytes) -> Exchange {
    Exchange::post(&format!("/api/v1/eth2/sign/{key}"), &typed().to_string(), "keep-alive", expected(signature))
}

/// A request as a validator client makes it.
fn typed() -> Value {
    json!({
        "type": TYPE,
        "fork_info": {
            "fork": {"previous_version": "0x04000000", "current_version": "0x05000000", "epoch": "364032"},
            "genesis_validators_root": Bytes(vec![0x77; 32]),
        },
        "randao_reveal": {"epoch": "364033"},
    })
}

fn expected(signature: &Bytes) -> Vec<u8> {
    format!("{{\"signature\":\"{signature}\"").into_bytes()
}

fn address(url: &str) -> Result<SocketAddr, BenchError> {
    let address = url.strip_prefix("http://").and_then(|rest| rest.trim_end_matches('/').parse().ok());
    address.ok_or_else(|| BenchError::Unread { program: "the signer", said: url.to_owned() })
}

/// The value that `of` per cent do not exceed. Empty: not a number.
pub(super) fn percentile<T: Copy + PartialOrd + Into<f64>>(values: &mut [T], of: usize) -> f64 {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let rank = (values.len() * of).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().map_or(f64::NAN, Into::into)
}

/// The least and the most, so that a reader sees how noisy the machine was.
fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("from {least:.3} to {most:.3}")
}

/// Of the last minute, with this bench's own part in it.
pub(super) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let mut values: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut values, 99), 198.0);
        assert_eq!(percentile(&mut values, 50), 100.0);
        assert_eq!(percentile(&mut [7.0], 99), 7.0);
        assert!(percentile::<f64>(&mut [], 99).is_nan());
    }

    #[test]
    fn a_signers_address_is_read_from_its_url() {
        assert_eq!(address("http://127.0.0.1:9000").ok(), "127.0.0.1:9000".parse().ok());
        assert!(address("https://127.0.0.1:9000").is_err());
    }
}
