//! `POST /v1/staking/{bls,tls}/register`.

use std::error::Error as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::wire::{RegisterRequest, Registered, v04};
use contract::{BlsPublicKey, TlsPublicKey};
use hyper::StatusCode;
use tokio::time::Instant;

use super::{Answer, json, read};
use crate::Sidecar;
use crate::certificate::{CertificateError, Unsigned};
use crate::client::Client;
use crate::config::KeyGeneration;
use crate::evidence::{MODULE, VERSION};
use crate::problem::{Code, Problem};
use crate::signer::{Keys, Made, TlsKeyName};

/// What is wanted, whichever of the three spellings said so.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Generate,
    Verify(String),
}

/// Makes a BLS key (201) or says whether one is there (200, or 404 `key_not_found`).
pub(super) async fn bls(sidecar: &Sidecar, client: &Client, body: &[u8], deadline: Instant) -> Result<Answer, Problem> {
    let signer = sidecar.signer();
    match wanted(body, "BLS")? {
        Wanted::Generate => {
            client.may_register(sidecar, "BLS")?;
            may_make(sidecar, deadline).await?;
            let (made, proof) = make_bls(sidecar, deadline).await?;
            Ok(json(StatusCode::CREATED, &bls_answer(made, proof)))
        }
        Wanted::Verify(text) => {
            let key = BlsPublicKey::normalise(&text).map_err(not_a_key)?;
            let keys = signer.bls_keys(deadline).await?;
            found(&keys, &key, sidecar.node_keys().has_bls(&key))?;
            let proof = prove(sidecar, &key, deadline).await?;
            Ok(json(StatusCode::OK, &bls_answer(known(key), proof)))
        }
    }
}

async fn make_bls(
    sidecar: &Sidecar,
    deadline: Instant,
) -> Result<(Made<BlsPublicKey>, Option<contract::Bytes>), Problem> {
    match sidecar.key_generation() {
        KeyGeneration::Signer => {
            let made = sidecar.signer().make_bls(deadline).await?;
            tracing::info!("the signer made the BLS key {}", made.pubkey);
            // The key is made and must not be lost over something that can be had later: the verifier asks again.
            let proof = prove(sidecar, &made.pubkey, deadline).await.unwrap_or_else(|problem| {
                tracing::warn!(why = %problem.details, "no proof of possession for {}: {}", made.pubkey, problem.error);
                None
            });
            Ok((made, proof))
        }
        KeyGeneration::Import => {
            let (made, proof) = sidecar.signer().import_bls(deadline).await?;
            tracing::info!("the signer imported the BLS key {}, which was made here", made.pubkey);
            Ok((made, Some(contract::Bytes(proof.to_vec()))))
        }
        KeyGeneration::Off => Err(off()),
    }
}

/// No key is made while the signer misses some of its own: the one that is wanted may be among them, and would be there
/// after a reload. A signer without `/healthcheck` says nothing of it.
async fn may_make(sidecar: &Sidecar, deadline: Instant) -> Result<(), Problem> {
    if sidecar.key_generation() == KeyGeneration::Off {
        // That is the answer then, whatever the signer's health.
        return Ok(());
    }
    match sidecar.signer().health(deadline).await?.objection() {
        None => Ok(()),
        Some(why) => Err(Problem::new(Code::SignerUnavailable, "no key is made while Web3Signer is not healthy")
            .details(&format!("{why}: once it can read them, POST /reload to it (is Vault sealed?)"))),
    }
}

fn off() -> Problem {
    Problem::new(Code::KeyGenerationOff, "this sidecar makes no keys").details("CRYFTTEE_KEY_GENERATION=off")
}

