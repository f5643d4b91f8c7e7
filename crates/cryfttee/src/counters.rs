//! What clients asked, how it ended and how long it took. Counted without a lock: one request is three additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract::wire::metrics::{BOUNDS_US, KINDS, Metrics, OK, RequestMetrics};

use crate::problem::Code;

/// One counter for each code, and one for the requests that were answered as asked.
const CODES: usize = Code::ALL.len() + 1;

/// The requests of every kind, in the order of [`KINDS`].
#[derive(Debug, Default)]
pub(crate) struct Counters([Requests; KINDS.len()]);

#[derive(Debug, Default)]
struct Requests {
    codes: [AtomicU64; CODES],
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Counters {
    /// Counts one request of the kind at this place in [`KINDS`].
    pub(crate) fn count(&self, kind: usize, refused: Option<Code>, took: Duration) {
        let Some(requests) = self.0.get(kind) else { return };
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS_US.len());
        let code = refused.map_or(0, |code| 1 + code as usize);
        requests.codes[code].fetch_add(1, Ordering::Relaxed);
        requests.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        requests.sum_us.fetch_add(took, Ordering::Relaxed);
    }

    /// What was counted so far. Requests that are counted meanwhile may be in one number and not yet in another.
    pub(crate) fn read(&self) -> Metrics {
        let requests = KINDS.iter().zip(&self.0).filter_map(|(kind, requests)| requests.read(kind));
        Metrics { requests: requests.collect(), denied_uid: None }
    }
}

impl Requests {
    fn read(&self, kind: &str) -> Option<RequestMetrics> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let names = std::iter::once(OK).chain(Code::ALL.map(Code::as_str));
        let codes = names.zip(self.codes.iter().map(load)).filter(|(_, count)| *count > 0);
        let codes: std::collections::BTreeMap<String, u64> =
            codes.map(|(name, count)| (name.to_owned(), count)).collect();
        if codes.is_empty() {
            return None;
        }
        let buckets = self.buckets.iter().map(load).collect();
        Some(RequestMetrics { kind: kind.to_owned(), codes, buckets, sum_us: load(&self.sum_us) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_and_each_duration_is_counted_in_one_place() {
        let counters = Counters::default();
        assert_eq!(counters.read(), Metrics::default());
        for code in Code::ALL {
            counters.count(4, Some(code), Duration::from_micros(250));
        }
        counters.count(4, None, Duration::from_micros(251));
        counters.count(6, None, Duration::from_secs(3600));
        counters.count(99, None, Duration::ZERO);
        let metrics = counters.read();
        assert!(metrics.is_sound(), "{metrics:?}");
        let [sign, other] = &metrics.requests[..] else { panic!("{metrics:?}") };
        assert_eq!((sign.kind.as_str(), other.kind.as_str()), ("bls_sign", "other"));
        assert_eq!(sign.codes.len(), Code::ALL.len() + 1);
        assert!(Code::ALL.iter().all(|code| sign.codes[code.as_str()] == 1) && sign.codes[OK] == 1);
        assert_eq!(sign.buckets[..2], [Code::ALL.len() as u64, 1]);
        assert_eq!(sign.sum_us, 250 * Code::ALL.len() as u64 + 251);
        assert_eq!(other.buckets.last(), Some(&1), "beyond every bound");
    }
}
