//! The end of the service: every connection that was accepted is served before it is closed.
//!
//! A client that has connected and not yet asked cannot know that the sidecar is about to leave. Closing its
//! connection at once would break its request, and with the same socket in another sidecar's hands there is no need
//! to: whoever connects from now on is served there. So a connection that stands idle gets a little time for one more
//! request, and every answer says that it is the last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::Limits;

/// How long an idle connection is kept for a request that may be on its way.
const LINGER: Duration = Duration::from_secs(1);

/// Says when the service ends.
pub(super) struct Drain {
    said: watch::Sender<bool>,
    begun: Arc<AtomicBool>,
}

/// Hears it.
#[derive(Clone)]
pub(super) struct Draining {
    heard: watch::Receiver<bool>,
    /// The same, for a look at every request.
    begun: Arc<AtomicBool>,
    linger: Duration,
}

impl Drain {
    pub(super) fn new(limits: &Limits) -> (Self, Draining) {
        let (said, heard) = watch::channel(false);
        // Half of the time at most: a request that comes last needs some of it too.
        let begun = Arc::new(AtomicBool::new(false));
        let draining = Draining { heard, begun: Arc::clone(&begun), linger: LINGER.min(limits.drain / 2) };
        (Self { said, begun }, draining)
    }

    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.said.send_replace(true);
    }
}

impl Draining {
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits until it begins.
    pub(super) async fn begun(&mut self) {
        // A server that is gone without a word has ended as well.
        let _ = self.heard.wait_for(|begun| *begun).await;
    }

    /// Waits until it has begun and whoever is idle has had time for one more request.
    pub(super) async fn lingered(mut self) {
        self.begun().await;
        sleep(self.linger).await;
    }
}
