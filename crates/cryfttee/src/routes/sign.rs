//! `POST /v1/staking/{bls,tls}/sign`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::BlsPublicKey;
use contract::digits::push_hex;
use contract::wire::{SignRequest, path};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::read;
use crate::Sidecar;
use crate::evidence::{MODULE, VERSION};
use crate::problem::{Code, Problem};
use crate::signer::{SignerError, TlsKeyName};
use crate::typed;

type Payload<'a> = &'a RawValue;
type Asked<'a> = SignRequest<'a, Payload<'a>>;

/// The type of a 0.4 request, which has none. It names no consensus duty, so that no signer takes it for one that
/// slashing protection would have to judge.
const UNTYPED: &str = "RAW";

/// The kind of key that signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bls,
    Tls,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Bls, Self::Tls];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Bls => path::BLS_SIGN,
            Self::Tls => path::TLS_SIGN,
        }
    }
}

/// Signs what `body` asks for; the answer is the body of a 200.
pub(super) async fn sign(sidecar: &Sidecar, kind: Kind, body: &[u8], deadline: Instant) -> Result<String, Problem> {
    match kind {
        Kind::Bls => bls(sidecar, body, deadline).await,
        Kind::Tls => tls(sidecar, body, deadline).await,
    }
}

/// 96 bytes. `data` that is an object goes to the signer as it is, once it is known to be a request that a signer could
/// sign; bytes go as `{type, data}`, to a signer that signs them.
async fn bls(sidecar: &Sidecar, body: &[u8], deadline: Instant) -> Result<String, Problem> {
    let asked: Asked<'_> = read(body)?;
    let key = BlsPublicKey::normalise(named(&asked)?).map_err(not_a_key)?;
    if asked.digest.is_some() {
        return Err(Problem::malformed("a BLS key signs data, not a digest"));
    }
    let payload = payload(&asked)?;
    let is_raw = !payload.get().starts_with('{');
    let request = if !is_raw {
        typed(&asked, payload)?.checked()?
    } else {
        let request = raw(&asked, payload)?;
        if !sidecar.signer().signs_raw(deadline).await? {
            return Err(no_raw_signing());
        }
        request.into()
    };
    match sidecar.signer().sign_bls(&key, request.as_bytes(), deadline).await {
        Ok(signature) => Ok(signed(&signature)),
        Err(error) if error.is_not_found() && sidecar.node_keys().has_bls(&key) => Err(Problem::node_key_missing()),
        Err(error) => {
            if is_raw {
                sidecar.signer().doubt_raw();
            }
            let failed = matches!(error, SignerError::Status(StatusCode::INTERNAL_SERVER_ERROR, _));
            let problem = Problem::from(error);
            Err(if failed && names_root(&request) { other_root(problem) } else { problem })
        }
    }
}

/// Whether a request says which root is to be signed, by either name.
fn names_root(request: &str) -> bool {
    ["\"signingRoot\"", "\"signing_root\""].iter().any(|name| request.contains(name))
}

/// Web3Signer answers so, too, to a root that differs from the one it computes, which it alone can.
fn other_root(problem: Problem) -> Problem {
    let details =
        format!("{}; a signingRoot that is not the root of the request is answered like this, too", problem.details);
    problem.details(&details)
}

/// Sent to a signer that does not, it would be answered as if the signer were broken.
fn no_raw_signing() -> Problem {
    Problem::new(Code::SignerRefused, "this Web3Signer signs typed requests, not bytes").details(
        "\"data\" has to be the typed request, an object: a stock Web3Signer signs nothing else with a BLS key",
    )
}

/// 65 bytes r‖s‖v over Keccak-256 of `data`; 64 bytes r‖s over `digest`, the form of 0.4. (0.4's
/// `algorithm` says P-256, whatever the key; it is ignored, as every other unknown field.)
async fn tls(sidecar: &Sidecar, body: &[u8], deadline: Instant) -> Result<String, Problem> {
    let asked: Asked<'_> = read(body)?;
    let key = sidecar.signer().tls_key(named(&asked)?).map_err(not_a_key)?;
    let Some(digest) = asked.digest else {
        let data = bytes(payload(&asked)?)?;
        let signature = sidecar.signer().sign_tls(&key, &data, deadline).await;
        return signature.map(|signature| signed(&signature)).map_err(|error| not_signed(sidecar, &key, error));
    };
    if asked.data.is_some() || asked.message.is_some() {
        return Err(Problem::malformed("both data and digest: one of them"));
    }
    let digest = bytes(digest)?.try_into().map_err(|_| Problem::malformed("a digest is 32 bytes"))?;
    let signature = sidecar.signer().sign_digest(&key, &digest, deadline).await;
    signature.map(|signature| signed(&signature)).map_err(|error| not_signed(sidecar, &key, error))
}

fn not_signed(sidecar: &Sidecar, key: &TlsKeyName, error: SignerError) -> Problem {
    if error.is_not_found() && sidecar.node_keys().has_tls_named(key) {
        return Problem::node_key_missing();
    }
    error.into()
}

