//! One connection of a client.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::bell::Bell;
use super::drain::Draining;
use super::pace::{Pace, Paced};
use crate::Sidecar;
use crate::client::Client;
use crate::routes;
use crate::together::together;

/// The head of a request and what is read of its body at once. hyper answers 431 to a longer head.
const READ_BUFFER: usize = 16 * 1024;

/// Serves the requests of one connection, one after the other, until the client leaves or stalls, or, once the
/// server drains, until one more is answered or none came.
pub(super) async fn serve<S>(stream: S, client: Arc<Client>, sidecar: Arc<Sidecar>, draining: Draining)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let role = client.role;
    let limits = *sidecar.limits();
    let pace = Arc::new(Pace::start());
    let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace) });
    let service = service_fn(|request| {
        let (sidecar, client, pace, draining) = (&sidecar, &client, &pace, &draining);
        async move {
            pace.serving();
            let mut answer = routes::answer(sidecar, client, request).await;
            together().await;
            pace.answered();
            if draining.has_begun() {
                // hyper keeps what this says, and closes behind it.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            // Ours is in `pace`.
            .header_read_timeout(None)
            .max_buf_size(READ_BUFFER)
            // Head and body are a few hundred bytes: copying them together is cheaper than two of them in one call.
            .writev(false)
            .serve_connection(io, service)
    );
    let mut look = pin!(sleep_until(pace.look_again(&limits)));
    let mut lingered = pin!(draining.clone().lingered());
    let (mut last, mut bell) = (false, None::<Bell>);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection on {role} ended early");
                }
                return Poll::Ready(());
            }
            // Four wakes for each request are the connection's own, and next to none is of what is looked at below.
            let bell = match &mut bell {
                Some(bell) if bell.is_of(cx) => bell,
                other => other.insert(Bell::of(cx)),
            };
            if !bell.has_rung() {
                return Poll::Pending;
            }
            let waker = bell.waker();
            let cx = &mut Context::from_waker(&waker);
            while look.as_mut().poll(cx).is_ready() {
                if pace.due(&limits) <= Instant::now() {
                    tracing::debug!("a connection on {role} was closed: it stood still");
                    return Poll::Ready(());
                }
                look.as_mut().reset(pace.look_again(&limits));
            }
            if last || lingered.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            last = true;
            // hyper would close a connection on which half a head has arrived. Here that one, as one with a request in
            // flight, ends with its answer or at its own deadline.
            if pace.is_idle() {
                connection.as_mut().graceful_shutdown();
            }
        }
    })
    .await;
}
