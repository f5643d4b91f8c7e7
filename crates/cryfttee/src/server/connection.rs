//! One connection of a client.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::pace::{Pace, Paced};
use crate::Sidecar;
use crate::listen::Role;
use crate::routes;

/// The head of a request and what is read of its body at once. hyper answers 431 to a longer head.
const READ_BUFFER: usize = 16 * 1024;

/// Serves the requests of one connection, one after the other, until the client leaves, stalls, or the server
/// drains.
pub(super) async fn serve<S>(stream: S, role: Role, sidecar: Arc<Sidecar>, mut draining: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = *sidecar.limits();
    let pace = Arc::new(Pace::start());
    let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace) });
    let service = service_fn(|request| {
        let (sidecar, pace) = (Arc::clone(&sidecar), Arc::clone(&pace));
        async move {
            pace.serving();
            let answer = routes::answer(&sidecar, role, request).await;
            pace.answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            // Ours is in `pace`.
            .header_read_timeout(None)
            .max_buf_size(READ_BUFFER)
            .serve_connection(io, service)
    );
    let mut look = pin!(sleep_until(pace.look_again(&limits)));
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection on {role} ended early");
                }
                return;
            }
            () = look.as_mut() => {
                if pace.due(&limits) <= Instant::now() {
                    tracing::debug!("a connection on {role} was closed: it stood still");
                    return;
                }
                look.as_mut().reset(pace.look_again(&limits));
            }
            _ = draining.wait_for(|draining| *draining), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