/// The key, by either name. Two names for two keys are no request that could be served.
fn named<'a>(asked: &'a Asked<'_>) -> Result<&'a str, Problem> {
    match (&*asked.pubkey, &*asked.key_handle) {
        ("", "") => Err(Problem::malformed("no key: \"pubkey\" is missing")),
        (key, "") | ("", key) => Ok(key),
        (key, same) if key == same => Ok(key),
        _ => Err(Problem::malformed("\"pubkey\" and \"keyHandle\" name different keys")),
    }
}

fn payload<'a>(asked: &Asked<'a>) -> Result<Payload<'a>, Problem> {
    match (asked.data, asked.message) {
        (None, None) => Err(Problem::malformed("nothing to sign: \"data\" is missing")),
        (Some(data), None) | (None, Some(data)) => Ok(data),
        (Some(_), Some(_)) => Err(Problem::malformed("both data and message: one of them")),
    }
}

fn not_a_key(error: contract::keys::NotAKey) -> Problem {
    Problem::malformed("the key cannot be read").details(&error.to_string())
}

fn bytes(payload: Payload<'_>) -> Result<Vec<u8>, Problem> {
    let refused = || Problem::malformed("bytes are a string of base64 or of 0x and hex digits");
    let text: Text<'_> = serde_json::from_str(payload.get()).map_err(|_| refused())?;
    text.0.parse::<contract::Bytes>().map(|bytes| bytes.0).map_err(|_| refused())
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A typed request, with its type.
struct Typed<'a> {
    kind: Cow<'a, str>,
    request: Cow<'a, str>,
}

impl<'a> Typed<'a> {
    /// The request, if it is one that a signer could sign.
    fn checked(self) -> Result<Cow<'a, str>, Problem> {
        match typed::check(&self.kind, &self.request) {
            Ok(()) => Ok(self.request),
            Err(fault) => {
                Err(Problem::new(Code::SignerRefused, "Web3Signer could not sign this request")
                    .details(&fault.to_string()))
            }
        }
    }
}

/// The typed eth2 body: the object as the client wrote it, so that the signer judges what the client meant. Where
/// the type stands only beside it, it is put in.
fn typed<'a>(asked: &Asked<'a>, payload: Payload<'a>) -> Result<Typed<'a>, Problem> {
    #[derive(Deserialize)]
    struct Inside<'a> {
        #[serde(default, borrow, rename = "type")]
        kind: Cow<'a, str>,
    }

    // Not passed on, it would be a check that the client believes is made.
    if !asked.signing_root.is_empty() {
        return Err(Problem::malformed("\"signingRoot\" belongs inside typed data, where the signer checks it"));
    }
    let inside: Inside<'_> = read(payload.get().as_bytes())?;
    let request = match (&*asked.kind, &*inside.kind) {
        ("", "") => return Err(no_type()),
        // A slice of what was received: nothing is copied.
        ("", _) => payload.get().into(),
        (beside, inside) if beside.eq_ignore_ascii_case(inside) => payload.get().into(),
        (beside, "") => {
            let fields = payload.get()[1..].trim_start();
            let comma = if fields.starts_with('}') { "" } else { "," };
            format!("{{\"type\":\"{}\"{comma}{fields}", word(beside)?).into()
        }
        _ => return Err(Problem::malformed("the type beside data is not the type inside it")),
    };
    let kind = if inside.kind.is_empty() { asked.kind.clone() } else { inside.kind };
    Ok(Typed { kind, request })
}

/// Bytes, for a signer that signs them: `{type, data, signingRoot?}`.
fn raw(asked: &Asked<'_>, payload: Payload<'_>) -> Result<String, Problem> {
    let kind = match (&*asked.kind, asked.message) {
        ("", None) => return Err(no_type()),
        ("", Some(_)) => UNTYPED,
        (kind, _) => word(kind)?,
    };
    let data = bytes(payload)?;
    let mut body = String::with_capacity(kind.len() + 2 * data.len() + asked.signing_root.len() + 48);
    body.push_str("{\"type\":\"");
    body.push_str(kind);
    body.push_str("\",\"data\":\"");
    push_hex(&mut body, &data);
    if !asked.signing_root.is_empty() {
        let root: contract::Bytes =
            asked.signing_root.parse().map_err(|_| Problem::malformed("the signing root is no bytes"))?;
        body.push_str("\",\"signingRoot\":\"");
        push_hex(&mut body, &root.0);
    }
    body.push_str("\"}");
    Ok(body)
}

fn no_type() -> Problem {
    Problem::malformed("\"type\" is missing: ATTESTATION, BLOCK, SYNC_COMMITTEE, …")
}

/// A type is a word, in capitals as a rule. It is written into the request to the signer, where it must not be able to end
/// its own string.
fn word(kind: &str) -> Result<&str, Problem> {
    let fine = kind.len() <= 64 && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fine { Ok(kind) } else { Err(Problem::malformed("a type is a word of letters, digits and _").details(kind)) }
}

