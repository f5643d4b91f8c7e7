//! Work that may stand still, such as reading a file, on a thread of its own: the one thread that serves signals,
//! timers and the sidecar goes on.

use std::io;
use tokio::sync::oneshot;

/// Runs `work` on a new thread and waits for it. Dropped half-way, the thread goes on and its result is lost.
///
/// tokio's own pool panics where no thread can be had; here that is an error like any other.
///
/// # Errors
/// No thread can be had.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    Ok(wait(&mut start(work)?).await)
}

/// Runs `work` on a new thread, and gives what to wait for.
///
/// # Errors
/// No thread can be had.
pub fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    // Detached: whoever waits for it does so through the channel.
    drop(std::thread::Builder::new().name("measure".to_owned()).spawn(move || drop(done.send(work())))?);
    Ok(result)
}

/// Waits for work that was started. Safe to drop half-way.
pub async fn wait<T>(started: &mut oneshot::Receiver<T>) -> T {
    started.await.expect("a panic aborts the process, so the thread sends")
}
