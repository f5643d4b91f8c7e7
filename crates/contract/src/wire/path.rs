//! Paths of the API.

/// `GET`: is the signer there, and which keys has it?
pub const STATUS: &str = "/v1/staking/status";
/// `POST`: make or verify a BLS key.
pub const BLS_REGISTER: &str = "/v1/staking/bls/register";
/// `POST`: make or verify a TLS key.
pub const TLS_REGISTER: &str = "/v1/staking/tls/register";
/// `POST`: sign with a BLS key.
pub const BLS_SIGN: &str = "/v1/staking/bls/sign";
/// `POST`: sign with a TLS key.
pub const TLS_SIGN: &str = "/v1/staking/tls/sign";
/// `GET`, with an optional `?nonce=<hex>`: what runs here?
pub const ATTESTATION: &str = "/v1/runtime/attestation";
/// `POST`, on the control socket only: accept on `api` from now on.
pub const ADMIT: &str = "/v1/runtime/admit";
/// `GET`, on the control socket only: what clients asked, counted.
pub const METRICS: &str = "/v1/runtime/metrics";
/// `POST`, on the control socket only: have the signer's processes that list no key read their key files again.
pub const SIGNER_RELOAD: &str = "/v1/runtime/signer/reload";
