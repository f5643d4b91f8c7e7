//! Plays systemd's part for one verifier: the listening socket, the notify socket, and a folder of its own.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

/// A folder with everything that one verifier needs.
pub struct Host {
    folder: tempfile::TempDir,
    listener: UnixListener,
    /// What the verifier told systemd. Taken off the socket at once, as systemd does.
    notified: Receiver<String>,
}

/// How a verifier ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
    pub notified: Vec<String>,
}

impl Ended {
    pub fn was_ready(&self) -> bool {
        self.notified.iter().any(|message| message.lines().any(|line| line == "READY=1"))
    }

    /// The last line of standard error: the refusal.
    pub fn refusal(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }

    /// Refused with this code, before READY, in a line that has all these parts.
    #[track_caller]
    pub fn assert_refused(&self, code: u8, parts: &[&str]) {
        assert_eq!(self.code, Some(i32::from(code)), "{self:?}");
        assert!(!self.was_ready(), "{self:?}");
        for part in parts {
            assert!(self.refusal().contains(part), "{part:?} in {:?}", self.refusal());
        }
    }
}

/// The keys of the bad sidecar: the generators.
pub const BLS: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
pub const TLS: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// The node that the second of them is.
pub const NODE: &str = "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2";

/// All that is kept of who the node is, in the state folder.
pub const IDENTITY_FILES: [&str; 5] =
    ["staking/bls_pubkey", "staking/tls_pubkey", "staking/node_id", "keys/bls_key.json", "keys/tls_key.json"];

/// Runs `body` where mounts are its own. Skipped where that is not allowed.
pub fn with_own_mounts(test: &str, body: impl FnOnce() + Send) {
    use nix::mount::{MsFlags, mount};
    std::thread::scope(|scope| {
        let outcome = scope.spawn(|| {
            if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS) {
                return skip(test, &format!("needs mounts of its own: {error}"));
            }
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
            body();
        });
        outcome.join().expect("the test");
    });
}

/// A disk of its own for what stands in `folder`. To be called with mounts of one's own.
pub fn small_disk(folder: &Path, size: &str) {
    use nix::mount::{MsFlags, mount};
    std::fs::create_dir(folder).expect("folder");
    let options = format!("size={size},mode=700");
    mount(Some("none"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).expect("tmpfs");
}

/// Says loudly that a test cannot run here. `cargo xtask test` counts the line as a skipped test; it is written
/// past the test harness, which would keep it to itself.
pub fn skip(test: &str, reason: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "SKIPPED: {test}: {reason}");
}

/// The sidecar that misbehaves on demand.
pub fn bad_sidecar() -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let profile = test.parent().and_then(Path::parent).expect("target/profile");
    let path = profile.join("examples/bad-sidecar");
    assert!(path.exists(), "{} is missing: run cargo test for the whole package, which builds it", path.display());
    path
}

