//! What the demo found, as the JSON object of `--json` and as the table at the end.

use std::io::Write as _;
use std::path::PathBuf;

use contract::{BlsPublicKey, Bytes, Digest, NodeId, TlsPublicKey};
use serde::Serialize;

use crate::stage::Signers;

/// The object of `--json`. Bytes are `0x` hex; `message` and `data` are what was signed, before hashing: `message` is the
/// 32-byte signing root of the vote.
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
    /// The signer of BLS keys.
    pub(super) web3signer_url: String,
    /// The signer of the TLS key.
    pub(super) web3signer_eth1_url: String,
    /// What both do beyond a stock Web3Signer.
    pub(super) extensions: Vec<String>,
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
    /// The same, with what signed.
    pub(super) fn with_signers(self, signers: &Signers, extensions: &[String]) -> Self {
        Self {
            web3signer_url: signers.eth2.url.clone(),
            web3signer_eth1_url: signers.eth1.url.clone(),
            extensions: extensions.to_vec(),
            ..self
        }
    }

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
            ("signers", format!("{} (eth2), {} (eth1)", self.web3signer_url, self.web3signer_eth1_url)),
            ("sidecar", self.core_binary_hash.to_string()),
            ("ready", format!("{:.1} ms after exec", self.ready_ms)),
            ("signatures", "both verified with other libraries than those that signed".to_owned()),
            ("flipped byte", format!("refused with exit code {}", self.tamper.exit_code)),
        ]
    }
}
