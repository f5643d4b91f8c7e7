//! Names of the environment variables that the sidecar reads.

/// The digest that the verifier measured: `sha256:<64 lower-case hex>`.
pub const VERIFIED_BINARY_HASH: &str = "CRYFTTEE_VERIFIED_BINARY_HASH";
/// `uds`, `http` or `https`.
pub const API_TRANSPORT: &str = "CRYFTTEE_API_TRANSPORT";
/// Path of the public socket.
pub const UDS_PATH: &str = "CRYFTTEE_UDS_PATH";
/// Address of the `http` and `https` transports.
pub const HTTP_ADDR: &str = "CRYFTTEE_HTTP_ADDR";
/// Base URL of Web3Signer: of its `eth2` process, and of `eth1` too where [`WEB3SIGNER_ETH1_URL`] is not set.
pub const WEB3SIGNER_URL: &str = "CRYFTTEE_WEB3SIGNER_URL";
/// Base URL of Web3Signer's `eth1` process: a stock one runs the two apart.
pub const WEB3SIGNER_ETH1_URL: &str = "CRYFTTEE_WEB3SIGNER_ETH1_URL";
/// Who makes keys: `signer`, `import` or `off`.
pub const KEY_GENERATION: &str = "CRYFTTEE_KEY_GENERATION";
/// Users who may sign and read on `api`: names or ids, separated by commas.
pub const ALLOW_USERS: &str = "CRYFTTEE_ALLOW_USERS";
/// Groups whose members may sign and read on `api`.
pub const ALLOW_GROUPS: &str = "CRYFTTEE_ALLOW_GROUPS";
/// Users who may, beside that, have keys made.
pub const REGISTER_USERS: &str = "CRYFTTEE_REGISTER_USERS";
/// Groups whose members may, beside that, have keys made.
pub const REGISTER_GROUPS: &str = "CRYFTTEE_REGISTER_GROUPS";
/// `true`: clients on TCP, whose user nobody knows, may have keys made.
pub const REGISTER_OVER_TCP: &str = "CRYFTTEE_REGISTER_OVER_TCP";
/// Certificate chain for `https`, PEM.
pub const TLS_CERT: &str = "CRYFTTEE_TLS_CERT";
/// Private key for `https`, PEM.
pub const TLS_KEY: &str = "CRYFTTEE_TLS_KEY";
/// On a restart: the BLS key that this node is known by.
pub const EXPECTED_BLS_PUBKEY: &str = "CRYFTTEE_EXPECTED_BLS_PUBKEY";
/// On a restart: the TLS key that this node is known by.
pub const EXPECTED_TLS_PUBKEY: &str = "CRYFTTEE_EXPECTED_TLS_PUBKEY";
/// How much the sidecar logs: `error`, `warn`, `info`, `debug`.
pub const LOG_LEVEL: &str = "CRYFTTEE_LOG_LEVEL";
