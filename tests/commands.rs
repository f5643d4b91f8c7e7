//! The commands that ask a running sidecar: sign, identity, attest, status.

#[path = "support/canned.rs"]
mod canned;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use canned::{BLS, Canned, NODE_ID, OTHER_BLS, TLS, refusal};

/// Of a sidecar that nobody measured here.
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The sidecar alone: no verifier shows a state here.
const ASK_SIDECAR: [&str; 2] = ["status", "--no-verifier"];
const ASK_SIDECAR_JSON: [&str; 3] = ["status", "--json", "--no-verifier"];

/// A folder with a sidecar's socket and a store, and the command that is told of them.
struct Host(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("one JSON value")
    }

    /// The one line of an error.
    fn refused(&self, code: u8) -> &str {
        assert_eq!(self.code, Some(i32::from(code)), "{self:?}");
        assert_eq!((self.stdout.as_str(), self.stderr.lines().count()), ("", 1), "{self:?}");
        self.stderr.trim_end()
    }

    fn printed(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout.trim_end()
    }
}

impl Host {
    fn new(canned: &Canned) -> Self {
        let host = Self(tempfile::tempdir().expect("folder"));
        canned.on_unix(&host.path("api.sock"));
        std::fs::create_dir_all(host.path("state/staking")).expect("folder");
        std::fs::create_dir_all(host.path("state/keys")).expect("folder");
        std::fs::create_dir(host.path("pins.d")).expect("folder");
        host.write("cryftgo-tee.toml", "");
        host
    }

    /// What a running verifier publishes, and a field of a later version.
    fn publish(&self, bls: &str) {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("boot id");
        let published = serde_json::json!({
            "node_id": NODE_ID, "bls_pubkey": bls, "tls_pubkey": TLS, "certificate": "", "digest": DIGEST,
            "cryfttee_version": "0.1.0", "boot_id": boot_id.trim(), "written_at": "2026-11-25T12:00:00Z", "more": 1,
        });
        self.write("identity.json", &published.to_string());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("write");
    }

