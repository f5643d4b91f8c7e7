//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory as _, Parser, ValueEnum};

use crate::options::{Extension, Options, Serves};
use crate::typed::Network;

/// A signer for development that answers as a stock Web3Signer does.
///
/// One process serves one kind of key. It signs for whoever can connect. Never give it a key that is worth something.
#[derive(Debug, Parser)]
#[command(name = "cryfttee-devsigner", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Which kind of key this process serves: eth2 BLS keys, eth1 secp256k1 keys
    #[arg(long = "as", value_name = "KIND")]
    pub kind: Option<Kind>,

    /// Loopback address to listen on. Port 0 takes a free one; the line "listening on http://…" on standard
    /// output says which, once the keys are loaded
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,

    /// Key directory: Web3Signer's key files (*.yaml) and EIP-2335 keystores (*.json). Made, readable by you alone, if
    /// there is none
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,

    /// File with the password of the keystores that no key file names [default: DIR/password, drawn at first use]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// The network: its forks by slot, and the slots of its epochs
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub network: NetworkName,

    /// The network's fork version at genesis, for validator registrations, which name no fork [default: the network's]
    #[arg(long, value_name = "0xHEX", value_parser = version)]
    pub genesis_fork_version: Option<[u8; 4]>,

    /// What it does beyond stock, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub extensions: Vec<Extension>,

    /// Extra time that loading the keys takes at the start; the port stays closed until then
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    pub load_delay: Duration,

    /// Whether the key manager of BLS keys is served
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    pub key_manager_api_enabled: bool,

    /// Whether votes are checked and remembered
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_value = "true", default_missing_value = "true")]
    pub slashing_protection_enabled: bool,

    /// Names under which it may be addressed, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "localhost,127.0.0.1")]
    pub http_host_allowlist: Vec<String>,
}

/// The kinds of key, as Web3Signer names its two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// BLS keys
    Eth2,
    /// secp256k1 keys
    Eth1,
}

/// The networks that are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkName {
    /// Ethereum's
    Mainnet,
    /// Small epochs, every fork from the first slot on
    Minimal,
}

impl Cli {
    /// What the process is to serve; none if nobody said which kind of key.
    pub fn options(&self) -> Option<Options> {
        let serves = match self.kind {
            _ if self.extensions.contains(&Extension::BothKinds) => Serves::Both,
            Some(Kind::Eth2) => Serves::Eth2,
            Some(Kind::Eth1) => Serves::Eth1,
            None => return None,
        };
        let mut network = match self.network {
            NetworkName::Mainnet => Network::MAINNET,
            NetworkName::Minimal => Network::MINIMAL,
        };
        if let Some(version) = self.genesis_fork_version {
            network.genesis_version = version;
        }
        Some(Options {
            serves,
            extensions: self.extensions.iter().copied().collect(),
            key_manager: self.key_manager_api_enabled,
            slashing_protection: self.slashing_protection_enabled,
            allowed_hosts: self.http_host_allowlist.iter().map(|host| host.trim().to_owned()).collect(),
            network,
        })
    }

    /// What to type instead of a command line that does not say which kind of key.
    pub fn two_lines(&self) -> String {
        let keys = self.keys.display();
        let next = SocketAddr::new(
            self.listen.ip(),
            match self.listen.port() {
                // Any free one, for the second process too.
                0 => 0,
                port => port.checked_add(1).unwrap_or_default(),
            },
        );
        format!(
            "say with --as which kind of key this process serves: as with Web3Signer, it is one kind each. Start both:\n  \
             cryfttee-devsigner --as eth2 --listen {} --keys {keys}\n  \
             cryfttee-devsigner --as eth1 --listen {next} --keys {keys}",
            self.listen
        )
    }
}

/// A fork version: `0x` and 8 hex digits.
fn version(text: &str) -> Result<[u8; 4], &'static str> {
    let mut version = [0; 4];
    let digits = text.strip_prefix("0x").unwrap_or_default();
    hex::decode_to_slice(digits, &mut version).map(|()| version).map_err(|_| "expected 0x and 8 hex digits")
}

