//! The gate between `control` and `api`.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Closed until the verifier has admitted clients, open for good from then on.
#[derive(Debug)]
pub struct Gate {
    is_open: AtomicBool,
    opened: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { is_open: AtomicBool::new(false), opened: watch::Sender::new(false) }
    }
}

impl Gate {
    /// Opens it. Opening an open gate changes nothing.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        self.opened.send_replace(true);
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        // Every request asks: a word, not the lock of the channel.
        self.is_open.load(Ordering::Acquire)
    }

    /// Waits until it is open.
    pub async fn opened(&self) {
        // The sender is `self`, so the channel cannot close while this waits.
        let _ = self.opened.subscribe().wait_for(|open| *open).await;
    }
}
