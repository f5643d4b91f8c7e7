//! A signer for **development**, shaped like Web3Signer.
//!
//! It stands in for Web3Signer where a developer has none: in `xtask demo`, in the tests of the sidecar, on a
//! laptop. It keeps real keys and makes real signatures, but it signs raw bytes of any meaning, has no access
//! control and no TLS, and it listens on loopback only. Never give it a key that is worth something.
//!
//! ```text
//! --keys DIR ──> store ──> keystore (EIP-2335) ──> keys (BLS12-381, secp256k1)
//!                  │└──> slashing (what was signed)
//! TCP ──> server ──┴──> routes ──> requests (what a body may say; typed, over ssz) ──> answer
//! ```
//!
//! How far it goes and where it differs from a stock one is in `docs/devsigner.md`, and request by request in
//! `tests/conformance/web3signer.json`, which a test asks of the binary.
//!
//! # What it answers like Web3Signer
//!
//! Web3Signer runs `eth1` and `eth2` as two processes; here one process answers both.
//!
//! | call | answer |
//! | --- | --- |
//! | `GET /upcheck` | 200 text `OK` |
//! | `GET /healthcheck` | 200 JSON |
//! | `GET /api/v1/eth2/publicKeys` | 200 JSON array, each key `0x` and 48 compressed bytes |
//! | `GET /api/v1/eth1/publicKeys` | 200 JSON array, each key `0x` and 64 bytes: uncompressed, without `04` |
//! | `POST /api/v1/eth2/sign/{pubkey}` | 200 `{"signature":"0x…"}` where the client accepts JSON, else the bare text |
//! | `POST /api/v1/eth1/sign/{pubkey}` | 200 text, `0x` and r‖s‖v (65 bytes, v 27 or 28) over Keccak-256 of `data` |
//! | `GET /eth/v1/keystores` | 200 `{"data":[{"validating_pubkey","derivation_path","readonly"}]}`, BLS keys |
//! | `POST /eth/v1/keystores` | `{"keystores":["…"],"passwords":["…"],"slashing_protection"?:"…"}`: 200 `{"data":[{"status","message"?}]}`, each `imported`, `duplicate` or `error` |
//! | `DELETE /eth/v1/keystores` | `{"pubkeys":["0x…"]}`: 200 `{"data":[{"status","message"?}],"slashing_protection":"…"}`, each `deleted`, `not_active`, `not_found` or `error` |
//! | `POST /reload`, `GET /reload` | 202 and reads the folder again; 200 and how that went |
//!
//! Refusals are one line of text: 400 malformed, 403 foreign `Host`, 404 unknown key or path, 405, 408, 412
//! slashing protection, 413, 415, 500. A key in a path may have `0x` or not, be in either case, and for secp256k1 be compressed or not.
//!
//! An eth2 sign of typed data, `{"type","fork_info","signingRoot"?,…}`, signs the root that the consensus
//! specification gives ([`typed`]); a `signingRoot` that differs is 500. What a validator could be slashed for is
//! checked and remembered first ([`slashing`]); a refusal is 412.
//!
//! | type | member |
//! | --- | --- |
//! | `ATTESTATION` | `attestation` |
//! | `BLOCK_V2` | `beacon_block`: `{"version","block_header"}`, from `BELLATRIX` on |
//! | `RANDAO_REVEAL`, `AGGREGATION_SLOT` | `randao_reveal`, `aggregation_slot` |
//! | `VOLUNTARY_EXIT` | `voluntary_exit` |
//! | `SYNC_COMMITTEE_MESSAGE` | `sync_committee_message` |
//! | `VALIDATOR_REGISTRATION` | `validator_registration`; without `fork_info` |
//!
//! # What a stock Web3Signer lacks
//!
//! * `POST /eth/v1/keystores` with `{"type":"bls"|"secp256k1"}` makes a key: 200 `{"pubkey","secret_path"}`, a
//!   secp256k1 key compressed. A stock Web3Signer only imports keys.
//! * An eth2 sign of `{"type","data":"0x…","signingRoot"?}` signs exactly `data` (ciphersuite
//!   [`keys::bls::SIGNATURE_DST`]), whatever the type says and with no regard to
//!   slashing. A stock Web3Signer signs only what it can recompute from
//!   typed data ([`typed`]).
//! * Everything under [`routes::extension::ROOT`]:
//!
//! | call | answer |
//! | --- | --- |
//! | `GET /ext/cryft/v1` | 200 `{"name","version","functions":[…]}`: which extensions there are |
//! | `GET /ext/cryft/v1/bls/{pubkey}/proof-of-possession` | 200 `{"proof_of_possession":"0x…"}` |
//! | `POST /ext/cryft/v1/secp256k1/{pubkey}/sign-sha256` `{"data":"0x…"}` | 200 `{"signature":"0x…"}`, r‖s (64 bytes) over SHA-256 of `data` |
//! | `POST /ext/cryft/v1/secp256k1/{pubkey}/sign-digest` `{"digest":"0x…"}` | the same over the 32 bytes given |
//!
//! X.509 needs the last two: Web3Signer hashes with Keccak-256, which no certificate names.

pub mod answer;
pub mod cli;
mod error_text;
pub mod keys;
pub mod keystore;
pub mod options;
pub mod requests;
pub mod routes;
pub mod server;
pub mod slashing;
pub mod ssz;
pub mod store;
pub mod typed;

pub use server::{ServeError, Server};
pub use store::{Store, StoreError};