/// A time like `5s`, `1m` or `300ms`.
fn time(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a time like 5s, 1m or 300ms";
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or(EXPECTED)?;
    let (number, unit) = text.split_at(at);
    let number: u32 = number.parse().map_err(|_| EXPECTED)?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err(EXPECTED),
    };
    Ok(unit * number)
}

const EXAMPLES: &str = "\
Two processes on one directory, as with Web3Signer, here on 127.0.0.1:9000 and 9001:
  cryfttee-devsigner --as eth2 --keys ./devkeys --extensions generate &
  cryfttee-devsigner --as eth1 --keys ./devkeys --extensions generate --listen 127.0.0.1:9001 &

A stock signer makes no keys; with the extension \"generate\" this one does. Make one, list, sign:
  url=http://localhost:9000
  curl -d '{\"type\":\"bls\"}' $url/eth/v1/keystores
  curl $url/api/v1/eth2/publicKeys
  curl -d '{\"type\":\"AGGREGATION_SLOT\",\"aggregation_slot\":{\"slot\":\"7\"},\"fork_info\":{\"fork\":{
    \"previous_version\":\"0x00000000\",\"current_version\":\"0x00000000\",\"epoch\":\"0\"},
    \"genesis_validators_root\":\"0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95\"}}' \\
    $url/api/v1/eth2/sign/0x<pubkey>

Load keys that were put into the directory:      curl -X POST $url/reload
List the extensions, if one of them has a path:  curl $url/ext/cryft/v1

SIGTERM and SIGINT end it once the requests under way are answered.";

/// The command line as data, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Option<Options> {
        let base = ["cryfttee-devsigner", "--keys", "k"];
        Cli::try_parse_from(base.iter().chain(arguments)).expect("a command line").options()
    }

    #[test]
    fn a_process_is_stock_unless_it_is_told_more() {
        let found = options(&["--as", "eth2"]).expect("options");
        assert_eq!(found.serves, Serves::Eth2);
        assert!(found.extensions.is_empty() && !found.manages_keys() && found.protects());
        assert_eq!(found.allowed_hosts, ["localhost", "127.0.0.1"]);
        assert_eq!(found.network, Network::MAINNET);
    }

    #[test]
    fn only_both_kinds_needs_no_kind() {
        assert!(options(&[]).is_none());
        assert!(options(&["--extensions", "raw,generate"]).is_none());
        for kind in [&[][..], &["--as", "eth1"]] {
            let all = [kind, &["--extensions", "raw,both-kinds"]].concat();
            assert_eq!(options(&all).expect("options").serves, Serves::Both);
        }
    }

    #[test]
    fn switches_are_spelled_as_stock_spells_them() {
        for (arguments, on) in [
            (&["--key-manager-api-enabled"][..], true),
            (&["--key-manager-api-enabled=true"], true),
            (&["--key-manager-api-enabled", "true"], true),
            (&["--key-manager-api-enabled", "false"], false),
            (&["--slashing-protection-enabled=false"], false),
        ] {
            let found = options(&[&["--as", "eth2"], arguments].concat()).expect("options");
            assert_eq!(found.manages_keys(), on, "{arguments:?}");
            assert_eq!(found.protects(), arguments[0] != "--slashing-protection-enabled=false", "{arguments:?}");
        }
    }

    #[test]
    fn a_genesis_version_takes_the_place_of_the_networks() {
        let found = options(&["--as", "eth2", "--network", "minimal"]).expect("options").network;
        assert_eq!(found, Network::MINIMAL);
        let named = ["--as", "eth2", "--network", "minimal", "--genesis-fork-version", "0x90000069"];
        let found = options(&named).expect("options").network;
        assert_eq!(found, Network { genesis_version: [0x90, 0, 0, 0x69], ..Network::MINIMAL });
    }

    #[test]
    fn times_have_a_unit() {
        for (text, millis) in [("300ms", 300), ("5s", 5000), ("2m", 120_000), ("0s", 0)] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5h", "1.5s", "5 s", "99999999999s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
