//! Who answers the verifier, and when: the client of the private socket by itself.

mod support;

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use cryftgo_tee::fault::Fault as _;
use cryftgo_tee::sidecar::{Client, Peer, SidecarError};

/// A process that holds the listener and answers at once, with whatever it likes.
fn impostor(listener: UnixListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
}

fn admit(path: &std::path::Path, peer: Peer, timeout: Duration) -> Result<(), SidecarError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(Client::new(path.to_owned(), peer, timeout).admit(&contract::wire::AdmitRequest::default()))
}

fn this_process() -> Peer {
    Peer { pid: std::process::id(), uid: nix::unistd::geteuid().as_raw() }
}

#[test]
fn another_process_that_holds_the_listener_is_found_out_by_its_credentials() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("control.sock");
    impostor(UnixListener::bind(&path).expect("listen"));
    let timeout = Duration::from_secs(5);
    // The right process is believed, so that the refusal below is for its pid and for nothing else.
    assert!(admit(&path, this_process(), timeout).is_ok());
    let other_pid = Peer { pid: this_process().pid + 1, ..this_process() };
    let other_uid = Peer { uid: this_process().uid + 1, ..this_process() };
    for expected in [other_pid, other_uid] {
        let error = admit(&path, expected, timeout).expect_err("forged");
        assert!(matches!(error, SidecarError::Forged { .. }), "{error:?}");
        assert_eq!(error.exit_code(), contract::exit::INTEGRITY);
    }
}

#[test]
fn an_answer_is_taken_from_a_server_that_keeps_its_connections_open_and_is_asked_for_the_end() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).expect("listen");
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut request = [0; 4096];
        let count = stream.read(&mut request).expect("a request");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("write");
        // Until the client has gone.
        assert_eq!(stream.read(&mut [0; 1]).expect("its end"), 0);
        String::from_utf8_lossy(&request[..count]).to_ascii_lowercase()
    });
    assert!(admit(&path, this_process(), Duration::from_secs(5)).is_ok());
    assert!(asked.join().expect("no panic").contains("connection: close\r\n"));
}

#[test]
fn a_full_queue_meets_the_deadline_and_hangs_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).expect("listen");
    // Nobody accepts, and the queue holds one.
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).expect("backlog")).expect("listen");
    let mut waiting = Vec::new();
    loop {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK,
            None,
        )
        .expect("socket");
        let address = nix::sys::socket::UnixAddr::new(&path).expect("address");
        match nix::sys::socket::connect(socket.as_raw_fd(), &address) {
            Ok(()) => waiting.push(socket),
            Err(error) => {
                assert_eq!(error, nix::errno::Errno::EAGAIN);
                break;
            }
        }
    }
    let began = Instant::now();
    let error = admit(&path, this_process(), Duration::from_millis(300)).expect_err("no place");
    assert!(matches!(error, SidecarError::Timeout { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!waiting.is_empty());
}
