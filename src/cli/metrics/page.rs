//! Which metrics there are, and what each is worth. Pure.

use contract::wire::Metrics;
use contract::wire::metrics::BOUNDS_US;

use super::text::{Kind, Text};
use crate::cli::standing::{Known, Standing, word};
use crate::cli::version::COMMIT;
use crate::clock;
use crate::lifecycle::State as Life;
use crate::state::State;
use crate::text::sanitise_up_to;

/// The states of the file on disk.
const DISK: [&str; 5] = ["verified", "upgrade-staged", "tamper-pending", "withdrawn", "unusable"];

/// The page. What is not known now is left out, except for what an alert needs: that it is not known.
pub(super) fn page(known: &Known) -> String {
    let mut text = Text::default();
    let version = env!("CARGO_PKG_VERSION");
    text.family("cryftgo_tee_build_info", Kind::Gauge, "The build that answers; always 1.");
    text.sample("cryftgo_tee_build_info", &[("version", version), ("commit", COMMIT)], 1);
    standing(&mut text, known);
    check(&mut text, known);
    if let Some(state) = known.current() {
        current(&mut text, state);
    }
    text.finish()
}

fn standing(text: &mut Text, known: &Known) {
    let (standing, current) = (known.standing(), known.current());
    let help =
        "Whether what the verifier shows is how it is now: 0 where it is gone, frozen, or never ran in this boot.";
    text.one("cryftgo_tee_up", Kind::Gauge, help, u8::from(current.is_some()));
    let help = "Whether clients are served, every check passed, and the signer answers.";
    text.one("cryftgo_tee_ready", Kind::Gauge, help, u8::from(standing == Standing::Ready));
    let help = "Whether tampering was found and nothing starts until an operator unlocks.";
    text.one("cryftgo_tee_locked", Kind::Gauge, help, u8::from(matches!(standing, Standing::Locked(_))));
    const STATE: &str = "cryftgo_tee_state";
    text.family(STATE, Kind::Gauge, "Where the lifecycle is: 1 for the state that it is in, 0 for the others.");
    for life in Life::ALL {
        let is = current.is_some_and(|state| state.state == life);
        text.sample(STATE, &[("state", &word(life))], u8::from(is));
    }
    text.sample(STATE, &[("state", "unknown")], u8::from(current.is_none()));
}

/// The last check. Its age goes on growing where the verifier is gone or frozen, as long as the boot is the same.
fn check(text: &mut Text, known: &Known) {
    let (Some(state), Some(seen)) = (&known.state, &known.seen) else { return };
    let Some(check) = state.check.as_ref().filter(|_| seen.this_boot) else { return };
    let seconds = |millis: u64| millis as f64 / 1e3;
    let age = seconds(seen.boot_ms.saturating_sub(check.done.boot_ms));
    let help = "Time since the running sidecar was last verified.";
    text.one("cryftgo_tee_verification_age_seconds", Kind::Gauge, help, age);
    let help = "How long the last verification took.";
    text.one("cryftgo_tee_verification_duration_seconds", Kind::Gauge, help, check.took_us as f64 / 1e6);
    let help = "How often there is to be one.";
    text.one("cryftgo_tee_verification_interval_seconds", Kind::Gauge, help, seconds(check.interval_ms));
    let help = "How many the running sidecar has passed.";
    text.one("cryftgo_tee_verifications_total", Kind::Counter, help, check.count);
}

fn current(text: &mut Text, state: &State) {
    if let Some(started) = clock::parse_utc(&state.started.at) {
        text.one("cryftgo_tee_start_time_seconds", Kind::Gauge, "When the verifier began, since 1970.", started);
    }
    let help = "What was found to be wrong with a sidecar, in this boot.";
    text.one("cryftgo_tee_findings_total", Kind::Counter, help, state.findings_total);
    let help = "Whether a finding stands that the policy only tells (on_mismatch = alert).";
    text.one("cryftgo_tee_alert", Kind::Gauge, help, u8::from(state.alert.is_some()));
    let help = "How often a sidecar was started again in this run of the verifier.";
    text.one("cryftgo_tee_sidecar_restarts_total", Kind::Counter, help, state.restarts);
    if let Some(signer) = &state.signer {
        let help = "Whether Web3Signer could be used, by the sidecar's last answer.";
        text.one("cryftgo_tee_signer_reachable", Kind::Gauge, help, u8::from(signer.reachable));
    }
    let help = "Whether the signer was away for so long that it was told.";
    text.one("cryftgo_tee_degraded", Kind::Gauge, help, u8::from(state.degraded.is_some()));
    if let Some(disk) = &state.disk {
        const NAME: &str = "cryftgo_tee_disk_state";
        text.family(NAME, Kind::Gauge, "What the next start would find: 1 for the state of the file on disk.");
        for known in DISK {
            text.sample(NAME, &[("state", known)], u8::from(disk.state == known));
        }
    }
    if let Some(reload) = &state.reload {
        let help = "Whether the last reload was done.";
        text.one("cryftgo_tee_last_reload_success", Kind::Gauge, help, u8::from(reload.done));
    }
    if let Some(sidecar) = &state.sidecar {
        const NAME: &str = "cryftgo_tee_sidecar_info";
        text.family(NAME, Kind::Gauge, "The sidecar that serves; always 1.");
        let (version, digest) = (sanitise_up_to(&sidecar.version, 64), sidecar.digest.to_string());
        text.sample(NAME, &[("version", &version), ("digest", &digest)], 1);
    }
    if let Some(metrics) = state.requests.as_ref().filter(|metrics| metrics.is_sound()) {
        requests(text, metrics);
    }
}

fn requests(text: &mut Text, metrics: &Metrics) {
    const TOTAL: &str = "cryfttee_requests_total";
    const DURATION: &str = "cryfttee_request_duration_seconds";
    let help = "Requests of clients by kind and by the code of the answer, by the sidecar's own count.";
    text.family(TOTAL, Kind::Counter, help);
    for requests in &metrics.requests {
        for (code, count) in &requests.codes {
            text.sample(TOTAL, &[("kind", &requests.kind), ("code", code)], count);
        }
    }
    text.family(DURATION, Kind::Histogram, "How long requests of clients took, by the sidecar's own count.");
    for requests in &metrics.requests {
        let (bucket, kind) = (format!("{DURATION}_bucket"), requests.kind.as_str());
        let mut total = 0_u64;
        let bounds = BOUNDS_US.iter().map(|bound| (*bound as f64 / 1e6).to_string()).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&requests.buckets) {
            total = total.saturating_add(*count);
            text.sample(&bucket, &[("kind", kind), ("le", &bound)], total);
        }
        text.sample(&format!("{DURATION}_sum"), &[("kind", kind)], requests.sum_us as f64 / 1e6);
        text.sample(&format!("{DURATION}_count"), &[("kind", kind)], total);
    }
}
