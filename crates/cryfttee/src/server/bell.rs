//! Telling apart why a task was woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// Wakes a task and remembers that it did. What seldom has something to say gets the bell in place of the task's own
/// waker, and is asked only where it has rung: otherwise every byte that arrives would have it asked again.
pub(super) struct Bell(Arc<Wire>);

struct Wire {
    rung: AtomicBool,
    task: Waker,
}

impl Bell {
    /// One for the task that is being polled. A new one has rung: nobody has been asked yet.
    pub(super) fn of(cx: &Context<'_>) -> Self {
        Self(Arc::new(Wire { rung: AtomicBool::new(true), task: cx.waker().clone() }))
    }

    /// Whether it still wakes the task that is being polled.
    pub(super) fn is_of(&self, cx: &Context<'_>) -> bool {
        self.0.task.will_wake(cx.waker())
    }

    /// Whether it has rung since this was asked last. To be asked before those who ring it are, so that no ring between
    /// the two is lost.
    pub(super) fn has_rung(&self) -> bool {
        // A look first: it is next to always no, and a swap costs more.
        self.0.rung.load(Ordering::Acquire) && self.0.rung.swap(false, Ordering::AcqRel)
    }

    pub(super) fn waker(&self) -> Waker {
        Arc::clone(&self.0).into()
    }
}

impl Wake for Wire {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_has_rung_at_first_and_then_once_for_each_ring_and_wakes_its_task() {
        let task = Bell::of(&Context::from_waker(Waker::noop()));
        assert!(task.has_rung() && !task.has_rung());
        // The task is another bell here, which shows that it is woken.
        let waker = task.waker();
        let cx = Context::from_waker(&waker);
        let bell = Bell::of(&cx);
        assert!(bell.is_of(&cx) && !bell.is_of(&Context::from_waker(Waker::noop())));
        assert!(bell.has_rung() && !bell.has_rung() && !task.has_rung());
        bell.waker().wake_by_ref();
        bell.waker().wake();
        assert!(bell.has_rung() && !bell.has_rung());
        assert!(task.has_rung());
    }
}