/// The proof of possession, where the signer offers it.
///
/// # Errors
/// Where it offers it and fails to give it: as for every call to the signer, but never a status that says that the client
/// asked wrongly, since a client may take that for a signer without proofs.
async fn prove(sidecar: &Sidecar, key: &BlsPublicKey, deadline: Instant) -> Result<Option<contract::Bytes>, Problem> {
    match sidecar.signer().proof_of_possession(key, deadline).await {
        Ok(None) => {
            tracing::info!("the signer offers no proof of possession for {key}");
            Ok(None)
        }
        Ok(Some(proof)) => Ok(Some(contract::Bytes(proof.to_vec()))),
        Err(error) => {
            let problem = Problem::from(error);
            let asked_wrongly = problem.code.status().is_client_error();
            Err(Problem { code: if asked_wrongly { Code::SignerError } else { problem.code }, ..problem })
        }
    }
}

/// Makes a TLS key and its certificate (201) or says whether a key is there (200, or 404 `key_not_found`).
pub(super) async fn tls(sidecar: &Sidecar, client: &Client, body: &[u8], deadline: Instant) -> Result<Answer, Problem> {
    let signer = sidecar.signer();
    match wanted(body, "SECP256K1")? {
        Wanted::Generate => {
            client.may_register(sidecar, "TLS")?;
            match sidecar.key_generation() {
                KeyGeneration::Signer => {}
                KeyGeneration::Import => {
                    return Err(Problem::new(
                        Code::KeyGenerationOff,
                        "with key generation \"import\" only BLS keys can be made: Web3Signer imports no secp256k1 key",
                    )
                    .details("put a secp256k1 key into its eth1 keystores, or set CRYFTTEE_KEY_GENERATION=signer"));
                }
                KeyGeneration::Off => return Err(off()),
            }
            may_make(sidecar, deadline).await?;
            let made = signer.make_tls(deadline).await?;
            tracing::info!("the signer made the TLS key {}", made.pubkey);
            let certificate = certify(sidecar, &made.pubkey, deadline).await?;
            Ok(json(StatusCode::CREATED, &tls_answer(made, certificate)))
        }
        Wanted::Verify(text) => {
            let key = TlsPublicKey::normalise(&text).map_err(not_a_key)?;
            let keys = signer.tls_keys(deadline).await?;
            found(&keys, &key, sidecar.node_keys().has_tls(&key))?;
            Ok(json(StatusCode::OK, &tls_answer(known(key), String::new())))
        }
    }
}

/// The certificate of a new key. Empty where the signer cannot sign one or does not get to it: the key is made, and
/// an answer without a certificate is better than one that loses the key. Only a wrong signature is an error,
/// because a signer that makes one is not to be trusted with the rest.
async fn certify(sidecar: &Sidecar, key: &TlsPublicKey, deadline: Instant) -> Result<String, Problem> {
    let broken = |error: CertificateError| {
        tracing::error!(error = %error.source().unwrap_or(&error), "{error} of {key}");
        Problem::new(Code::SignerNonsense, "the key is made, but its certificate cannot be").details(&error.to_string())
    };
    let unsigned = Unsigned::for_key(key).map_err(broken)?;
    match sidecar.signer().sign_sha256(&TlsKeyName::of(key), unsigned.to_be_signed(), deadline).await {
        Ok(signature) => unsigned.sign(&signature).map_err(broken),
        Err(error) => {
            tracing::warn!(%error, "no certificate for {key}");
            Ok(String::new())
        }
    }
}

/// `action`, or 0.4's `mode`, or a `key_type` alone, which asks for a new key. A body that says none of these is
/// refused: making a key is not what a misspelt request should do.
fn wanted(body: &[u8], key_type: &str) -> Result<Wanted, Problem> {
    let request: RegisterRequest = read(body)?;
    if let Some(asked) = &request.key_type
        && !asked.eq_ignore_ascii_case(key_type)
    {
        return Err(Problem::malformed("this path is for another type of key").details(&format!("expected {key_type}")));
    }
    let verb = match (request.action.as_deref(), request.mode.as_deref()) {
        (Some(action), Some(mode)) if action != mode => {
            return Err(Problem::malformed("\"action\" and \"mode\" say different things"));
        }
        (Some(verb), _) | (None, Some(verb)) => verb,
        (None, None) if request.key_type.is_some() => "generate",
        (None, None) => return Err(Problem::malformed("nothing asked for: {\"action\":\"generate\"}, for example")),
    };
    match (verb, request.public_key) {
        ("generate", _) => Ok(Wanted::Generate),
        ("verify", Some(key)) => Ok(Wanted::Verify(key)),
        ("verify", None) => Err(Problem::malformed("\"publicKey\" is missing: which key is to be verified?")),
        (other, _) => Err(Problem::malformed("generate and verify is what can be asked for").details(other)),
    }
}

