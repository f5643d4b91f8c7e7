//! The built program: what it takes from whoever starts it, and how it ends.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::timeout;

use crate::support::client::{Client, ask, get};
use crate::support::signer::{FakeSigner, Reply, working};
use crate::support::{BLS, TLS, to_sign};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cryfttee");
const ATTESTATION: &str = "/v1/runtime/attestation";

fn hash() -> String {
    format!("sha256:{}", "0f".repeat(32))
}

/// The program with `fds` at 3 and 4 and `LISTEN_PID` set to its own pid, as a service manager starts it: a shell
/// knows that pid, because `exec` keeps it.
pub(crate) fn handed(fds: [OwnedFd; 2], count: &str, names: &str) -> Command {
    let [first, second] = fds;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "export LISTEN_PID=$$; exec \"$0\" 3<&0 4<&1 0</dev/null 1>/dev/null", PROGRAM])
        .env_clear()
        .env("LISTEN_FDS", count)
        .env("LISTEN_FDNAMES", names)
        .env(contract::env::VERIFIED_BINARY_HASH, hash())
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second))
        .stderr(Stdio::piped());
    command
}

/// A child that does not outlive its test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("start"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().expect("a pid")), signal).expect("it runs");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Exit code and everything on stderr.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let mut stderr = self.0.stderr.take().expect("piped");
        let deadline = Instant::now() + Duration::from_secs(30);
        let code = loop {
            match self.0.try_wait().expect("a child") {
                Some(status) => break status.code(),
                None => assert!(Instant::now() < deadline, "it does not end"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let mut text = String::new();
        stderr.read_to_string(&mut text).expect("UTF-8");
        (code, text)
    }

    /// The next line on stderr.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.0.stderr.as_mut().expect("piped")).read_line(&mut line).expect("UTF-8");
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn by_hand(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn inherited_sockets_are_served_behind_the_gate_and_drained_on_sigterm() {
    let slow = |got: &crate::support::signer::Got| Reply::After(Duration::from_millis(300), Box::new(working(got)));
    let signer = FakeSigner::start(slow).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (api, control) = (folder.path().join("api"), folder.path().join("control"));
    let sockets = [&api, &control].map(|path| UnixListener::bind(path).expect("bind").into());
    let mut command = handed(sockets, "2", "api:control");
    let running = Running::start(command.env(contract::env::WEB3SIGNER_URL, &signer.url));
    drop(command);

    let nonce = "c0ffee";
    let evidence = get(&control, &format!("{ATTESTATION}?nonce={nonce}")).await.json();
    assert_eq!(evidence["core_binary_hash"], hash());
    assert_eq!((&evidence["hash_source"], &evidence["nonce"]), (&json!("verified"), &json!(nonce)));
    assert_eq!(evidence["pid"], running.0.id());
    assert_eq!(open_files(running.0.id()), ["/dev/null", "/dev/null", "pipe", "socket", "socket"]);
    for fd in [3, 4] {
        assert!(closes_on_exec(running.0.id(), fd), "{fd} must not reach a child");
    }

    let mut early = Client::connect(&api).await;
    early.send(format!("GET {ATTESTATION} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert!(timeout(Duration::from_millis(200), early.answer()).await.is_err(), "nothing before admission");
    assert_eq!(ask(&control, "/v1/runtime/admit", "").await.status, 204);
    assert_eq!(early.answer().await.expect("an answer").status, 200);

    let mut flying = Client::connect(&api).await;
    let request = to_sign(1).to_string();
    flying.send(crate::support::client::post("/v1/staking/bls/sign", &request)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.signal(Signal::SIGTERM);
    assert_eq!(flying.answer().await.expect("an answer").status, 200, "a request in flight is finished");
    let (code, log) = running.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ready: serving api on unix:"), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours where there is no terminal: {log}");
    assert!(api.exists() && control.exists(), "inherited sockets are somebody else's to remove");
}

/// What stands at fds 0 to 4.
fn open_files(pid: u32) -> Vec<String> {
    let show = |fd: u32| {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("open");
        let text = link.to_string_lossy().into_owned();
        text.split(':').next().unwrap_or_default().to_owned()
    };
    (0..5).map(show).collect()
}

fn closes_on_exec(pid: u32, fd: u32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).expect("open");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim();
    let cloexec = nix::fcntl::OFlag::O_CLOEXEC.bits();
    i32::from_str_radix(flags, 8).expect("octal") & cloexec != 0
}

#[tokio::test]
async fn an_inherited_socket_without_a_control_socket_is_served_at_once() {
    for names in ["api", "cryfttee.socket", ""] {
        let folder = tempfile::tempdir().expect("a folder");
        let api = folder.path().join("api");
        let socket = UnixListener::bind(&api).expect("bind").into();
        let unused = File::open("/dev/null").expect("open").into();
        let running = Running::start(&mut handed([socket, unused], "1", names));
        assert_eq!(get(&api, ATTESTATION).await.status, 200, "{names}");
        running.signal(Signal::SIGINT);
        assert_eq!(running.end().await.0, Some(0));
    }
}

#[tokio::test]
async fn a_tcp_listener_is_inherited_as_well() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("bound");
    let unused = File::open("/dev/null").expect("open").into();
    let _running = Running::start(&mut handed([socket.into(), unused], "1", "api"));
    let stream = tokio::net::TcpStream::connect(address).await.expect("connect");
    assert_eq!(Client::over(stream).get(ATTESTATION).await.status, 200);
}

#[tokio::test]
async fn what_is_no_listening_stream_socket_is_refused() {
    let datagram = || OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("bind"));
    let file = || OwnedFd::from(File::open("/dev/null").expect("open"));
    for (first, count, why) in [
        (datagram(), "1", "not a listening stream socket"),
        (file(), "1", "descriptor 3"),
        (file(), "3", "descriptors that LISTEN_FDS announces"),
        (file(), "many", "not a number"),
    ] {
        let (code, log) = Running::start(&mut handed([first, file()], count, "api")).end().await;
        assert_eq!(code, Some(i32::from(contract::exit::OS)), "{log}");
        assert!(log.contains(why) && log.lines().count() == 1, "{log}");
    }
}

#[tokio::test]
async fn sockets_announced_to_another_process_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own");
    let mut command = by_hand(&["--uds-path", path.to_str().expect("UTF-8")]);
    let mut running = Running::start(command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1"));
    assert!(running.line().contains("self-reported"), "and says that nobody verified it");
    assert!(running.line().contains("ready: serving api on unix:"));
    let evidence = get(&path, ATTESTATION).await.json();
    assert_eq!(evidence["hash_source"], "self-reported");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o660);

    let second = Running::start(&mut by_hand(&["--uds-path", path.to_str().expect("UTF-8")])).end().await;
    assert_eq!(second.0, Some(i32::from(contract::exit::OS)));
    assert!(second.1.contains("in use"), "{}", second.1);

    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().await.0, Some(0));
    assert!(!path.exists(), "its own socket is removed at the end");
}

