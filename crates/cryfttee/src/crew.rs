//! The threads that serve connections.
//!
//! One thread serves them all as long as they are few: a request waits for the signer and hardly computes. Of many, a
//! second one takes its share, where there is a core for it. A connection stays on its thread, and so do the connections
//! to the signer that it uses: handing a request from one thread to another costs more than serving it does.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, available_parallelism};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How many threads there can be.
pub(crate) const THREADS: usize = 2;
/// Up to so many connections, one thread serves them all. Two do it at more cost for each signature, because each finds less
/// to do in a row.
const FEW: usize = 24;

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// The place of the calling thread among those that serve, below [`THREADS`]. Every other thread has that of the first.
pub(crate) fn here() -> usize {
    HERE.get()
}

/// The threads, and how much each has to do.
#[derive(Default)]
pub(crate) struct Crew {
    served: [Arc<AtomicUsize>; THREADS],
    /// `None`: it cannot be had.
    second: OnceLock<Option<Second>>,
}

impl Crew {
    /// Serves a connection on one of the threads; to be called on the first, in its runtime. `connection` is polled on that
    /// thread alone, from its first time on: what it makes it makes there.
    pub(crate) fn serve(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let served = self.served.each_ref().map(|served| served.load(Ordering::Relaxed));
        let second = if wants_second(served) { self.second() } else { None };
        let place = usize::from(second.is_some());
        let served = Serving::begin(&self.served[place]);
        let connection = async move {
            let _served = served;
            connection.await;
        };
        match second {
            Some(second) => second.runtime.spawn(connection),
            None => tokio::spawn(connection),
        };
    }

    fn second(&self) -> Option<&Second> {
        let start = || {
            available_parallelism().is_ok_and(|cores| cores.get() >= THREADS).then_some(())?;
            Second::start()
                .inspect_err(|error| tracing::warn!(%error, "one thread has to serve all: a second cannot be had"))
                .ok()
        };
        self.second.get_or_init(start).as_ref()
    }
}

/// Whether the next connection is for the second thread. The first never has fewer than are few, and then each gets as many
/// as the other.
const fn wants_second([first, second]: [usize; THREADS]) -> bool {
    first >= FEW && second < first
}

/// A connection that is being served.
struct Serving(Arc<AtomicUsize>);

impl Serving {
    fn begin(served: &Arc<AtomicUsize>) -> Self {
        served.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(served))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The second thread. It ends with this, and breaks off what it still serves.
struct Second {
    runtime: Handle,
    _ends_when_dropped: oneshot::Sender<()>,
}

impl Second {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().max_blocking_threads(4).enable_all().build()?;
        let handle = runtime.handle().clone();
        let (sender, end) = oneshot::channel::<()>();
        let serve = move || {
            HERE.set(1);
            // An error, each time: the sender says nothing but goes.
            let _ = runtime.block_on(end);
            runtime.shutdown_background();
        };
        thread::Builder::new().name("cryfttee-2".to_owned()).spawn(serve)?;
        Ok(Self { runtime: handle, _ends_when_dropped: sender })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn few_connections_are_for_one_thread_and_many_are_shared_evenly() {
        let mut served = [0, 0];
        for _ in 0..200 {
            served[usize::from(wants_second(served))] += 1;
            assert!(served[1] == 0 || served[0] >= FEW, "{served:?}");
        }
        assert_eq!(served, [100, 100]);
        // Those that end are made up for where they are missing.
        assert!(!wants_second([FEW - 1, 100]));
        assert!(!wants_second([90, 100]));
        assert!(wants_second([100, 90]));
    }

    #[tokio::test]
    async fn a_connection_is_served_on_one_thread_from_beginning_to_end_and_makes_room_when_it_ends() {
        let crew = Crew::default();
        let (said, mut heard) = mpsc::unbounded_channel();
        let mut doors = Vec::new();
        for _ in 0..4 * FEW {
            let (door, ends) = oneshot::channel::<()>();
            let said = said.clone();
            crew.serve(async move {
                let begun = (here(), thread::current().id());
                tokio::task::yield_now().await;
                let _ = ends.await;
                assert_eq!((here(), thread::current().id()), begun);
                let _ = said.send(begun.0);
            });
            doors.push(door);
        }
        let cores = available_parallelism().expect("cores").get();
        let expected = if cores < THREADS { [4 * FEW, 0] } else { [2 * FEW, 2 * FEW] };
        assert_eq!(crew.served.each_ref().map(|served| served.load(Ordering::Relaxed)), expected);
        drop((doors, said));
        let mut ended = [0, 0];
        while let Some(place) = heard.recv().await {
            ended[place] += 1;
        }
        assert_eq!(ended, expected);
        // The count goes down a moment after the last word.
        while crew.served.iter().any(|served| served.load(Ordering::Relaxed) > 0) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_the_second_thread_still_serves_ends_with_the_crew() {
        let crew = Crew::default();
        let (said, mut heard) = mpsc::unbounded_channel::<()>();
        for _ in 0..2 * FEW {
            let said = said.clone();
            crew.serve(async move {
                if here() == 0 {
                    return;
                }
                let _open = said;
                std::future::pending::<()>().await;
            });
        }
        drop((crew, said));
        assert_eq!(heard.recv().await, None);
    }
}
