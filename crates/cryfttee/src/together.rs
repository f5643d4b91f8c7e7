//! Writing together what became ready together.

use std::cell::Cell;

/// Up to so many requests under way, each is written at once. The figure is from `cargo xtask bench`: with 16 clients it is
/// better to write at once, with 32 it is better to wait.
const FEW: usize = 24;

thread_local! {
    /// On this thread.
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
}

/// A request that is under way: from when it is read to when it is answered.
pub(crate) struct UnderWay(());

impl UnderWay {
    pub(crate) fn begin() -> Self {
        UNDER_WAY.set(UNDER_WAY.get() + 1);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Not with every runtime is it the same thread.
        UNDER_WAY.set(UNDER_WAY.get().saturating_sub(1));
    }
}

/// Where many requests are under way, lets every other one that is ready get as far as this one, before this one is
/// written.
///
/// One thread serves many connections. Written one by one, each write wakes a sleeping signer or client, which is done
/// before the next is written and sleeps again. Written in a row, they find the other end awake. With few, the other
/// ends would have nothing to do meanwhile, and what is ready goes out at once.
pub(crate) async fn together() {
    if UNDER_WAY.get() > FEW {
        tokio::task::yield_now().await;
    }
}
