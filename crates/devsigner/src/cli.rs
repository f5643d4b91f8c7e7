//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};

/// A signer for development, shaped like Web3Signer.
///
/// It makes BLS and secp256k1 keys, keeps them as EIP-2335 keystores, and signs whatever it is asked to sign, for
/// whoever can connect. Never give it a key that is worth something.
#[derive(Debug, Parser)]
#[command(name = "cryfttee-devsigner", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Loopback address to listen on. Port 0 takes a free one; the line "listening on http://…" on standard
    /// output says which
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,

    /// Keystore folder: one JSON file per key. Made, readable by you alone, where there is none
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,

    /// File with the password of every keystore [default: DIR/password, drawn at first use]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// The network's fork version at genesis, for validator registrations, which name no fork
    #[arg(long, value_name = "0xHEX", default_value = "0x00000000", value_parser = version)]
    pub genesis_fork_version: [u8; 4],
}

/// A fork version: `0x` and 8 hex digits.
fn version(text: &str) -> Result<[u8; 4], &'static str> {
    let mut version = [0; 4];
    let digits = text.strip_prefix("0x").unwrap_or_default();
    hex::decode_to_slice(digits, &mut version).map(|()| version).map_err(|_| "expected 0x and 8 hex digits")
}

const EXAMPLES: &str = "\
Start one, make a key, list the keys, sign:
  cryfttee-devsigner --keys ./devkeys &
  url=http://localhost:9000 json='Content-Type: application/json'
  curl -H \"$json\" -d '{\"type\":\"bls\"}' $url/eth/v1/keystores
  curl $url/api/v1/eth2/publicKeys
  curl -H \"$json\" -d '{\"type\":\"BLOCK\",\"data\":\"0x68656c6c6f\"}' \\
    $url/api/v1/eth2/sign/0x<pubkey>

Load keys that were put into the folder:  curl -X POST $url/reload
List what it does beyond Web3Signer:      curl $url/ext/cryft/v1

SIGTERM and SIGINT end it once the requests under way are answered.";

/// The command line as data, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}