impl Host {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let listener = UnixListener::bind(folder.path().join("api.sock")).expect("listen");
        let notify = UnixDatagram::bind(folder.path().join("notify.sock")).expect("notify socket");
        notify.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
        let (told, notified) = std::sync::mpsc::sync_channel(10_000);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                match notify.recv(&mut buffer) {
                    Ok(count) => {
                        let message = String::from_utf8_lossy(&buffer[..count]).into_owned();
                        if told.send(message).is_err() {
                            return;
                        }
                    }
                    // Nobody is there any more: the host is gone, and an empty message says so.
                    Err(_) if told.send(String::new()).is_err() => return,
                    Err(_) => {}
                }
            }
        });
        std::fs::write(folder.path().join("cryftgo-tee.toml"), "").expect("configuration");
        Self { folder, listener, notified }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A verifier of `sidecar` with settings of short times. Standard input carries the listening socket to
    /// descriptor 3; the shell's pid becomes the verifier's, as LISTEN_PID must be.
    pub fn command(&self, sidecar: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "LISTEN_PID=$$; export LISTEN_PID; exec \"$@\" 3<&0 </dev/null", "sh"])
            .arg(env!("CARGO_BIN_EXE_cryftgo-tee"))
            .arg("run")
            .args(["--cryfttee-signer", "--trust-pins-d", "/nonexistent"])
            .args(["--cryfttee-startup-timeout", "2s", "--cryfttee-request-timeout", "2s"])
            .args(["--web3signer-startup-timeout", "2s"])
            // Temporary folders are everybody's; the check has tests of its own.
            .args(["--launch-check-path", "false"])
            .args(["--watch-interval", "100ms", "--launch-stop-grace", "500ms"]);
        for (flag, path) in [
            ("--config", self.path("cryftgo-tee.toml")),
            ("--cryfttee-binary", sidecar.to_owned()),
            ("--cryfttee-socket", self.path("api.sock")),
            ("--control-socket", self.path("private/control.sock")),
            ("--identity-state-dir", self.path("state")),
            ("--identity-file", self.path("identity.json")),
            ("--state-file", self.path("state.json")),
            ("--state-dir", self.path("verifier")),
            // Not that of the machine that the tests run on.
            ("--tpm-device", self.path("tpm.sock")),
            ("--tpm-log", self.path("tpm.json")),
        ] {
            command.arg(flag).arg(path);
        }
        command
            .env_clear()
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "api")
            .env("NOTIFY_SOCKET", self.path("notify.sock"));
        self.wire(&mut command);
        command
    }

    /// Connects the standard streams.
    pub fn wire(&self, command: &mut Command) {
        command
            .stdin(OwnedFd::from(self.listener.try_clone().expect("clone")))
            .stdout(Stdio::null())
            // A file and not a pipe: a process that a test leaves behind must fail it, not hang it.
            .stderr(std::fs::File::create(self.path("stderr")).expect("file"));
    }

    /// The bad sidecar with one fault.
    pub fn with_fault(&self, fault: &str) -> Command {
        let mut command = self.command(&bad_sidecar());
        command.env("CRYFTTEE_FAULT", fault);
        command
    }

    /// Runs it to its end, which must come within ten seconds.
    pub fn run(&self, mut command: Command) -> Ended {
        let child = command.spawn().expect("spawn");
        self.end(child)
    }

    /// Starts it and waits for READY.
    pub fn start(&self, mut command: Command) -> Running<'_> {
        let child = command.spawn().expect("spawn");
        let mut running = Running { host: self, child: Some(child), notified: Vec::new() };
        running.wait_for("READY=1");
        running
    }

    fn end(&self, mut child: Child) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut notified = Vec::new();
        let status = loop {
            notified.extend(self.notification());
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().expect("kill");
                panic!("the verifier still runs after ten seconds; it said {notified:?}");
            }
        };
        while let Some(message) = self.notification() {
            notified.push(message);
        }
        let stderr = String::from_utf8_lossy(&std::fs::read(self.path("stderr")).expect("read")).into_owned();
        Ended { code: status.code(), stderr, notified }
    }

    pub fn notification(&self) -> Option<String> {
        loop {
            // An empty one is the sign that for a while nothing came.
            match self.notified.recv_timeout(Duration::from_millis(50)) {
                Ok(message) if message.is_empty() => {}
                Ok(message) => return Some(message),
                Err(_) => return None,
            }
        }
    }

    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("api.sock")).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
        stream
    }
}

/// A verifier that was READY. Killed when the test ends early.
pub struct Running<'a> {
    host: &'a Host,
    child: Option<Child>,
    pub notified: Vec<String>,
}

impl Running<'_> {
    /// Waits until a notification has a line that starts with this.
    pub fn wait_for(&mut self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let seen = |message: &String| message.lines().any(|line| line.starts_with(wanted));
        loop {
            if let Some(message) = self.host.notification() {
                let found = seen(&message);
                self.notified.push(message);
                if found {
                    return;
                }
            }
            if Instant::now() > deadline
                || self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|s| s.is_some()))
            {
                let child = self.child.take().expect("running");
                let ended = self.host.end(child);
                panic!("{wanted} did not come; it said {:?} and then {ended:?}", self.notified);
            }
        }
    }

    /// Waits until standard error has a line with this in it.
    pub fn wait_for_line(&self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let stderr = std::fs::read_to_string(self.host.path("stderr")).unwrap_or_default();
            if stderr.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{wanted:?} did not come; standard error has: {stderr}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What standard error has so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.host.path("stderr")).expect("text")
    }

    pub fn pid(&self) -> nix::unistd::Pid {
        let pid = self.child.as_ref().expect("running").id();
        nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"))
    }

    /// The pid of the one child, the sidecar.
    pub fn sidecar(&self) -> nix::unistd::Pid {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(path).expect("children");
        nix::unistd::Pid::from_raw(children.trim().parse().expect("exactly one child"))
    }

    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.pid(), signal).expect("signal");
    }

    /// Waits for its end by itself.
    pub fn end(mut self) -> Ended {
        let child = self.child.take().expect("running");
        let mut ended = self.host.end(child);
        ended.notified.splice(0..0, std::mem::take(&mut self.notified));
        ended
    }

    /// Asks it to stop and waits for its end.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.end()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
