//! The sidecar's own record of what it denied.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many denials are told in a window; who is denied a thousand times a second must not fill the journal.
const TOLD: u32 = 20;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts denials, and says which of them to tell.
#[derive(Debug)]
pub(crate) struct Denials(Mutex<Window>);

#[derive(Debug)]
struct Window {
    since: Instant,
    told: u32,
    untold: u64,
    /// Who was denied last.
    uid: Option<u32>,
}

impl Default for Denials {
    fn default() -> Self {
        Self(Mutex::new(Window { since: Instant::now(), told: 0, untold: 0, uid: None }))
    }
}

impl Denials {
    /// Counts one. Some: tell it, and how many before it were not told.
    pub(crate) fn count(&self, uid: Option<u32>, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.uid = uid;
        if now.saturating_duration_since(window.since) >= WINDOW {
            window.since = now;
            window.told = 0;
        }
        if window.told == TOLD {
            window.untold += 1;
            return None;
        }
        window.told += 1;
        Some(std::mem::take(&mut window.untold))
    }

    /// The user who was denied last, for the verifier.
    pub(crate) fn last_uid(&self) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).uid
    }

    /// How many were not told so far; to be told now, because no other denial may follow.
    pub(crate) fn take_untold(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_part_and_counted_whole() {
        let denials = Denials::default();
        let start = Instant::now();
        let told = (0..1000).filter(|_| denials.count(Some(1), start).is_some()).count();
        assert_eq!(told, 20);
        assert_eq!(denials.count(Some(2), start + WINDOW), Some(980), "the next window says how many went before it");
        assert_eq!(denials.count(Some(2), start + WINDOW), Some(0));
        assert_eq!(denials.take_untold(), 0);
        for _ in 0..25 {
            denials.count(Some(2), start + WINDOW);
        }
        assert_eq!(denials.take_untold(), 7);
        assert_eq!(denials.last_uid(), Some(2));
        denials.count(None, start);
        assert_eq!(denials.last_uid(), None, "one on TCP has no number");
    }
}
