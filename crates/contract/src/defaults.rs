//! One constant for each default of the contract.

use std::time::Duration;

/// The transport when nobody asked for another one.
pub const TRANSPORT: &str = "uds";
/// The three transports there are; an error about an unknown one names them.
pub const TRANSPORTS: [&str; 3] = ["uds", "http", "https"];
/// The public socket. The same file as `/run/cryfttee.sock`, which is how units write it.
pub const SOCKET: &str = "/var/run/cryfttee.sock";
/// The address of the `http` and `https` transports.
pub const HTTP_ADDR: &str = "127.0.0.1:8787";
/// Where the sidecar's binary stands.
pub const SIDECAR_BINARY: &str = "/usr/local/bin/cryfttee";
/// The Web3Signer that the sidecar calls.
pub const WEB3SIGNER_URL: &str = "http://localhost:9000";
/// Who makes keys when nobody said otherwise.
pub const KEY_GENERATION: &str = "signer";
/// Who can make keys; an error about another word names them.
pub const KEY_GENERATIONS: [&str; 3] = ["signer", "import", "off"];
/// The private socket on which the verifier talks to the sidecar.
pub const CONTROL_SOCKET: &str = "/run/cryftgo-tee/control.sock";
/// Where the public keys and the node ID are kept.
pub const STATE_DIR: &str = "/var/lib/cryftgo";
/// Where the verifier says who the node is, for other services to read.
pub const IDENTITY_FILE: &str = "/run/cryftgo-tee/identity.json";
/// Where the verifier says what it knows, for `cryftgo-tee status` and for metrics.
pub const STATE_FILE: &str = "/run/cryftgo-tee/state.json";
/// How long one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the sidecar may take from exec to its first answer.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the signer may take to answer, to load its keys, and to list the saved ones, at each start of a sidecar.
pub const SIGNER_STARTUP_TIMEOUT: Duration = Duration::from_secs(600);
/// Whether a process of the signer that lists no key is asked to load its keys again.
pub const SIGNER_RELOAD: &str = "when-empty";
/// The words for that; an error about another one names them.
pub const SIGNER_RELOADS: [&str; 2] = ["when-empty", "never"];
/// How often `/proc/<pid>/exe` is measured again.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(10);
/// The largest request body the sidecar reads, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;

/// The name of the public listening socket in `LISTEN_FDNAMES`.
pub const API_FD_NAME: &str = "api";
/// The name of the private listening socket in `LISTEN_FDNAMES`.
pub const CONTROL_FD_NAME: &str = "control";

/// Capability strings of `GET /v1/staking/status` that the verifier requires.
pub const CAPABILITIES: [&str; 3] = ["bls_signing", "tls_signing", CAN_MAKE_KEYS];
/// The one of them that only a node without keys needs.
pub const CAN_MAKE_KEYS: &str = "key_generation";

/// The signer signs bytes as they are with a BLS key, which no stock Web3Signer does.
pub const RAW_SIGNING: &str = "raw_signing";
/// The signer signs SHA-256 digests with a TLS key, which no stock Web3Signer does.
pub const DIGEST_SIGNING: &str = "digest_signing";
/// The signer proves the possession of its BLS keys, which no stock Web3Signer does.
pub const POSSESSION_PROOFS: &str = "possession_proofs";
/// Capability strings of `GET /v1/staking/status` that a signer may have beyond a stock Web3Signer.
pub const EXTENSIONS: [&str; 3] = [RAW_SIGNING, DIGEST_SIGNING, POSSESSION_PROOFS];
