//! `cryftgo-tee identity`.

use std::process::ExitCode;

use super::call::{CallError, json};
use super::node::{self, Found};
use super::settings::SettingArgs;
use super::{fail, print};
use crate::config::Settings;

pub(super) const AFTER_HELP: &str = "\
Example:
  $ cryftgo-tee identity --json | jq -r .node_id
  NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2

Only public values, read from the verifier's store (identity.state_dir), or, by a user who may not read that, from the
file that a running verifier publishes (identity.file). No process is asked.

Exit codes: 0 printed; 65 a file is damaged, or two contradict each other; 69 there is no identity yet; 74 a file cannot
be read; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print {"node_id", "bls_pubkey", "tls_pubkey", "certificate", "proof_of_possession", "from"}, null where unknown
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    match show(args) {
        Ok(text) => print(&text),
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn show(args: &Args) -> Result<String, CallError> {
    let settings = Settings::load_for_client(args.settings.command_line())?;
    let (node, from) = match node::read(&settings)? {
        Found::Node(node, from) => (node, from),
        Found::Nowhere(why) => return Err(CallError::NotThere(format!("no identity yet: {why}"))),
    };
    if args.json {
        return Ok(json(&serde_json::json!({
            "node_id": node.node_id,
            "bls_pubkey": node.bls_pubkey,
            "tls_pubkey": node.tls_pubkey,
            "certificate": node.certificate,
            "proof_of_possession": node.proof_of_possession,
            "from": from,
        })));
    }
    let known = |value: Option<String>| value.unwrap_or_else(|| "not known yet".to_owned());
    let certificate = node.certificate.map_or("none is known", |_| "is known; --json prints it");
    Ok(format!(
        "Node ID      {}\nTLS key      {}\nBLS key      {}\ncertificate  {certificate}\nread from    {}",
        known(node.node_id.map(|id| id.to_string())),
        known(node.tls_pubkey.map(|key| key.to_string())),
        known(node.bls_pubkey.map(|key| key.to_string())),
        from.display(),
    ))
}