#[tokio::test]
async fn by_hand_it_serves_http_where_it_is_told_to() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("bound");
    let mut command = by_hand(&["--api-transport", "http"]);
    let mut running = Running::start(command.env(contract::env::HTTP_ADDR, free.to_string()));
    while !running.line().contains(&format!("ready: serving api on http://{free}")) {}
    let stream = tokio::net::TcpStream::connect(free).await.expect("connect");
    assert_eq!(Client::over(stream).get(ATTESTATION).await.status, 200);
}

#[tokio::test]
async fn a_wrong_configuration_ends_it_with_one_line_and_code_78() {
    for (name, value, why) in [
        (contract::env::API_TRANSPORT, "tcp", "uds, http, https"),
        (contract::env::API_TRANSPORT, "https", contract::env::TLS_CERT),
        (contract::env::ALLOW_USERS, "no-such-user", "no-such-user"),
        (contract::env::REGISTER_GROUPS, "no-such-group", contract::env::REGISTER_GROUPS),
        (contract::env::ALLOW_GROUPS, ",", contract::env::ALLOW_GROUPS),
        (contract::env::REGISTER_OVER_TCP, "maybe", "true or false"),
        (contract::env::KEY_GENERATION, "vault", "signer, import, off"),
        (contract::env::WEB3SIGNER_ETH1_URL, "signer", contract::env::WEB3SIGNER_ETH1_URL),
        (contract::env::VERIFIED_BINARY_HASH, "sha256:0f", "not a digest"),
        (contract::env::WEB3SIGNER_URL, "https://signer", "https to Web3Signer"),
        (contract::env::WEB3SIGNER_URL, "http://user:secret@signer", "may not carry"),
        (contract::env::EXPECTED_BLS_PUBKEY, TLS, contract::env::EXPECTED_BLS_PUBKEY),
        (contract::env::LOG_LEVEL, "loud", "unknown log level"),
    ] {
        let (code, log) = Running::start(by_hand(&[]).env(name, value)).end().await;
        assert_eq!(code, Some(i32::from(contract::exit::CONFIG)), "{name}={value}: {log}");
        assert!(log.contains(why) && log.lines().count() == 1, "{name}={value}: {log}");
        assert!(!log.contains("secret"), "{log}");
    }
}

#[test]
fn help_teaches_and_a_wrong_flag_is_64() {
    let help = by_hand(&["--help"]).output().expect("run");
    let text = String::from_utf8(help.stdout).expect("UTF-8");
    assert!(help.status.success());
    for word in ["CRYFTTEE_VERIFIED_BINARY_HASH", "LISTEN_FDS", "--web3signer-url", "curl --unix-socket", "SIGTERM"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    assert_eq!(by_hand(&["--version"]).output().expect("run").status.code(), Some(0));
    assert_eq!(by_hand(&["--loud"]).output().expect("run").status.code(), Some(64));
}

#[tokio::test]
async fn an_expected_key_that_the_signer_lacks_is_a_warning_told_once() {
    let signer = FakeSigner::working().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let other = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
    let mut command = by_hand(&["--uds-path", path.to_str().expect("UTF-8"), "--web3signer-url", &signer.url]);
    command.env(contract::env::EXPECTED_TLS_PUBKEY, other).env(contract::env::EXPECTED_BLS_PUBKEY, BLS);
    let mut running = Running::start(&mut command);
    while !running.line().contains("ready") {}
    for _ in 0..3 {
        assert_eq!(get(&path, "/v1/staking/status").await.status, 200);
    }
    running.signal(Signal::SIGTERM);
    let (_, log) = running.end().await;
    assert_eq!(log.matches("is not in the signer").count(), 1, "{log}");
    assert!(log.contains(other), "{log}");
}
