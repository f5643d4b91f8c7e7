//! One of every error, or more where more depends on it, beside what it means.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use contract::Digest;
use contract::exit::{CONFIG, INTEGRITY, INTERNAL, IO, OS, UNAVAILABLE};
use hyper::StatusCode;

use super::{LOCKS, Row, SLIP};
use crate::config::ImageKind;
use crate::launch::{LaunchError, NotConfined, Stopped, verify_running};
use crate::measure::{MeasureError, NotRunnable, PathCheck, Progress, UnsafePath, seal};
use crate::sidecar::{Forged, SidecarError, TlsFault};
use crate::sys::{RunAs, SpawnError};

pub(super) fn source() -> io::Error {
    io::ErrorKind::Other.into()
}

pub(super) fn path() -> PathBuf {
    PathBuf::from("/x")
}

pub(super) fn text() -> String {
    "x".to_owned()
}

pub(super) const DIGEST: Digest = Digest::new([7; 32]);

pub(super) fn json() -> serde_json::Error {
    serde_json::from_str::<u8>("x").expect_err("no number")
}

/// A connection on which nothing comes and nothing goes.
struct Gone;

impl hyper::rt::Read for Gone {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: hyper::rt::ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(source()))
    }
}

impl hyper::rt::Write for Gone {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(source()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(source()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(source()))
    }
}

pub(super) fn http() -> hyper::Error {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    runtime.block_on(async {
        let handshake = hyper::client::conn::http1::handshake::<_, http_body_util::Full<hyper::body::Bytes>>(Gone);
        let (_sender, connection) = handshake.await.expect("nothing was sent yet");
        connection.await.expect_err("nothing comes")
    })
}

pub(super) fn sidecar() -> Vec<Row<SidecarError>> {
    let call = text;
    vec![
        (SidecarError::Connect { to: text(), source: source() }, UNAVAILABLE, SLIP),
        (SidecarError::Tls { to: text(), source: TlsFault::Expired }, UNAVAILABLE, SLIP),
        (SidecarError::Timeout { call: call(), within: Duration::ZERO }, UNAVAILABLE, SLIP),
        (SidecarError::Forged { call: call(), source: Forged::Anonymous }, INTEGRITY, LOCKS),
        (SidecarError::Http { call: call(), source: http() }, UNAVAILABLE, SLIP),
        (SidecarError::Body { call: call(), source: Box::new(source()) }, UNAVAILABLE, SLIP),
        (SidecarError::TooLarge { call: call() }, UNAVAILABLE, SLIP),
        (SidecarError::Behind { call: call() }, UNAVAILABLE, SLIP),
        (SidecarError::Refused { call: call(), status: StatusCode::FORBIDDEN, said: None }, UNAVAILABLE, SLIP),
        (SidecarError::Refused { call: call(), status: StatusCode::BAD_GATEWAY, said: None }, UNAVAILABLE, SLIP),
        (SidecarError::Shape { call: call(), source: json() }, UNAVAILABLE, SLIP),
        (SidecarError::OtherKey { call: call(), found: text() }, UNAVAILABLE, SLIP),
        (SidecarError::SignatureLength { call: call(), found: 1, expected: 2 }, UNAVAILABLE, SLIP),
        (SidecarError::Encode(json()), INTERNAL, SLIP),
    ]
}

/// A failure that may pass, for a row that is about what carries it.
pub(super) fn no_answer() -> SidecarError {
    SidecarError::Timeout { call: text(), within: Duration::ZERO }
}

pub(super) fn unsafe_path() -> Vec<Row<UnsafePath>> {
    vec![
        (UnsafePath::Look { path: path(), source: source() }, IO, SLIP),
        (UnsafePath::Writable { path: path(), who: "x", mode: 0o777 }, INTEGRITY, SLIP),
        (UnsafePath::Owner { path: path(), uid: 1 }, INTEGRITY, SLIP),
        (UnsafePath::NotAFile { path: path(), what: "x" }, INTEGRITY, SLIP),
        (UnsafePath::NotAFolder { path: path() }, INTEGRITY, SLIP),
        (UnsafePath::HardLinked { path: path(), links: 2 }, INTEGRITY, SLIP),
        (UnsafePath::TooManyLinks { path: path() }, INTEGRITY, SLIP),
    ]
}

pub(super) fn measure() -> Vec<Row<MeasureError>> {
    vec![
        (MeasureError::Open { path: path(), source: source() }, IO, SLIP),
        (MeasureError::UnsafePath(UnsafePath::NotAFolder { path: path() }), INTEGRITY, SLIP),
        (MeasureError::NotAFile { path: path() }, INTEGRITY, SLIP),
        (MeasureError::Empty { path: path() }, INTEGRITY, SLIP),
        (MeasureError::TooLarge { path: path(), size: 1 }, INTEGRITY, SLIP),
        (MeasureError::NotRunnable { path: path(), source: NotRunnable::Script }, INTEGRITY, SLIP),
        (MeasureError::Read { path: path(), source: source() }, IO, SLIP),
        (MeasureError::Memfd { source: source() }, OS, SLIP),
        (MeasureError::Copy { path: path(), source: source() }, OS, SLIP),
        (MeasureError::Seal { path: path(), source: source() }, OS, SLIP),
    ]
}

/// This very process, held against a user that it is not.
pub(super) fn not_confined() -> NotConfined {
    let this = std::env::current_exe().expect("this test");
    let image = seal(&this, ImageKind::Fd, PathCheck::Off, &Progress::default()).expect("measured");
    let stranger = RunAs { uid: u32::MAX - 1, gid: u32::MAX - 1 };
    match verify_running(std::process::id(), image.facts(), Some(stranger)) {
        Err(LaunchError::NotConfined(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// `once_it_runs`: as found by the watch, in a sidecar that passed this at its start.
pub(super) fn launch(once_it_runs: bool) -> Vec<Row<LaunchError>> {
    vec![
        (LaunchError::FindUser { user: text(), source: source() }, CONFIG, SLIP),
        (LaunchError::NoUser { user: text() }, CONFIG, SLIP),
        (LaunchError::RootUser, CONFIG, SLIP),
        (LaunchError::Output(source()), IO, SLIP),
        (LaunchError::Spawn(SpawnError::Vanished), OS, SLIP),
        (LaunchError::EndedEarly(Stopped::Withheld), UNAVAILABLE, SLIP),
        (LaunchError::Wait(source()), OS, SLIP),
        (LaunchError::Measure(MeasureError::Empty { path: path() }), INTEGRITY, SLIP),
        (LaunchError::NotAllowed { pid: 1, source: MeasureError::Empty { path: path() } }, CONFIG, SLIP),
        (LaunchError::OtherImage { expected: DIGEST, found: DIGEST }, INTEGRITY, LOCKS),
        (LaunchError::Unsealed, INTEGRITY, LOCKS),
        (LaunchError::ReadSeals(source()), OS, SLIP),
        (LaunchError::ReadStatus(1, source()), OS, SLIP),
        (LaunchError::NotConfined(not_confined()), INTEGRITY, once_it_runs),
    ]
}
