//! `GET /v1/runtime/attestation`.

use hyper::StatusCode;

use super::{Answer, json};
use crate::Sidecar;
use crate::problem::Problem;

/// The most hex digits of a nonce: 64 bytes, twice what anybody needs.
const LONGEST: usize = 128;

/// The evidence, with the nonce of the query.
pub(super) fn answer(sidecar: &Sidecar, query: Option<&str>) -> Result<Answer, Problem> {
    let nonce = nonce(query.unwrap_or_default())?;
    Ok(json(StatusCode::OK, &sidecar.evidence().attest(nonce)))
}

fn nonce(query: &str) -> Result<Option<String>, Problem> {
    let mut nonces = query.split('&').filter_map(|pair| match pair.split_once('=') {
        Some(("nonce", value)) => Some(value),
        None if pair == "nonce" => Some(""),
        _ => None,
    });
    let Some(nonce) = nonces.next() else { return Ok(None) };
    // Two nonces: whichever is echoed, somebody takes it for the other.
    if nonces.next().is_some() {
        return Err(Problem::malformed("more than one nonce"));
    }
    if nonce.is_empty() || nonce.len() > LONGEST || !nonce.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Problem::malformed("a nonce is 1 to 128 hex digits"));
    }
    Ok(Some(nonce.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_bounded_hex_and_comes_once() {
        let longest = "aF".repeat(LONGEST / 2);
        for (query, expected) in [
            ("", None),
            ("other=zz", None),
            ("nonce=00ff", Some("00ff")),
            ("a=b&nonce=AB&c", Some("AB")),
            (&format!("nonce={longest}"), Some(longest.as_str())),
        ] {
            assert_eq!(nonce(query).expect(query).as_deref(), expected, "{query}");
        }
        for query in ["nonce", "nonce=", "nonce=0x00", "nonce=zz", "nonce=1&nonce=2", &format!("nonce={longest}0")] {
            assert!(nonce(query).is_err(), "{query}");
        }
    }
}
