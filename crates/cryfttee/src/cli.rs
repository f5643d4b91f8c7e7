//! The command line. Every flag is an environment variable too; the flag wins.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};
use contract::{defaults, env};

const ABOUT: &str = "Signing sidecar: serves the staking API and passes signing on to Web3Signer.";

const LONG_ABOUT: &str = "\
Signing sidecar: serves the staking API and passes signing on to Web3Signer.

It holds no keys. It is normally started by cryftgo-tee, which measures this binary, hands over the listening \
sockets (LISTEN_FDS), passes the measured hash in CRYFTTEE_VERIFIED_BINARY_HASH, and admits clients once the \
attestation agrees. Started by hand it opens a socket of its own and says in its attestation that the hash is \
self-reported.";

const AFTER_HELP: &str = "\
Try it:
  cryfttee --uds-path /tmp/cryfttee.sock &
  curl --unix-socket /tmp/cryfttee.sock http://localhost/v1/runtime/attestation
  curl --unix-socket /tmp/cryfttee.sock http://localhost/v1/staking/status

Environment beside that of the flags:
  CRYFTTEE_VERIFIED_BINARY_HASH  sha256:<64 lower-case hex>, echoed in the attestation as \"verified\"
  LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES
                                 sockets handed over; names: api, control. With a control socket, nothing is
                                 accepted on api until POST /v1/runtime/admit has arrived on control

SIGTERM and SIGINT: no new connections, one more request on each idle one for 1 s, requests in flight are finished
for up to 5 s, exit code 0.
Exit codes: 0 ended as asked, 64 wrong command line, 71 the system refused a socket, 78 wrong configuration.";

/// The flags, as texts; [`Settings`](crate::config::Settings) gives them their types.
#[derive(Debug, Clone, Parser)]
#[command(name = "cryfttee", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// uds, http or https: for the sidecar's own socket, and https for every TCP socket that is handed over, too
    #[arg(long, env = env::API_TRANSPORT, default_value = defaults::TRANSPORT, value_name = "TRANSPORT")]
    pub api_transport: String,

    /// Where to listen with transport uds
    #[arg(long, env = env::UDS_PATH, default_value = defaults::SOCKET, value_name = "PATH")]
    pub uds_path: PathBuf,

    /// Where to listen with transport http or https; its host is a Host that requests may name
    #[arg(long, env = env::HTTP_ADDR, default_value = defaults::HTTP_ADDR, value_name = "HOST:PORT")]
    pub http_addr: String,

    /// Certificate chain for https, PEM
    #[arg(long, env = env::TLS_CERT, value_name = "FILE")]
    pub tls_cert: Option<OsString>,

    /// Private key for https, PEM
    #[arg(long, env = env::TLS_KEY, value_name = "FILE")]
    pub tls_key: Option<OsString>,

    /// Users who may sign and read on api: names or ids, separated by commas
    #[arg(long, env = env::ALLOW_USERS, default_value = "", value_name = "LIST")]
    pub allow_users: String,

    /// Groups whose members may sign and read on api
    #[arg(long, env = env::ALLOW_GROUPS, default_value = "", value_name = "LIST")]
    pub allow_groups: String,

    /// Users who may sign, read and have keys made on api
    #[arg(long, env = env::REGISTER_USERS, default_value = "", value_name = "LIST")]
    pub register_users: String,

    /// Groups whose members may sign, read and have keys made on api
    #[arg(long, env = env::REGISTER_GROUPS, default_value = "", value_name = "LIST")]
    pub register_groups: String,

    /// true: clients on TCP, whose user is not known, may have keys made
    #[arg(long, env = env::REGISTER_OVER_TCP, default_value = "false", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub register_over_tcp: String,

    /// Base URL of Web3Signer (http only in this version)
    #[arg(long, env = env::WEB3SIGNER_URL, default_value = defaults::WEB3SIGNER_URL, value_name = "URL")]
    pub web3signer_url: String,

    /// Base URL of Web3Signer's eth1 process, which serves secp256k1 keys, where it is another one
    #[arg(long, env = env::WEB3SIGNER_ETH1_URL, value_name = "URL")]
    pub web3signer_eth1_url: Option<String>,

    /// Who makes keys: signer (its extension), import (this program makes BLS keys and imports them), or off
    #[arg(long, env = env::KEY_GENERATION, default_value = defaults::KEY_GENERATION, value_name = "WHO")]
    pub key_generation: String,

    /// The BLS key this node is known by; a warning is logged where the signer does not have it
    #[arg(long, env = env::EXPECTED_BLS_PUBKEY, value_name = "PUBKEY")]
    pub expected_bls_pubkey: Option<String>,

    /// The TLS key this node is known by; likewise
    #[arg(long, env = env::EXPECTED_TLS_PUBKEY, value_name = "PUBKEY")]
    pub expected_tls_pubkey: Option<String>,

    /// error, warn, info, debug or trace
    #[arg(long, env = env::LOG_LEVEL, default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// The command line as data, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent_and_the_defaults_are_the_contracts() {
        Cli::command().debug_assert();
        for (flag, default) in [
            ("api_transport", defaults::TRANSPORT),
            ("uds_path", defaults::SOCKET),
            ("http_addr", defaults::HTTP_ADDR),
            ("web3signer_url", defaults::WEB3SIGNER_URL),
            ("key_generation", defaults::KEY_GENERATION),
        ] {
            let command = Cli::command();
            let argument = command.get_arguments().find(|a| a.get_id() == flag).expect(flag);
            assert_eq!(argument.get_default_values(), [default], "{flag}");
        }
    }

    #[test]
    fn the_operators_guide_has_every_setting_and_its_default() {
        let guide = include_str!("../../../docs/sidecar.md");
        for argument in Cli::command().get_arguments() {
            let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
            let name = format!("`{variable}`");
            let row = guide.lines().find(|line| line.starts_with('|') && line.contains(&name)).expect(variable);
            for default in argument.get_default_values().iter().filter(|value| !value.is_empty()) {
                assert!(row.contains(&format!("| `{}` |", default.display())), "{variable}: {row}");
            }
        }
    }
}