/// `{signature, signatureB64, moduleId, moduleVersion}`, the fields of [`Signed`](contract::wire::Signed) and of
/// [`v04::Signed`](contract::wire::v04::Signed). It is put together by hand, because the formatting of a flattened
/// struct was a tenth of the time that a signature takes here; a test holds it to those types.
fn signed(signature: &[u8]) -> String {
    let mut body = String::with_capacity(128 + 4 * signature.len());
    body.push_str("{\"signature\":\"");
    push_hex(&mut body, signature);
    body.push_str("\",\"signatureB64\":\"");
    STANDARD.encode_string(signature, &mut body);
    body.push_str("\",\"moduleId\":\"");
    body.push_str(MODULE);
    body.push_str("\",\"moduleVersion\":\"");
    body.push_str(VERSION);
    body.push_str("\"}");
    body
}

#[cfg(test)]
mod tests {
    use contract::wire::{Signed, v04};

    use super::*;

    fn asked(body: &str) -> Asked<'_> {
        serde_json::from_str(body).expect("a request")
    }

    #[test]
    fn the_answer_is_what_its_types_read_and_write() {
        let signature = contract::Bytes((0..96).collect());
        let body = signed(&signature.0);
        let read: v04::Both<Signed, v04::Signed> = serde_json::from_str(&body).expect("of that shape");
        assert_eq!(read.contract.signature, signature);
        assert_eq!(read.v04.signature_b64, signature.to_base64());
        assert_eq!(serde_json::to_string(&read).expect("JSON"), body);
    }

    #[test]
    fn a_typed_body_goes_on_as_it_was_written() {
        let request = asked(r#"{"pubkey":"k","data": {"type" : "BLOCK_V2", "n":1e2 } }"#);
        let Typed { kind, request } = typed(&request, payload(&request).expect("data")).expect("typed");
        assert_eq!((&*kind, &*request), ("BLOCK_V2", r#"{"type" : "BLOCK_V2", "n":1e2 }"#));
        assert!(matches!((kind, request), (Cow::Borrowed(_), Cow::Borrowed(_))), "nothing is copied");
    }

    #[test]
    fn a_type_beside_typed_data_is_put_in_and_must_not_disagree() {
        for (body, expected) in [
            (r#"{"type":"BLOCK","data":{"a":1}}"#, Some(r#"{"type":"BLOCK","a":1}"#)),
            (r#"{"type":"BLOCK","data":{ }}"#, Some(r#"{"type":"BLOCK"}"#)),
            (r#"{"type":"BLOCK","data":{"type":"BLOCK"}}"#, Some(r#"{"type":"BLOCK"}"#)),
            (r#"{"type":"BLOCK","data":{"type":"block"}}"#, Some(r#"{"type":"block"}"#)),
            (r#"{"type":"block","data":{"a":1}}"#, Some(r#"{"type":"block","a":1}"#)),
            (r#"{"type":"BLOCK","data":{"type":"ATTESTATION"}}"#, None),
            (r#"{"data":{"type":"BLOCK","type":"ATTESTATION"}}"#, None),
            (r#"{"type":"\"","data":{"a":1}}"#, None),
            (r#"{"data":{"a":1}}"#, None),
            (r#"{"type":"BLOCK","data":{"a":1},"signingRoot":"0x00"}"#, None),
            (r#"{"data":{"type":"BLOCK","signingRoot":"0x0"}}"#, Some(r#"{"type":"BLOCK","signingRoot":"0x0"}"#)),
        ] {
            let request = asked(body);
            let typed = typed(&request, payload(&request).expect("data"));
            assert_eq!(typed.ok().map(|typed| typed.request).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn raw_bytes_go_on_as_hex_with_their_type_and_root() {
        for (body, expected) in [
            (r#"{"data":"aGk=","type":"ATTESTATION"}"#, Some(r#"{"type":"ATTESTATION","data":"0x6869"}"#)),
            (r#"{"message":"0x6869"}"#, Some(r#"{"type":"RAW","data":"0x6869"}"#)),
            (
                r#"{"data":"\u0030x00","type":"A","signingRoot":"0xAB"}"#,
                Some(r#"{"type":"A","data":"0x00","signingRoot":"0xab"}"#),
            ),
            (r#"{"data":"aGk="}"#, None),
            (r#"{"data":"not base64","type":"A"}"#, None),
            (r#"{"data":[1],"type":"A"}"#, None),
            (r#"{"data":"aGk=","type":"a\"b"}"#, None),
            (r#"{"data":"aGk=","type":"A","signingRoot":"?"}"#, None),
        ] {
            let request = asked(body);
            let raw = raw(&request, payload(&request).expect("data"));
            assert_eq!(raw.ok().as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_request_that_says_two_things_is_refused() {
        assert!(named(&asked(r#"{"pubkey":"a","keyHandle":"b"}"#)).is_err());
        assert_eq!(named(&asked(r#"{"pubkey":"a","keyHandle":"a"}"#)).ok(), Some("a"));
        assert!(named(&asked("{}")).is_err());
        assert!(payload(&asked(r#"{"data":"","message":""}"#)).is_err());
        assert!(payload(&asked(r#"{"data":null}"#)).is_err());
    }
}