    fn save_keys(&self) {
        self.write("state/staking/bls_pubkey", &format!("{BLS}\n"));
        self.write("state/staking/tls_pubkey", &format!("{TLS}\n"));
        self.write("state/staking/node_id", &format!("{NODE_ID}\n"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
        let (asked, others): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| **word == "--no-verifier");
        command.args(others);
        for (flag, path) in [
            ("--config", "cryftgo-tee.toml"),
            ("--cryfttee-socket", "api.sock"),
            ("--identity-state-dir", "state"),
            ("--identity-file", "identity.json"),
            ("--state-dir", "verifier"),
            ("--trust-pins-d", "pins.d"),
        ] {
            command.arg(flag).arg(self.path(path));
        }
        // Where no verifier shows its state, the sidecar is all there is to ask.
        if asked.is_empty() {
            command.arg("--state-file").arg(self.path("state.json"));
        } else {
            command.arg("--state-file=");
        }
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self.command(arguments).spawn().expect("spawn");
        // A command that refuses does not read it.
        let _ = child.stdin.take().expect("piped").write_all(input);
        Ended::of(child.wait_with_output().expect("end"))
    }
}

fn last_body(canned: &Canned) -> String {
    canned.asked().pop().expect("asked").1
}

#[test]
fn a_typed_message_goes_to_the_signer_as_it_is_with_the_nodes_own_key() {
    let canned = Canned::well();
    let host = Host::new(&canned);
    host.save_keys();
    let body = r#"{"type":"BLOCK_V2", "slot": 1e1}"#;
    host.write("block.json", &format!("{body}\n"));
    let signed = host.run(&["sign", "bls", "--data", host.path("block.json").to_str().expect("text")], b"");
    assert_eq!(signed.printed(), format!("0x{}", "ab".repeat(96)));
    assert_eq!(last_body(&canned), format!(r#"{{"pubkey":"{BLS}","data":{body},"type":"BLOCK_V2"}}"#));
    // The store says which key, so nothing else was asked.
    assert_eq!(canned.asked().len(), 1);

    let signed = host.run(&["sign", "bls", "--json", "--type", "BLOCK_V2", "--data", "-"], body.as_bytes()).json();
    assert_eq!(signed["pubkey"], BLS);
    assert_eq!(signed["type"], "BLOCK_V2");
    assert_eq!(signed["signature"], format!("0x{}", "ab".repeat(96)));
}

#[test]
fn bytes_hex_and_a_named_key_are_signed_as_given() {
    let canned = Canned::well();
    let host = Host::new(&canned);
    let sign = |arguments: &[&str], input: &[u8]| {
        host.run(arguments, input).printed();
        last_body(&canned)
    };
    let expected = |key: &str, hex: &str| format!(r#"{{"pubkey":"{key}","data":"{hex}","type":"ATTESTATION"}}"#);
    let by_type = ["sign", "bls", "--type", "ATTESTATION"];
    assert_eq!(sign(&by_type, b"hi\n"), expected(BLS, "0x68690a"), "the only key of the signer");
    assert_eq!(sign(&[&by_type[..], &["--hex"]].concat(), b"0x6869\n"), expected(BLS, "0x6869"));
    assert_eq!(sign(&[&by_type[..], &["--raw"]].concat(), b"{}"), expected(BLS, "0x7b7d"));
    // A key may be spelled in any way; it is sent in one.
    let spelled = OTHER_BLS[2..].to_uppercase();
    assert_eq!(sign(&[&by_type[..], &["--pubkey", &spelled]].concat(), b"hi"), expected(OTHER_BLS, "0x6869"));
    assert_eq!(sign(&["sign", "tls"], b"{}"), format!(r#"{{"pubkey":"{TLS}","data":"0x7b7d"}}"#));
}

#[test]
fn what_is_not_clear_is_asked_back_and_never_signed() {
    let canned = Canned::new(|request, body| match request {
        "GET /v1/staking/status" => (200, canned::status(&[BLS, OTHER_BLS], true)),
        _ => canned::well(request, body),
    });
    let host = Host::new(&canned);
    for (arguments, input, code, words) in [
        (&["sign", "bls"][..], &b"hi"[..], 64, "--type"),
        (&["sign", "bls", "--type", "BLOCK"], b"hi", 64, "2 BLS keys"),
        (&["sign", "bls", "--type", "BLOCK", "--pubkey", "0x00"], b"hi", 64, "--pubkey"),
        (&["sign", "bls", "--type", "BLOCK"], b"{\"type\":\"BLOCK\"", 65, "--raw"),
        (&["sign", "bls", "--type", "BLOCK", "--hex"], b"6869", 65, "hex"),
        (&["sign", "tls", "--hex"], b"0xabc", 65, "hex"),
        (&["sign", "tls"], b"", 65, "nothing to sign"),
        (&["sign", "tls", "--data", "/nonexistent"], b"", 74, "/nonexistent"),
        (&["sign", "tls", "--cryfttee-transport", "https"], b"hi", 78, "which CA?"),
        (&["sign", "tls", "--cryfttee-transport", "tcp"], b"", 78, "uds, http, https"),
    ] {
        let ended = host.run(arguments, input);
        assert!(ended.refused(code).contains(words), "{arguments:?}: {ended:?}");
    }
    assert!(canned.asked().iter().all(|(request, _)| !request.contains("sign")), "{:?}", canned.asked());
}

#[test]
fn each_refusal_of_the_sidecar_has_a_line_of_its_own_and_exit_code_69() {
    for (status, code, words) in [
        (412, "slashing_protection", "slashing protection: the signer refused, and nothing was signed"),
        (403, "forbidden", "not permitted: no (because); cryfttee.allow_users"),
        (404, "key_not_found", "the signer does not have this key"),
        (503, "signer_unavailable", "not available now"),
        (502, "signer_nonsense", "signer_nonsense"),
    ] {
        let host = Host::new(&Canned::new(move |_, _| refusal(status, code)));
        host.save_keys();
        let ended = host.run(&["sign", "bls", "--type", "BLOCK"], b"hi");
        assert!(ended.refused(69).contains(words), "{status}: {ended:?}");
    }
    let host = Host::new(&Canned::well());
    std::fs::remove_file(host.path("api.sock")).expect("remove");
    let ended = host.run(&ASK_SIDECAR, b"");
    assert!(ended.refused(69).contains("is it running?"), "{ended:?}");
}

#[test]
fn the_sidecars_text_cannot_steer_the_terminal() {
    let hostile =
        |_: &str, _: &str| (418, r#"{"error":"a\u001b[31m\nb\u202e","code":"\r\u009b","details":"\u0000"}"#.to_owned());
    let host = Host::new(&Canned::new(hostile));
    let ended = host.run(&ASK_SIDECAR, b"");
    assert!(!ended.refused(69).chars().any(|c| c.is_control() || c == '\u{202e}'), "{ended:?}");
    let host = Host::new(&Canned::well());
    for arguments in [&ASK_SIDECAR[..], &ASK_SIDECAR_JSON] {
        let ended = host.run(arguments, b"");
        let harmless = |line: &str| !line.chars().any(|c| c.is_control() || c == '\u{202e}');
        assert!(ended.printed().lines().all(harmless), "{ended:?}");
    }
    let url = &host.run(&ASK_SIDECAR_JSON, b"").json()["sidecar"]["web3signer_url"];
    assert_eq!(url, "http://signer/\u{1b}[31m\u{202e}", "nothing is lost for a script");
}

#[test]
fn status_of_a_sidecar_without_a_verifier_says_ready_by_its_exit_code() {
    let host = Host::new(&Canned::well());
    let ended = host.run(&ASK_SIDECAR, b"");
    let text = ended.printed();
    assert!(text.contains("ready to sign") && text.contains(BLS) && text.contains("bls_signing"), "{text}");
    assert_eq!(host.run(&ASK_SIDECAR_JSON, b"").json()["ready"], true);
    let host = Host::new(&Canned::new(|_, _| (200, canned::status(&[], false))));
    let ended = host.run(&ASK_SIDECAR, b"");
    assert_eq!((ended.code, ended.stdout.contains("NOT ready")), (Some(69), true), "{ended:?}");
    let ended = host.run(&ASK_SIDECAR_JSON, b"");
    assert_eq!((ended.code, &ended.json()["ready"]), (Some(69), &false.into()));
}

#[test]
fn identity_is_read_from_the_store_else_from_what_the_verifier_publishes() {
    let host = Host::new(&Canned::well());
    assert!(host.run(&["identity"], b"").refused(69).contains("no identity yet"));
    host.publish(OTHER_BLS);
    let found = host.run(&["identity", "--json"], b"").json();
    assert_eq!(found["bls_pubkey"], OTHER_BLS);
    assert_eq!(found["from"], host.path("identity.json").to_str().expect("text"));
    host.save_keys();
    let record =
        format!(r#"{{"pubkey":"{TLS}","node_id":"{NODE_ID}","secret_path":"","certificate":"PEM","created_at":0}}"#);
    host.write("state/keys/tls_key.json", &record);
    let found = host.run(&["identity", "--json"], b"").json();
    let expected = serde_json::json!({
        "node_id": NODE_ID, "bls_pubkey": BLS, "tls_pubkey": TLS, "certificate": "PEM",
        "proof_of_possession": null, "from": host.path("state"),
    });
    assert_eq!(found, expected);
    let ended = host.run(&["identity"], b"");
    assert!(ended.printed().contains(NODE_ID) && ended.stdout.contains(BLS), "{ended:?}");
}

#[test]
fn a_user_who_may_not_read_the_store_gets_what_is_published_and_no_socket_but_a_hint() {
    const TEST: &str = "a_user_who_may_not_read_the_store_gets_what_is_published";
    const NOBODY: u32 = 65534;
    let host = Host::new(&Canned::well());
    host.save_keys();
    for (name, mode) in [("", 0o755), ("state", 0o700), ("api.sock", 0o660)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(host.path(name), mode).expect("mode");
    }
    let as_nobody = |arguments: &[&str]| {
        let mut command = host.command(arguments);
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
        command.output().map(Ended::of)
    };
    let ended = match as_nobody(&["identity"]) {
        Ok(ended) => ended,
        Err(error) => {
            let _ = writeln!(std::io::stdout(), "SKIPPED: {TEST}: cannot become another user: {error}");
            return;
        }
    };
    assert!(ended.refused(69).contains("may not read"), "{ended:?}");
    host.publish(BLS);
    let ended = as_nobody(&["identity"]).expect("run");
    assert!(ended.printed().contains("identity.json"), "{ended:?}");
    // The socket may be used, the reference values may not be read.
    for (name, mode) in [("api.sock", 0o666), ("pins.d", 0o700)] {
        std::fs::set_permissions(host.path(name), std::fs::Permissions::from_mode(mode)).expect("mode");
    }
    let ended = as_nobody(&["attest"]).expect("run");
    assert!(ended.printed().contains("may not read the reference values"), "{ended:?}");
    std::fs::set_permissions(host.path("api.sock"), std::fs::Permissions::from_mode(0o660)).expect("mode");
    let ended = as_nobody(&ASK_SIDECAR).expect("run");
    assert!(ended.refused(69).contains("the mode of the socket says who may"), "{ended:?}");
}

#[test]
fn a_damaged_identity_is_never_no_identity() {
    for (name, content) in [
        ("state/staking/bls_pubkey", ""),
        ("state/staking/bls_pubkey", "0x97\n"),
        ("state/staking/tls_pubkey", "garbage"),
        ("state/staking/node_id", "NodeID-0000000000000000000000000000000000000000\n"),
        ("state/keys/bls_key.json", "{"),
        ("state/keys/bls_key.json", &format!("{{\"pubkey\":\"{OTHER_BLS}\"}}")),
    ] {
        let host = Host::new(&Canned::well());
        host.save_keys();
        host.write(name, content);
        // Another file that would do must not be taken instead.
        host.publish(OTHER_BLS);
        assert!(host.run(&["identity"], b"").refused(65).contains("state/"), "{name}");
        host.run(&["sign", "bls", "--type", "BLOCK"], b"hi").refused(65);
    }
    let host = Host::new(&Canned::well());
    host.write("identity.json", "{\"node_id\":");
    assert!(host.run(&["identity"], b"").refused(65).contains("identity.json"));
}

#[test]
fn evidence_that_fits_is_told_without_calling_it_a_proof() {
    let host = Host::new(&Canned::well());
    let ended = host.run(&["attest"], b"");
    let text = ended.printed();
    assert!(text.contains("Nothing contradicts") && text.contains("no proof"), "{text}");
    assert!(text.contains("?      digest"), "there is no reference value: {text}");
    host.write("pins.d/release", &format!("{}  cryfttee\n", "11".repeat(32)));
    let found = host.run(&["attest", "--json", "--nonce", "00ff"], b"").json();
    let outcomes: Vec<_> = found["checks"].as_array().expect("checks").iter().map(|check| &check["outcome"]).collect();
    assert_eq!(outcomes, ["ok"; 4], "{found}");
    assert_eq!((&found["ok"], &found["evidence"]["nonce"]), (&true.into(), &"00ff".into()));
    assert_eq!(found["answered_by"]["pid"], std::process::id());
}

#[test]
fn each_contradiction_in_evidence_is_named_and_ends_with_77() {
    let own = std::process::id();
    for (name, nonce, pid, source) in [
        ("nonce", Some("00"), own, "verified"),
        ("source", None, own, "self-reported"),
        ("pid", None, own + 1, "verified"),
    ] {
        let host = Host::new(&Canned::new(move |request, _| {
            let asked = request.split_once("nonce=").map_or("", |(_, nonce)| nonce);
            (200, canned::evidence(nonce.unwrap_or(asked), pid, source))
        }));
        let ended = host.run(&["attest"], b"");
        assert_eq!(ended.code, Some(77), "{ended:?}");
        let wrong: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("WRONG")).collect();
        assert!(matches!(wrong[..], [line] if line.contains(name)), "{ended:?}");
        assert!(ended.stdout.contains("CONTRADICTS"), "{ended:?}");
    }
    let host = Host::new(&Canned::well());
    host.write("pins.d/release", &format!("{}  cryfttee\n", "22".repeat(32)));
    let ended = host.run(&["attest", "--json"], b"");
    assert_eq!((ended.code, &ended.json()["ok"]), (Some(77), &false.into()), "{ended:?}");
}

#[test]
fn reference_values_that_are_damaged_or_anybodys_are_not_passed_over() {
    let host = Host::new(&Canned::well());
    host.write("pins.d/release", "00  cryfttee\n");
    assert!(host.run(&["attest"], b"").refused(65).contains("line 1"));
    host.write("pins.d/release", &format!("{}  cryfttee\n", "11".repeat(32)));
    let everybody = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(host.path("pins.d/release"), everybody).expect("mode");
    assert!(host.run(&["attest"], b"").refused(77).contains("others may write"));
}

#[test]
fn each_command_teaches_with_an_example() {
    for arguments in [&["sign", "bls"][..], &["sign", "tls"], &["identity"], &["attest"], &["status"]] {
        let help =
            Command::new(env!("CARGO_BIN_EXE_cryftgo-tee")).args(arguments).arg("--help").output().expect("help");
        let help = String::from_utf8(help.stdout).expect("text");
        assert!(help.contains("  $ ") && help.contains("cryftgo-tee ") && help.contains("Exit codes:"), "{help}");
    }
}
