//! A signer for **development** that answers as a stock Web3Signer does.
//!
//! It stands in for Web3Signer if a developer has none: in `xtask demo`, in the tests of the sidecar, on a laptop. It keeps
//! real keys and makes real signatures, but it has no access control and no TLS, and it listens on loopback only. Never
//! give it a key that is worth something.
//!
//! ```text
//! --keys DIR ──> store ──> key files (YAML), keystores (EIP-2335) ──> keys (BLS12-381, secp256k1)
//!                  │└──> slashing (what was signed)
//! TCP ──> server ──┴──> routes ──> requests (what a body may say; typed, over ssz) ──> answer
//!                         └──> options (which kind of key, which extensions)
//! ```
//!
//! How far it goes and where it differs from a stock one is in `docs/devsigner.md`, and request by request in
//! `tests/conformance/web3signer.json`, which a test asks of the binary.
//!
//! # What it answers as Web3Signer does
//!
//! A process serves one kind of key ([`options::Serves`]): `eth2` BLS, `eth1` secp256k1.
//!
//! | call | of | answer |
//! | --- | --- | --- |
//! | `GET /upcheck` | both | 200 text `OK`; 406 of `eth2` and 404 of `eth1` for a client that takes no text |
//! | `GET /healthcheck` | both | 200 JSON; 503 of `eth2` if a key file failed |
//! | `POST /reload`, `GET /reload` | both | 202, or 409 while one runs, and reads the directory again; 200 and how that went |
//! | `GET /api/v1/eth2/publicKeys` | `eth2` | 200 JSON array, each key `0x` and 48 compressed bytes, in an order that is drawn at each start |
//! | `GET /api/v1/eth1/publicKeys` | `eth1` | 200 JSON array, each key `0x` and 64 bytes: uncompressed, without `04` |
//! | `POST /api/v1/eth2/sign/{pubkey}` | `eth2` | 200 `{"signature":"0x…"}` if the client names JSON or `*/*`, else the bare text |
//! | `POST /api/v1/eth1/sign/{pubkey}` | `eth1` | 200 text, `0x` and r‖s‖v (65 bytes, v 27 or 28) over Keccak-256 of `data` |
//! | `GET /api/v1/eth2/highWatermark` | `eth2` | 200 `{}`; 404 without slashing protection |
//! | `GET /eth/v1/keystores` | `eth2`, key manager | 200 `{"data":[{"validating_pubkey","derivation_path","readonly"}]}` |
//! | `POST /eth/v1/keystores` | the same | `{"keystores":["…"],"passwords":["…"],"slashing_protection"?:"…"}`: 200 `{"data":[{"status","message"}]}`, each `imported`, `duplicate` or `error` |
//! | `DELETE /eth/v1/keystores` | the same | `{"pubkeys":["0x…"]}`: 200 `{"data":[{"status","message"}],"slashing_protection":"…"}`, each `deleted`, `not_active`, `not_found` or `error` |
//!
//! A refusal has the name of its status as its body and no content type ([`answer::Refusal`]): 400 malformed, 403 foreign
//! `Host` or any `Origin`, 404 unknown key (an unknown path: a page of HTML), 405, 406, 412 slashing protection, 413, 414,
//! 431, and 500 also for a request whose `fork_info` or object is missing, or whose `signingRoot` is another.
//!
//! An eth2 sign of typed data, `{"type","fork_info","signingRoot"?,…}`, signs the root that the consensus specification
//! gives ([`typed`]). What a validator could be slashed for is checked and remembered first ([`slashing`]).
//!
//! | type | member |
//! | --- | --- |
//! | `ATTESTATION` | `attestation` |
//! | `BLOCK_V2` | `beacon_block`: `{"version","block_header"}`, from `BELLATRIX` on |
//! | `RANDAO_REVEAL`, `AGGREGATION_SLOT` | `randao_reveal`, `aggregation_slot` |
//! | `VOLUNTARY_EXIT` | `voluntary_exit` |
//! | `SYNC_COMMITTEE_MESSAGE` | `sync_committee_message`, of a slot with sync committees |
//! | `VALIDATOR_REGISTRATION` | `validator_registration`; without `fork_info` |
//!
//! # Extensions
//!
//! What a stock Web3Signer lacks is switched on by name ([`options::Extension`]), and answered as stock would while it is off.
//!
//! | extension | call | answer |
//! | --- | --- | --- |
//! | any of the next four | `GET /ext/cryft/v1` | 200 `{"name","version","functions":[…]}`: those that are on, of `raw_signing`, `proof_of_possession`, `sign_sha256`, `sign_digest`, `generate` |
//! | `raw` | eth2 sign of `{"type","data":"0x…","signingRoot"?}` | signs exactly `data` (ciphersuite [`keys::bls::SIGNATURE_DST`]), whatever the type says and with no regard to slashing |
//! | `proofs` | `GET /ext/cryft/v1/bls/{pubkey}/proof-of-possession` | 200 `{"proof_of_possession":"0x…"}` |
//! | `digest` | `POST /ext/cryft/v1/secp256k1/{pubkey}/sign-sha256` `{"data":"0x…"}` | 200 `{"signature":"0x…"}`, r‖s (64 bytes) over SHA-256 of `data` |
//! | | `POST /ext/cryft/v1/secp256k1/{pubkey}/sign-digest` `{"digest":"0x…"}` | the same over the 32 bytes given |
//! | `generate` | `POST /eth/v1/keystores` with `{"type":"bls"\|"secp256k1"}` | makes a key of the kind of the process: 200 `{"pubkey","secret_path"}`, a secp256k1 key compressed |
//! | `both-kinds` | | one process serves both kinds |
//! | `clear-errors` | | a refusal has its reason as its body |
//!
//! X.509 needs `digest`: Web3Signer hashes with Keccak-256, which no certificate names.

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
