//! `GET /v1/runtime/metrics`, on the control socket only: what clients asked, counted since the sidecar's start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets of a request's duration, in microseconds. One more bucket has no bound.
pub const BOUNDS_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

/// What can be asked. `other` is every path that there is not.
pub const KINDS: [&str; 7] = ["status", "attestation", "bls_register", "tls_register", "bls_sign", "tls_sign", "other"];

/// The code of a request that was answered as asked; every other code is one of the API's errors.
pub const OK: &str = "ok";

/// The code of a request that its client may not make.
pub const FORBIDDEN: &str = "forbidden";

/// How many codes a kind may have.
const CODES: usize = 32;

/// The counters. Kinds of request that nobody made are left out, and so are codes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Requests over the public socket or address.
    pub requests: Vec<RequestMetrics>,
    /// The user who was denied last; none where nobody was, or nobody who is known by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied_uid: Option<u32>,
}

/// The requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMetrics {
    /// One of [`KINDS`].
    pub kind: String,
    /// How often each code was the answer.
    pub codes: BTreeMap<String, u64>,
    /// How many took how long, by [`BOUNDS_US`]; each is counted in one bucket.
    pub buckets: Vec<u64>,
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

impl Metrics {
    /// Whether this can be taken over: known kinds, each once, codes that are words, and as many buckets as there are. Numbers
    /// are the sidecar's own word.
    pub fn is_sound(&self) -> bool {
        let kinds: Vec<&str> = self.requests.iter().map(|requests| requests.kind.as_str()).collect();
        let once = |kind: &&str| KINDS.contains(kind) && kinds.iter().filter(|other| *other == kind).count() == 1;
        kinds.iter().all(once) && self.requests.iter().all(RequestMetrics::is_sound)
    }
}

impl RequestMetrics {
    fn is_sound(&self) -> bool {
        let word = |code: &String| {
            (1..=40).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        self.codes.len() <= CODES && self.codes.keys().all(word) && self.buckets.len() == BOUNDS_US.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, code: &str, buckets: usize) -> RequestMetrics {
        let codes = BTreeMap::from([(code.to_owned(), 1)]);
        RequestMetrics { kind: kind.to_owned(), codes, buckets: vec![0; buckets], sum_us: 0 }
    }

    #[test]
    fn only_what_a_sidecar_counts_is_sound() {
        let sound = |requests: Vec<RequestMetrics>| Metrics { requests, denied_uid: None }.is_sound();
        let buckets = BOUNDS_US.len() + 1;
        assert!(sound(Vec::new()) && sound(KINDS.iter().map(|kind| of(kind, OK, buckets)).collect()));
        for bad in [
            of("bls_sign\"} 1\n", OK, buckets),
            of("bls_sign", "a\nb", buckets),
            of("bls_sign", "", buckets),
            of("bls_sign", &"a".repeat(41), buckets),
            of("bls_sign", OK, buckets - 1),
            of("bls_sign", OK, buckets + 1_000),
        ] {
            assert!(!sound(vec![bad.clone()]), "{bad:?}");
        }
        assert!(!sound(vec![of("status", OK, buckets), of("status", OK, buckets)]), "twice");
        let many = (0..40).map(|number| ("a".repeat(number + 1), 1)).collect();
        assert!(!sound(vec![RequestMetrics { codes: many, ..of("status", OK, buckets) }]), "too many codes");
        assert!(BOUNDS_US.is_sorted());
    }
}
