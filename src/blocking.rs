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
    let (done, result) = oneshot::channel();
    // Detached: whoever waits for it does so through the channel.
    drop(std::thread::Builder::new().name("measure".to_owned()).spawn(move || drop(done.send(work())))?);
    Ok(result.await.expect("a panic aborts the process, so the thread sends"))
}
