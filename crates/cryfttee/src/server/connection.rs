//! One connection of a client.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use super::accept::Accept;
use super::bell::Bell;
use super::drain::Draining;
use super::pace::{Pace, Paced};
use super::short::{self, Left};
use crate::Sidecar;
use crate::client::Client;
use crate::config::Limits;
use crate::listen::Role;
use crate::routes;
use crate::together::{UnderWay, together};

/// The head of a request and what is read of its body at once. hyper answers 431 to a longer head.
const READ_BUFFER: usize = 16 * 1024;

/// Serves the requests of one connection, one after the other, until the client leaves or stalls, or, once the
/// server drains, until one more is answered or none came.
///
/// Requests to sign, as nodes write them, are served the short way. The first that is anything else is for hyper, and
/// so is what comes after it on this connection.
pub(super) async fn serve<L: Accept>(
    stream: L::Stream,
    client: Arc<Client>,
    sidecar: Arc<Sidecar>,
    draining: Draining,
) {
    let pace = Arc::new(Pace::start());
    let mut nurse = Nurse::new(client.role, &pace, *sidecar.limits(), draining.clone());
    if client.role == Role::Control || !client.is_free() {
        return serve_with_hyper(stream, Vec::new(), nurse, client, sidecar, draining).await;
    }
    let socket = match L::as_unix(stream) {
        Ok(socket) => socket,
        Err(stream) => return serve_with_hyper(stream, Vec::new(), nurse, client, sidecar, draining).await,
    };
    let left = {
        let serving = pin!(short::serve(socket, &sidecar, &pace, &draining));
        // Idle means that nothing of a request is here and nothing of an answer is still to go.
        nurse.tend(serving, |_| ControlFlow::Break(())).await
    };
    match left {
        Some(Left::Over(socket, read)) => serve_with_hyper(socket, read, nurse, client, sidecar, draining).await,
        Some(Left::Ended) | None => {}
    }
}

async fn serve_with_hyper<S, W>(
    stream: S,
    before: Vec<u8>,
    mut nurse: Nurse<W>,
    client: Arc<Client>,
    sidecar: Arc<Sidecar>,
    draining: Draining,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    W: Future<Output = ()>,
{
    let (role, pace) = (client.role, Arc::clone(&nurse.pace));
    let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace), before });
    let service = service_fn(|request| {
        let (sidecar, client, pace, draining) = (&sidecar, &client, &pace, &draining);
        async move {
            pace.serving();
            let _under_way = UnderWay::begin();
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
    let connection = pin!(
        http1::Builder::new()
            // Ours is in `pace`.
            .header_read_timeout(None)
            .max_buf_size(READ_BUFFER)
            // Head and body are a few hundred bytes: copying them together is cheaper than two of them in one call.
            .writev(false)
            .serve_connection(io, service)
    );
    let ended = nurse.tend(connection, |connection| {
        connection.graceful_shutdown();
        ControlFlow::Continue(())
    });
    if let Some(Err(error)) = ended.await {
        tracing::debug!(%error, "a connection on {role} ended early");
    }
}

/// Looks after a connection: closes it where it stands still, and, once the server drains, where it stands idle.
struct Nurse<L> {
    role: Role,
    pace: Arc<Pace>,
    limits: Limits,
    look: Pin<Box<Sleep>>,
    lingered: Pin<Box<L>>,
    /// Whether it has lingered.
    last: bool,
    bell: Option<Bell>,
}

impl Nurse<()> {
    fn new(role: Role, pace: &Arc<Pace>, limits: Limits, draining: Draining) -> Nurse<impl Future<Output = ()>> {
        Nurse {
            role,
            pace: Arc::clone(pace),
            limits,
            look: Box::pin(sleep_until(pace.look_again(&limits))),
            lingered: Box::pin(draining.lingered()),
            last: false,
            bell: None,
        }
    }
}

impl<L: Future<Output = ()>> Nurse<L> {
    /// Drives `connection` to its end. `None`: it was given up. `idle` says what to do with one that stands idle when
    /// the server drains.
    async fn tend<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
        mut idle: impl FnMut(Pin<&mut C>) -> ControlFlow<()>,
    ) -> Option<C::Output> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(Some(ended));
                }
                // Four wakes for each request are the connection's own, and next to none is of what is looked at here.
                let bell = match &mut self.bell {
                    Some(bell) if bell.is_of(cx) => bell,
                    other => other.insert(Bell::of(cx)),
                };
                if !bell.has_rung() {
                    return Poll::Pending;
                }
                let waker = bell.waker();
                let cx = &mut Context::from_waker(&waker);
                while self.look.as_mut().poll(cx).is_ready() {
                    if self.pace.due(&self.limits) <= Instant::now() {
                        tracing::debug!("a connection on {} was closed: it stood still", self.role);
                        return Poll::Ready(None);
                    }
                    self.look.as_mut().reset(self.pace.look_again(&self.limits));
                }
                if self.last || self.lingered.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.last = true;
                // hyper would close a connection on which half a head has arrived. Here that one, as one with a request
                // in flight, ends with its answer or at its own deadline.
                if self.pace.is_idle() && idle(connection.as_mut()).is_break() {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }
}
