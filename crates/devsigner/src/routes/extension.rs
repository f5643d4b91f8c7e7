//! What the sidecar needs and no stock Web3Signer offers: see the crate's documentation for the shapes.

use serde_json::json;

use super::{eth1, eth2};
use crate::answer::{self, Answer, Refusal};
use crate::options::{Extension, Options};
use crate::requests::{self, Data, Digest};
use crate::store::Store;

/// The path under which the extensions are. A stock Web3Signer answers 404 there, which is how a client tells
/// the two apart.
pub const ROOT: &str = "/ext/cryft/v1";
/// What this process does that a stock one cannot, by the names that the sidecar looks for.
pub(super) fn functions(options: &Options) -> Vec<&'static str> {
    let (bls, secp256k1) = (options.serves.bls(), options.serves.secp256k1());
    let each = [
        (bls, Extension::Raw, "raw_signing"),
        (bls, Extension::Proofs, "proof_of_possession"),
        (secp256k1, Extension::Digest, "sign_sha256"),
        (secp256k1, Extension::Digest, "sign_digest"),
        (true, Extension::Generate, "generate"),
    ];
    let on = each.into_iter().filter(|(served, extension, _)| *served && options.has(*extension));
    on.map(|(_, _, name)| name).collect()
}

pub(super) fn list(options: &Options) -> Answer {
    answer::json(&json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "functions": functions(options),
    }))
}

pub(super) fn prove_possession(store: &Store, identifier: &str) -> Result<Answer, Refusal> {
    let proof = eth2::find(store, identifier)?.key.prove_possession();
    Ok(answer::json(&json!({ "proof_of_possession": requests::hex_text(proof) })))
}

pub(super) fn sign_sha256(store: &Store, identifier: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let Data { data } = requests::parse(body)?;
    Ok(signature(eth1::find(store, identifier)?.sign_sha256(&data.0)))
}

pub(super) fn sign_digest(store: &Store, identifier: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let digest = requests::parse::<Digest>(body)?.into_bytes()?;
    Ok(signature(eth1::find(store, identifier)?.sign_digest(&digest)))
}

fn signature(signature: [u8; 64]) -> Answer {
    answer::json(&json!({ "signature": requests::hex_text(signature) }))
}
