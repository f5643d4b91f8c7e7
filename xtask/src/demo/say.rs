//! What people see.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::report::Report;
use super::vote::Vote;

/// Where lines for people go, and whether in colour.
pub(super) struct Say {
    to_stderr: bool,
    colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
const CYAN: &str = "36";

impl Say {
    /// With `json`, stdout belongs to the object and people read stderr. Colour on a terminal only, and
    /// never where `NO_COLOR` is set.
    pub(super) fn new(json: bool) -> Self {
        let terminal = if json { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { to_stderr: json, colour: terminal && wanted }
    }

    /// A part of the story begins.
    pub(super) fn heading(&self, text: &str) {
        self.line(&format!("\n{}", self.paint(BOLD, text)));
    }

    /// A remark.
    pub(super) fn note(&self, text: &str) {
        self.line(&format!("  {}", self.paint(DIM, text)));
    }

    /// A step of the verifier, with its time since exec.
    pub(super) fn step(&self, after: Duration, text: &str) {
        let time = format!("{:>8.1} ms", after.as_secs_f64() * 1000.0);
        self.line(&format!("{}  {text}", self.paint(CYAN, &time)));
    }

    /// Something was as claimed. With an empty `what` it goes on from the line before.
    pub(super) fn good(&self, what: &str, detail: &str) {
        self.line(&format!("  {} {what:<12} {detail}", self.paint(GREEN, "ok")));
    }

    /// The one line of a failure, always on stderr.
    pub(super) fn failed(&self, error: &dyn std::error::Error) {
        let colour = self.colour && std::io::stderr().is_terminal();
        let word = if colour { format!("\x1b[{RED}mdemo failed:\x1b[0m") } else { "demo failed:".to_owned() };
        // One line, whatever an answer or a log had in it.
        let text = error.to_string().replace(|c: char| c.is_control(), " ");
        eprintln!("{word} {text}");
    }

    /// Two columns.
    pub(super) fn table(&self, rows: &[(&str, String)]) {
        self.heading("Shown");
        for (name, value) in rows {
            self.line(&format!("  {name:<13} {value}"));
        }
    }

    /// How to try the socket by hand.
    pub(super) fn invitation(&self, socket: &Path, report: &Report) {
        let socket = socket.display();
        self.heading("Serving until Ctrl-C. Try, in another terminal:");
        self.line(&format!("  S={socket}"));
        self.line("  curl --unix-socket $S 'http://localhost/v1/runtime/attestation?nonce=00ff'");
        self.line("  curl --unix-socket $S http://localhost/v1/staking/status");
        let sign = |kind: &str, body: serde_json::Value| {
            self.line(&format!("  curl --unix-socket $S http://localhost/v1/staking/{kind}/sign --json '{body}'"));
        };
        sign("bls", json!({"pubkey": report.bls_pubkey, "data": Vote::DEMO.body(), "type": "ATTESTATION"}));
        sign("tls", json!({"pubkey": report.tls_pubkey, "data": "0x0123"}));
        if report.extensions.iter().any(|name| name == "raw") {
            self.note("raw bytes, which a stock Web3Signer does not sign:");
            sign("bls", json!({"pubkey": report.bls_pubkey, "data": "0x0123", "type": "ATTESTATION"}));
        }
        self.line(&format!("  curl {}/api/v1/eth2/publicKeys", report.web3signer_url));
        self.line(&format!("  curl {}/api/v1/eth1/publicKeys", report.web3signer_eth1_url));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&self, text: &str) {
        // A reader that went away (`| head`) is no reason to stop half-way with children running.
        let _ =
            if self.to_stderr { writeln!(std::io::stderr(), "{text}") } else { writeln!(std::io::stdout(), "{text}") };
    }
}
