//! A node with a TPM in software (swtpm), and what asks both of them. What the TPM has is also read and checked with tpm2-tools,
//! which is not ours.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use contract::{Bytes, Digest};
use cryftgo_tee::evidence::canonical;
use cryftgo_tee::tpm::Log;
use serde_json::{Value, json};

use super::signing;
use super::support::{self, Host, Running};

pub(crate) const NODE: &str = "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2";
pub(crate) const NONCE: &str = "8f1c09a2d4e67b35";

/// A TPM in software, at a socket.
pub(crate) struct SoftTpm {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) child: Child,
}

impl SoftTpm {
    /// None where it, or the programs that look into it, are not installed. That is told as a test that cannot run.
    pub(crate) fn start(test: &str, socket: PathBuf) -> Option<Self> {
        for program in ["swtpm", "tpm2_pcrread"] {
            if Command::new(program).arg("--version").output().is_err() {
                support::skip(test, &format!("{program} is not installed (Debian: swtpm, tpm2-tools)"));
                return None;
            }
        }
        let folder = tempfile::tempdir().expect("folder");
        let child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", folder.path().display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", socket.display()))
            // tpm2-tools want it.
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}.ctrl", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm");
        let soft = Self { folder, socket, child };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !soft.socket.exists() {
            assert!(Instant::now() < deadline, "swtpm makes no socket");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(soft)
    }

    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> Output {
        let tcti = format!("swtpm:path={}", self.socket.display());
        let mut command = Command::new(program);
        command.args(arguments).env("TPM2TOOLS_TCTI", tcti).env("TSS2_LOG", "all+NONE").current_dir(self.folder.path());
        command.output().expect("tpm2-tools")
    }

    /// What another program reads of PCR 13.
    pub(crate) fn pcr(&self) -> Digest {
        let output = self.tool("tpm2_pcrread", &["sha256:13"]);
        let text = String::from_utf8(output.stdout).expect("text");
        let hex = text.rsplit("0x").next().expect("a value").trim();
        Digest::parse_lenient(hex).unwrap_or_else(|_| panic!("{text}"))
    }

    /// Another program extends PCR 13.
    pub(crate) fn extend(&self, digest: &str) {
        let output = self.tool("tpm2_pcrextend", &[&format!("13:sha256={digest}")]);
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host with a TPM of its own, and a sidecar that signs.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) soft: SoftTpm,
    pub(crate) binary: PathBuf,
    pub(crate) digest: Digest,
}

impl Node {
    /// None where the test was skipped, or run elsewhere.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !pid_1_can_be_looked_at() {
            run_elsewhere(test);
            return None;
        }
        let host = Host::new();
        let soft = SoftTpm::start(test, host.path("tpm.sock"))?;
        let binary = host.path("cryfttee");
        fs::copy(support::bad_sidecar(), &binary).expect("copy");
        let digest = digest_of(&binary);
        Some(Self { host, soft, binary, digest })
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.host.command(&self.binary);
        command.env("CRYFTTEE_SIGNS", "1");
        command
    }

    pub(crate) fn start(&self) -> Running<'_> {
        self.host.start(self.command())
    }

    pub(crate) fn log(&self) -> Log {
        serde_json::from_slice(&fs::read(self.host.path("tpm.json")).expect("read")).expect("its shape")
    }

    /// `cryftgo-tee evidence`. The private socket is asked: this sidecar answers at no other.
    pub(crate) fn evidence(&self, more: &[&str]) -> Output {
        self.evidence_for(NONCE, more)
    }

    pub(crate) fn evidence_for(&self, nonce: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
        command.args(["evidence", "--nonce", nonce, "--trust-pins-d", "/nonexistent"]);
        for (flag, path) in [
            ("--config", self.host.path("cryftgo-tee.toml")),
            ("--cryfttee-socket", self.host.path("private/control.sock")),
            ("--cryfttee-binary", self.binary.clone()),
            ("--identity-state-dir", self.host.path("state")),
            ("--identity-file", self.host.path("identity.json")),
            ("--state-dir", self.host.path("verifier")),
            ("--tpm-device", self.host.path("tpm.sock")),
            ("--tpm-log", self.host.path("tpm.json")),
        ] {
            command.arg(flag).arg(path);
        }
        command.args(more).env_clear().output().expect("run")
    }

    pub(crate) fn document(&self) -> Value {
        let output = self.evidence(&[]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// Evidence compares the namespaces of the sidecar with those of pid 1, which root may read where it is root of the host.
fn pid_1_can_be_looked_at() -> bool {
    fs::read_link("/proc/1/ns/net").is_ok()
}

/// Runs this one test again, as a pid 1 of its own.
fn run_elsewhere(test: &str) {
    const MARK: &str = "CRYFTGO_TEST_IS_PID_1";
    let inner = std::env::current_exe().expect("this test");
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]).arg(inner);
    unshare.args(["--exact", test, "--nocapture"]).env(MARK, "1");
    assert!(std::env::var_os(MARK).is_none(), "/proc/1/ns cannot be read by pid 1 itself");
    let output = unshare.output().expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let skipped = said.lines().find_map(|line| line.split_once("SKIPPED: ")?.1.split_once(": "));
    match skipped {
        Some((_, reason)) => support::skip(test, reason),
        None if !output.status.success() && !said.contains("running 1 test") => {
            support::skip(test, &format!("needs root: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        None => {
            assert!(output.status.success() && said.contains("1 passed"), "{}", String::from_utf8_lossy(&output.stderr))
        }
    }
}

pub(crate) fn digest_of(path: &Path) -> Digest {
    let output = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    Digest::parse_lenient(&String::from_utf8_lossy(&output.stdout)[..64]).expect("a digest")
}

/// `cryftgo-tee evidence verify`: the exit code, and the lines.
pub(crate) fn verify(document: &Value, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    command.args(["evidence", "verify", "-", "--node-id", NODE]);
    if !more.contains(&"--nonce") {
        command.args(["--nonce", NONCE]);
    }
    command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("spawn");
    // It may end before it has read anything.
    let _ = child.stdin.take().expect("stdin").write_all(document.to_string().as_bytes());
    let output = child.wait_with_output().expect("wait");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The lines that say that something is wrong.
pub(crate) fn wrong(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("WRONG")).collect()
}

/// The document with another statement, signed by the node's own key: whoever is root there can do that.
pub(crate) fn resigned(document: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut statement = document["statement"].clone();
    change(&mut statement);
    let message = [b"cryftgo-tee/evidence/v1\n".as_slice(), &canonical(&statement)].concat();
    json!({ "signature": Bytes(signing::sign(&message)), "statement": statement })
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().expect("text").parse::<Bytes>().expect("hex").0
}
