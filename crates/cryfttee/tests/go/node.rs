//! The node in Go and what it needs around it: the dev signer, the built sidecar, a state folder.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;

use contract::env;
use cryfttee_devsigner::options::{Extension, Options, Serves};
use cryfttee_devsigner::{Server, Store};
use serde_json::Value;
use sha2_10::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The sidecar.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_cryfttee");

/// What the node has signed: of three lengths, because base64 pads each in its own way.
pub(crate) const ATTESTATION: &[u8] = b"slot 33, source 0, target 1\x00\xff";
pub(crate) const BLOCK_ROOT: &[u8] = &[0x5b; 32];
pub(crate) const TLS_PAYLOAD: &[u8] = b"certificate request";

/// Says loudly that a test cannot run here. `cargo xtask test` counts the line as a skipped test; it is written
/// past the test harness, which would keep it to itself.
pub(crate) fn skip(test: &str, reason: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "SKIPPED: {test}: {reason}");
}

/// The node, built once; none where there is no Go.
fn node() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let built = scratch.join("cryftgo-node");
    let mut go = Command::new("go");
    // No stamp of the version control: it asks git, which refuses a checkout that another user owns.
    go.args(["build", "-trimpath", "-buildvcs=false", "-o"])
        .arg(&built)
        .arg(".")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/go"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GOCACHE", scratch.join("cache"))
        .env("GOPATH", scratch.join("path"))
        // Nothing of this machine's settings, nothing from the network.
        .envs([("GOENV", "off"), ("GOWORK", "off"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")])
        .stdin(Stdio::null());
    let output = match go.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("start go: {error}"),
    };
    assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
    Some(built)
}

/// The dev signer, in this process; stopped when dropped.
pub(crate) struct Signer {
    pub(crate) url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Signer {
    /// One with the keys of a folder, which is made where there is none.
    pub(crate) fn start(keys: &Path) -> Self {
        // The node of the document is initialised by a signer that makes keys, has bytes signed, and gets a certificate.
        let extensions = [Extension::BothKinds, Extension::Generate, Extension::Raw, Extension::Digest];
        let options = Options { extensions: extensions.into(), ..Options::stock(Serves::Both) };
        let store = Store::open_for(keys, None, &options).expect("a good folder");
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let address = SocketAddr::from(([127, 0, 0, 1], 0));
                let server = Server::bind_with(address, store, options).await.expect("a free port");
                tell.send(server.address()).expect("the test waits");
                server
                    .serve(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
        });
        let url = format!("http://{}", told.recv().expect("the signer tells"));
        Self { url, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The built sidecar; killed when dropped.
pub(crate) struct Sidecar {
    child: Child,
    /// How a client reaches it.
    flags: [String; 2],
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a run of the node ended.
pub(crate) struct Ran {
    identity: Option<Value>,
    pub(crate) log: String,
}

impl Ran {
    /// What it says of itself; it must have ended well.
    pub(crate) fn identity(self) -> Value {
        self.identity.unwrap_or_else(|| panic!("the node failed: {}", self.log))
    }

    /// Why it gave up; it must have.
    pub(crate) fn refusal(&self) -> &str {
        assert!(self.identity.is_none(), "the node should have given up: {}", self.log);
        self.log.lines().last().unwrap_or_default()
    }
}

/// A machine with a node on it.
pub(crate) struct Host {
    folder: TempDir,
    node: &'static Path,
    pub(crate) signer: Signer,
}

impl Host {
    /// One with a signer that has no keys; none, with a line that says so, where `test` cannot run for want of Go.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let Some(node) = node() else {
            skip(test, "go is not installed");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::start(&folder.path().join("signer"));
        Some(Self { folder, node, signer })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the node's state.
    pub(crate) fn saved(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("state").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Puts another signer, one without keys, in the place of this one.
    pub(crate) fn replace_signer(&mut self) {
        self.signer = Signer::start(&self.path("other-signer"));
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env(env::VERIFIED_BINARY_HASH, measured())
            .env(env::WEB3SIGNER_URL, &self.signer.url)
            .stdout(Stdio::null())
            .stderr(File::create(self.path("sidecar.log")).expect("a file"));
    }

    /// The sidecar on a unix socket of its own.
    pub(crate) fn sidecar(&self) -> Sidecar {
        let socket = self.path("cryfttee.sock");
        let mut command = Command::new(PROGRAM);
        self.environment(&mut command);
        let child = command.env(env::UDS_PATH, &socket).stdin(Stdio::null()).spawn().expect("start");
        Sidecar { child, flags: ["--cryfttee-socket".into(), socket.to_str().expect("UTF-8").into()] }
    }

    /// The sidecar on loopback TCP. The socket is handed over, so that a free port is known before it starts; the
    /// shell's pid becomes the sidecar's, as LISTEN_PID must be.
    pub(crate) fn sidecar_over_tcp(&self, register: bool) -> Sidecar {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound").to_string();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "export LISTEN_PID=$$; exec \"$0\" 3<&0 0</dev/null", PROGRAM]);
        self.environment(&mut command);
        let child = command
            .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "api"), (env::API_TRANSPORT, "http")])
            .env(env::REGISTER_OVER_TCP, register.to_string())
            .stdin(OwnedFd::from(socket))
            .spawn()
            .expect("start");
        Sidecar { child, flags: ["--cryfttee-transport=http".into(), format!("--cryfttee-http-addr={address}")] }
    }

    /// Runs the node against a running sidecar that was measured as what it is.
    pub(crate) fn run(&self, sidecar: &Sidecar) -> Ran {
        self.run_with(sidecar, &measured())
    }

    /// Runs the node against a running sidecar that is believed to be `hash`.
    pub(crate) fn run_with(&self, sidecar: &Sidecar, hash: &str) -> Ran {
        self.run_node(sidecar.flags.iter().map(String::as_str).chain(["--verified-hash", hash]))
    }

    /// Runs the node.
    pub(crate) fn run_node<'a>(&self, flags: impl Iterator<Item = &'a str>) -> Ran {
        let mut command = Command::new(self.node);
        command.env_clear().arg("--cryfttee-signer").args(flags).arg("--state-dir").arg(self.path("state"));
        for (flag, data) in
            [("--attestation", ATTESTATION), ("--block-root", BLOCK_ROOT), ("--tls-payload", TLS_PAYLOAD)]
        {
            command.arg(flag).arg(hex::encode(data));
        }
        let output = command.stdin(Stdio::null()).output().expect("run the node");
        let log = String::from_utf8(output.stderr).expect("UTF-8");
        let identity = match output.status.code() {
            Some(0) => Some(serde_json::from_slice(&output.stdout).expect("one JSON value")),
            Some(1) => None,
            _ => panic!("{}: {log}", output.status),
        };
        Ran { identity, log }
    }
}

/// The digest of the sidecar's binary, as the verifier gives it.
pub(crate) fn measured() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let hash = || format!("sha256:{}", hex::encode(Sha256::digest(std::fs::read(PROGRAM).expect("the sidecar"))));
    HASH.get_or_init(hash).clone()
}