fn found<K: PartialEq>(keys: &Keys<K>, key: &K, nodes: bool) -> Result<(), Problem> {
    match (keys.listed().is_some_and(|keys| keys.contains(key)), nodes) {
        (true, _) => Ok(()),
        (false, true) => Err(Problem::node_key_missing()),
        (false, false) => Err(Problem::new(Code::KeyNotFound, "the signer has no such key")),
    }
}

fn not_a_key(error: contract::keys::NotAKey) -> Problem {
    Problem::malformed("the key cannot be read").details(&error.to_string())
}

/// A key that was there before: where its secret is, the signer's lists do not say.
fn known<K>(pubkey: K) -> Made<K> {
    Made { pubkey, secret_path: String::new() }
}

fn answered_by() -> v04::AnsweredBy {
    v04::AnsweredBy { module_id: MODULE.to_owned(), module_version: VERSION.to_owned() }
}

fn bls_answer(
    made: Made<BlsPublicKey>,
    proof_of_possession: Option<contract::Bytes>,
) -> v04::Both<Registered<BlsPublicKey>, v04::Registered> {
    v04::Both {
        v04: v04::Registered {
            key_handle: made.pubkey.to_string(),
            bls_pub_key_b64: Some(STANDARD.encode(made.pubkey.as_bytes())),
            cert_chain_pem: None,
            by: answered_by(),
        },
        contract: Registered {
            pubkey: made.pubkey,
            secret_path: made.secret_path,
            proof_of_possession,
            certificate: None,
        },
    }
}

fn tls_answer(made: Made<TlsPublicKey>, certificate: String) -> v04::Both<Registered<TlsPublicKey>, v04::Registered> {
    v04::Both {
        v04: v04::Registered {
            key_handle: made.pubkey.to_string(),
            bls_pub_key_b64: None,
            cert_chain_pem: Some(certificate.clone()),
            by: answered_by(),
        },
        contract: Registered {
            pubkey: made.pubkey,
            secret_path: made.secret_path,
            proof_of_possession: None,
            certificate: Some(certificate),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_three_spellings_is_understood() {
        for body in [
            r#"{"action":"generate"}"#,
            r#"{"key_type":"BLS","purpose":"validator"}"#,
            r#"{"mode":"generate","networkID":1,"nodeLabel":"x"}"#,
            r#"{"action":"generate","mode":"generate","key_type":"bls"}"#,
        ] {
            assert_eq!(wanted(body.as_bytes(), "BLS"), Ok(Wanted::Generate), "{body}");
        }
        for body in [r#"{"mode":"verify","publicKey":"0x97"}"#, r#"{"action":"verify","pubkey":"0x97"}"#] {
            assert_eq!(wanted(body.as_bytes(), "BLS"), Ok(Wanted::Verify("0x97".to_owned())), "{body}");
        }
    }

    #[test]
    fn a_request_that_does_not_say_what_it_wants_makes_no_key() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"purpose":"validator"}"#,
            r#"{"key_type":"SECP256K1"}"#,
            r#"{"action":"Generate"}"#,
            r#"{"action":"generate","mode":"verify"}"#,
            r#"{"mode":"persistent"}"#,
            r#"{"mode":"verify"}"#,
        ] {
            assert_eq!(wanted(body.as_bytes(), "BLS").map_err(|p| p.code), Err(Code::Malformed), "{body}");
        }
    }
}
