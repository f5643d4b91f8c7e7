//! What the demo found, as the JSON object of `--json` and as the table at the end.

use std::io::Write as _;
use std::path::PathBuf;

use contract::{BlsPublicKey, Bytes, Digest, NodeId, TlsPublicKey};
use serde::Serialize;

/// The object of `--json`. Bytes are `0x` hex; `message` and `data` are what was signed, before hashing.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) node_id: NodeId,
    pub(super) bls_pubkey: BlsPublicKey,
    pub(super) tls_pubkey: TlsPublicKey,
    pub(super) core_binary_hash: Digest,
    /// From exec of the verifier to READY=1, in milliseconds.
    pub(super) ready_ms: f64,
    pub(super) bls: SignedMessage,
    pub(super) tls: SignedData,
    pub(super) tamper: Refusal,
    /// The public socket, while it is served (`--stay`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket: Option<PathBuf>,
}

#[derive(Serialize)]
pub(super) struct SignedMessage {
    pub(super) message: Bytes,
    pub(super) signature: Bytes,
}

#[derive(Serialize)]
pub(super) struct SignedData {
    pub(super) data: Bytes,
    pub(super) signature: Bytes,
}

/// How the verifier refused the changed sidecar.
#[derive(Serialize, Default)]
pub(super) struct Refusal {
    pub(super) exit_code: i32,
    /// The one line it wrote.
    pub(super) detail: String,
}

impl Report {
    /// One line on stdout, whatever else was printed where.
    pub(super) fn print(&self) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, self)?;
        writeln!(out)?;
        out.flush()
    }

    /// The table at the end.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("node", self.node_id.to_string()),
            ("BLS key", self.bls_pubkey.to_string()),
            ("TLS key", self.tls_pubkey.to_string()),
            ("sidecar", self.core_binary_hash.to_string()),
            ("ready", format!("{:.1} ms after exec", self.ready_ms)),
            ("signatures", "both verified with other libraries than those that signed".to_owned()),
            ("flipped byte", format!("refused with exit code {}", self.tamper.exit_code)),
        ]
    }
}
