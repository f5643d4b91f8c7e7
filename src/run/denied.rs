//! Clients whom the sidecar denied, as it counts them: into the audit trail, and not once for each.

use std::time::{Duration, Instant};

use contract::wire::Metrics;
use contract::wire::metrics::{FORBIDDEN, KINDS};

use crate::audit::Event;

/// Who is denied on and on must not fill the trail.
const BETWEEN: Duration = Duration::from_secs(60);

/// What is known of the denials of one sidecar.
#[derive(Debug, Default)]
pub(super) struct Denied {
    /// How many there were of each of [`KINDS`] when it was last told.
    told: [u64; KINDS.len()],
    at: Option<Instant>,
}

impl Denied {
    /// The event that is due, by what the sidecar counted. Numbers are its own word; what it names is among what is known.
    pub(super) fn look(&mut self, metrics: &Metrics, now: Instant) -> Option<Event> {
        if self.at.is_some_and(|at| now.saturating_duration_since(at) < BETWEEN) {
            return None;
        }
        let counted = KINDS.map(|kind| {
            let of = metrics.requests.iter().find(|requests| requests.kind == kind);
            of.and_then(|requests| requests.codes.get(FORBIDDEN)).copied().unwrap_or_default()
        });
        let since = |kind: usize| counted[kind].saturating_sub(self.told[kind]);
        let count = (0..KINDS.len()).fold(0, |all: u64, kind| all.saturating_add(since(kind)));
        if count == 0 {
            return None;
        }
        let asked: Vec<_> = (0..KINDS.len()).filter(|kind| since(*kind) > 0).map(|kind| KINDS[kind]).collect();
        (self.told, self.at) = (counted, Some(now));
        Some(Event::ClientDenied { count, asked: asked.join(" "), uid: metrics.denied_uid })
    }
}

#[cfg(test)]
mod tests {
    use contract::wire::metrics::RequestMetrics;

    use super::*;

    fn metrics(counts: &[(&str, u64)]) -> Metrics {
        let one = |(kind, count): &(&str, u64)| RequestMetrics {
            kind: (*kind).to_owned(),
            codes: [(FORBIDDEN.to_owned(), *count), ("ok".to_owned(), 1_000)].into(),
            ..RequestMetrics::default()
        };
        Metrics { requests: counts.iter().map(one).collect(), denied_uid: Some(1001) }
    }

    fn told(event: Option<Event>) -> Option<(u64, String)> {
        event.map(|event| match event {
            Event::ClientDenied { count, asked, uid: Some(1001) } => (count, asked),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn denials_are_told_at_once_and_then_at_most_once_a_minute_and_none_is_lost() {
        let (mut denied, start) = (Denied::default(), Instant::now());
        assert_eq!(told(denied.look(&metrics(&[("status", 0)]), start)), None);
        let first = metrics(&[("bls_register", 2)]);
        assert_eq!(told(denied.look(&first, start)), Some((2, "bls_register".to_owned())));
        let more = metrics(&[("bls_register", 900), ("tls_sign", 1)]);
        assert_eq!(told(denied.look(&more, start + BETWEEN / 2)), None);
        let both = "bls_register tls_sign".to_owned();
        assert_eq!(told(denied.look(&more, start + BETWEEN)), Some((899, both)));
        assert_eq!(told(denied.look(&more, start + BETWEEN * 3)), None, "nothing new");
    }

    #[test]
    fn counters_that_nobody_can_believe_do_no_harm() {
        let (mut denied, start) = (Denied::default(), Instant::now());
        let most = metrics(&[("status", u64::MAX), ("other", u64::MAX)]);
        assert_eq!(told(denied.look(&most, start)), Some((u64::MAX, "status other".to_owned())));
        assert_eq!(told(denied.look(&metrics(&[("status", 3)]), start + BETWEEN)), None, "they went down");
    }
}
