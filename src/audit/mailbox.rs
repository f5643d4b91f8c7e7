//! Events on their way to a thread of their own, which may wait for a disk; nobody else does.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::chain::{Link, Moment};
use super::journal::Journal;
use super::record::Happened;
use super::trail::{Opener, Trail};

/// How long journald and the disk are waited for at the end of the process.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// Where events are put.
#[derive(Debug)]
pub(super) enum Mailbox {
    /// A thread reads it.
    Thread { sender: Sender<Message>, progress: Arc<Progress> },
    /// No thread can be had: the work is done at once.
    Inline(Box<RefCell<Trail>>),
}

#[derive(Debug)]
pub(super) enum Message {
    Happened(Happened),
    Close,
}

/// What the thread has done.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Events that were put in.
    put: u64,
    /// Of them, those that journald has.
    delivered: u64,
    link: Option<Link>,
    closed: Option<Result<(), String>>,
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    pub(super) fn open(state_dir: PathBuf, opener: Opener, moment: Moment) -> Self {
        /// It formats, hashes and writes; what is not touched costs nothing.
        const STACK: usize = 256 * 1024;
        let (sender, receiver) = channel();
        let progress = Arc::new(Progress::default());
        let (for_thread, folder, began) = (Arc::clone(&progress), state_dir.clone(), moment.clone());
        let thread = std::thread::Builder::new().name("audit".to_owned()).stack_size(STACK);
        let started = thread.spawn(move || {
            work(Trail::open(folder, opener, &began, Journal::new()), &receiver, &for_thread);
        });
        match started {
            Ok(_) => Self::Thread { sender, progress },
            Err(_) => Self::Inline(Box::new(RefCell::new(Trail::open(state_dir, opener, &moment, Journal::new())))),
        }
    }

    pub(super) fn put(&self, event: Happened) {
        match self {
            Self::Inline(trail) => trail.borrow_mut().record(&[event]),
            Self::Thread { sender, progress } => {
                progress.state().put += 1;
                if let Err(error) = sender.send(Message::Happened(event)) {
                    // Closed: the process is about to end.
                    tracing::error!(event = ?error.0, "record an event after the trail was closed");
                }
            }
        }
    }

    /// How many events journald does not have yet.
    pub(super) fn waiting(&self) -> u64 {
        match self {
            Self::Inline(trail) => {
                trail.borrow_mut().wake();
                u64::from(!trail.borrow().is_delivered())
            }
            Self::Thread { progress, .. } => {
                let state = progress.state();
                state.put - state.delivered
            }
        }
    }

    /// Where the chain stands, once it does.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::Inline(trail) => Some(trail.borrow().head().link),
            Self::Thread { progress, .. } => progress.state().link,
        }
    }

    /// Closes the trail, once.
    pub(super) fn close(&self) -> io::Result<()> {
        let closed = match self {
            Self::Inline(trail) => trail.borrow_mut().close(Instant::now() + LAST_CHANCE),
            Self::Thread { sender, progress } => {
                // That the thread has ended is seen by what it left.
                let _ = sender.send(Message::Close);
                let (mut state, timeout) = progress
                    .changed
                    .wait_timeout_while(progress.state(), 2 * LAST_CHANCE, |state| state.closed.is_none())
                    .unwrap_or_else(PoisonError::into_inner);
                if timeout.timed_out() {
                    Err("the disk does not take them".to_owned())
                } else {
                    state.closed.get_or_insert(Ok(())).clone()
                }
            }
        };
        closed.map_err(io::Error::other)
    }
}

/// Events that come together are saved together: one wait for the disk.
fn work(mut trail: Trail, receiver: &Receiver<Message>, progress: &Progress) {
    let mut taken = 0;
    loop {
        {
            let mut state = progress.state();
            state.link = Some(trail.head().link);
            if trail.is_delivered() {
                state.delivered = taken;
            }
        }
        let first = match trail.next_wake() {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wake) => receiver.recv_timeout(wake),
        };
        let (mut events, mut close) = (Vec::new(), false);
        match first {
            Err(RecvTimeoutError::Timeout) => {
                trail.wake();
                continue;
            }
            // Its owner is gone without a word, which is no orderly end.
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(first) => {
                for message in std::iter::once(first).chain(receiver.try_iter()) {
                    match message {
                        Message::Happened(event) => events.push(event),
                        Message::Close => close = true,
                    }
                }
            }
        }
        taken += events.len() as u64;
        trail.record(&events);
        if close {
            let closed = trail.close(Instant::now() + LAST_CHANCE);
            progress.state().closed = Some(closed);
            progress.changed.notify_all();
            return;
        }
    }
}
