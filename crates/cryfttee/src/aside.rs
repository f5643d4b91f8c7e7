//! Work that would keep other clients waiting.

use tokio::task::{JoinError, spawn_blocking};

/// Does `work`: at once, or, where it is `long`, on a thread of its own. One thread serves many connections, because a
/// request here waits far more than it computes; what takes milliseconds (a list of thousands of keys) is the exception.
///
/// # Errors
/// Where that thread panicked, or was not started any more because the process ends.
pub(crate) async fn aside<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if long { spawn_blocking(work).await } else { Ok(work()) }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[tokio::test]
    async fn only_long_work_leaves_the_thread() {
        let here = current().id();
        assert_eq!(aside(false, || current().id()).await.expect("done"), here);
        assert_ne!(aside(true, || current().id()).await.expect("done"), here);
    }
}
