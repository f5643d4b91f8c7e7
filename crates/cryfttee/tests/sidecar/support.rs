//! What the tests share: a signer that follows a script, a client that sees every byte, a sidecar in this process.
pub(crate) mod client;
pub(crate) mod signer;
pub(crate) mod stock;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use cryfttee::cli::Cli;
use cryfttee::config::{Limits, Settings};
use cryfttee::listen::{Listener, Listeners, Role, Socket};
use cryfttee::{Evidence, Protection, Sidecar, serve};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The generator of G1.
pub(crate) const BLS: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
/// The generator of secp256k1.
pub(crate) const TLS: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// The same in 64 bytes, as Web3Signer spells it.
pub(crate) const TLS_64: &str = "0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";

/// A request that every Web3Signer signs: a typed one, which differs from others by its epoch.
pub(crate) fn typed(epoch: u64) -> Value {
    let (version, root) = (format!("0x{}", "00".repeat(4)), format!("0x{}", "5a".repeat(32)));
    json!({
        "type": "RANDAO_REVEAL",
        "fork_info": {
            "fork": {"previous_version": version, "current_version": version, "epoch": "0"},
            "genesis_validators_root": root
        },
        "randao_reveal": {"epoch": epoch.to_string()}
    })
}

/// The same, for the sidecar.
pub(crate) fn to_sign(epoch: u64) -> Value {
    json!({"pubkey": BLS, "data": typed(epoch)})
}

/// A sidecar that serves in this process.
pub(crate) struct Served {
    pub(crate) api: PathBuf,
    pub(crate) control: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Served {
    /// One with an `api` socket only, in front of `signer`.
    pub(crate) fn api(signer: &str, limits: Limits) -> Self {
        Self::start(signer, limits, &[Role::Api])
    }

    /// One with the given sockets.
    pub(crate) fn start(signer: &str, limits: Limits, roles: &[Role]) -> Self {
        Self::with(signer, roles, |settings| settings.limits = limits)
    }

    /// One with the given sockets and with settings other than the defaults.
    pub(crate) fn with(signer: &str, roles: &[Role], change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |role: Role| folder.path().join(role.to_string());
        let all = roles
            .iter()
            .map(|role| {
                let socket = UnixListener::bind(path(*role)).expect("bind");
                socket.set_nonblocking(true).expect("non-blocking");
                Listener { role: *role, socket: Socket::Unix(socket) }
            })
            .collect();
        Self::over(signer, all, folder, change)
    }

    /// One with an `api` socket on TCP, and where that is.
    pub(crate) fn tcp(signer: &str, change: impl FnOnce(&mut Settings)) -> (Self, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").expect("bind");
        socket.set_nonblocking(true).expect("non-blocking");
        let address = socket.local_addr().expect("bound");
        let all = vec![Listener { role: Role::Api, socket: Socket::Tcp(socket) }];
        (Self::over(signer, all, tempfile::tempdir().expect("a folder"), change), address)
    }

    /// One that serves a unix socket of the test's own.
    pub(crate) fn listening_at(signer: &str, socket: UnixListener) -> Self {
        socket.set_nonblocking(true).expect("non-blocking");
        let all = vec![Listener { role: Role::Api, socket: Socket::Unix(socket) }];
        Self::over(signer, all, tempfile::tempdir().expect("a folder"), |_| {})
    }

    fn over(signer: &str, all: Vec<Listener>, folder: TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let path = |role: Role| folder.path().join(role.to_string());
        let mut settings = settings(signer);
        change(&mut settings);
        let evidence = Evidence::gather(settings.verified_hash).expect("no file is read");
        let protection = Protection::prepare(&settings).expect("known names, good files");
        let sidecar = Sidecar::new(&settings, evidence, protection);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve_until(Listeners { all, file: None }, sidecar, stopped));
        Self { api: path(Role::Api), control: path(Role::Control), stop: Some(stop), serving, _folder: folder }
    }

    /// Tells it to stop, as SIGTERM does.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take().expect("told once").send(()).expect("it is serving");
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        self.serving.await.expect("it did not panic");
    }
}

/// The defaults, whatever the environment of the tests says, in front of `signer`.
pub(crate) fn settings(signer: &str) -> Settings {
    let cli = Cli::parse_from(["cryfttee", "--web3signer-url", signer, "--log-level", "error"]);
    Settings::read(&cli, Some(&contract::Digest::new([0xab; 32]).to_string())).expect("good settings")
}

async fn serve_until(listeners: Listeners, sidecar: Arc<Sidecar>, stopped: oneshot::Receiver<()>) {
    let stop = async move {
        // A test that ends drops the sender; its runtime ends with it.
        let _ = stopped.await;
    };
    serve(listeners, sidecar, stop).await.expect("serve");
}

/// Waits until a program that was just started listens there.
pub(crate) async fn wait_for(socket: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        assert!(Instant::now() < deadline, "it does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Says past the harness, which shows nothing of a test that passes, that one showed nothing.
pub(crate) fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stdout(), "SKIPPED: {test}: {why}");
}
