//! The command line. Every flag is an environment variable too; the flag wins.

use std::path::PathBuf;

use clap::Parser;
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

SIGTERM and SIGINT: no new connections, requests in flight are finished for up to 5 s, exit code 0.
Exit codes: 0 ended as asked, 64 wrong command line, 71 the system refused a socket, 78 wrong configuration.";

/// The flags, as texts; [`Settings`](crate::config::Settings) gives them their types.
#[derive(Debug, Clone, Parser)]
#[command(name = "cryfttee", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// uds, http or https (https: not in this version); for the sidecar's own socket only
    #[arg(long, env = env::API_TRANSPORT, default_value = defaults::TRANSPORT, value_name = "TRANSPORT")]
    pub api_transport: String,

    /// Where to listen with transport uds
    #[arg(long, env = env::UDS_PATH, default_value = defaults::SOCKET, value_name = "PATH")]
    pub uds_path: PathBuf,

    /// Where to listen with transport http
    #[arg(long, env = env::HTTP_ADDR, default_value = defaults::HTTP_ADDR, value_name = "HOST:PORT")]
    pub http_addr: String,

    /// Base URL of Web3Signer (http only in this version)
    #[arg(long, env = env::WEB3SIGNER_URL, default_value = defaults::WEB3SIGNER_URL, value_name = "URL")]
    pub web3signer_url: String,

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent_and_the_defaults_are_the_contracts() {
        Cli::command().debug_assert();
        for (flag, default) in [
            ("api_transport", defaults::TRANSPORT),
            ("uds_path", defaults::SOCKET),
            ("http_addr", defaults::HTTP_ADDR),
            ("web3signer_url", defaults::WEB3SIGNER_URL),
        ] {
            let command = Cli::command();
            let argument = command.get_arguments().find(|a| a.get_id() == flag).expect(flag);
            assert_eq!(argument.get_default_values(), [default], "{flag}");
        }
    }
}
