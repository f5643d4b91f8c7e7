//! Proof of possession: a signature with a BLS key over the key itself, under a tag that no message is signed with. Without
//! it, somebody who sees other keys can make up one that cancels them out in an aggregate; whoever registers this key asks
//! for the proof. IETF draft-irtf-cfrg-bls-signature, ciphersuite `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`.

use blst::BLST_ERROR;
use blst::min_pk::{PublicKey, Signature};
use contract::BlsPublicKey;
use hyper::StatusCode;

/// The tag of proofs in that ciphersuite.
const TAG: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// The signer did not show that it has the key's secret half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPossessed {
    /// No point of the group that keys are in.
    #[error("the key is not in its group")]
    Key,
    /// No point of the group that signatures are in, or the one at infinity.
    #[error("the proof is not a signature: 96 bytes, a compressed point of its group")]
    Form,
    /// Of another key, of another message, or made up.
    #[error("the proof does not verify")]
    Wrong,
}

/// Whether a refusal says that the sidecar does not have the question, as one of another make may not: 404 or 405. That the
/// signer does not have the *key* is a 404 as well, and no reason to believe that it has. Every other refusal, a failing
/// signer's among them, must not be taken for a signer without proofs.
pub fn is_not_asked_here(status: Option<StatusCode>, code: Option<&str>) -> bool {
    match status {
        Some(StatusCode::NOT_FOUND) => code != Some("key_not_found"),
        status => status == Some(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Verifies a proof: 96 bytes, compressed. Both points are checked to be in the prime-order subgroup.
///
/// # Errors
/// [`NotPossessed`].
pub fn verify(key: &BlsPublicKey, proof: &[u8]) -> Result<(), NotPossessed> {
    let bytes = key.as_bytes();
    let key = PublicKey::key_validate(bytes).map_err(|_| NotPossessed::Key)?;
    let proof = Signature::uncompress(proof).map_err(|_| NotPossessed::Form)?;
    proof.validate(true).map_err(|_| NotPossessed::Form)?;
    match proof.verify(true, bytes, TAG, &[], &key, true) {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        _ => Err(NotPossessed::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use blst::min_pk::SecretKey;

    use super::*;

    const SIGNATURE_TAG: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

    fn key(seed: u8) -> (SecretKey, BlsPublicKey) {
        let secret = SecretKey::key_gen(&[seed; 32], &[]).expect("a key");
        let public = BlsPublicKey::from_bytes(secret.sk_to_pk().compress()).expect("a point");
        (secret, public)
    }

    #[test]
    fn only_a_question_that_the_sidecar_does_not_have_means_that_no_proof_is_offered() {
        let asked = |status, code| is_not_asked_here(StatusCode::from_u16(status).ok(), code);
        for code in [None, Some("not_found"), Some("method_not_allowed")] {
            assert!(asked(404, code) && asked(405, code), "{code:?}");
        }
        assert!(!asked(404, Some("key_not_found")), "the key is gone");
        for status in (300..600).filter(|status| !matches!(status, 404 | 405)) {
            assert!(!asked(status, None) && !asked(status, Some("not_found")), "{status}");
        }
        assert!(!is_not_asked_here(None, None), "no answer at all");
    }

    #[test]
    fn a_proof_by_the_key_over_itself_verifies_and_no_other_signature_does() {
        let ((secret, public), (other_secret, other)) = (key(1), key(2));
        let proof = |secret: &SecretKey, message: &[u8], tag: &[u8]| secret.sign(message, tag, &[]).compress();
        let good = proof(&secret, public.as_bytes(), TAG);
        assert_eq!(verify(&public, &good), Ok(()));
        for (what, wrong) in [
            ("another key's proof of itself", proof(&other_secret, other.as_bytes(), TAG)),
            ("another key's signature over this one", proof(&other_secret, public.as_bytes(), TAG)),
            ("a signature over another key", proof(&secret, other.as_bytes(), TAG)),
            ("an ordinary signature over the key", proof(&secret, public.as_bytes(), SIGNATURE_TAG)),
        ] {
            assert_eq!(verify(&public, &wrong), Err(NotPossessed::Wrong), "{what}");
        }
        assert_eq!(verify(&other, &good), Err(NotPossessed::Wrong));
    }

    #[test]
    fn every_flipped_bit_of_a_proof_is_found() {
        let (secret, public) = key(3);
        let good = secret.sign(public.as_bytes(), TAG, &[]).compress();
        for bit in 0..good.len() * 8 {
            let mut wrong = good;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&public, &wrong).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_no_signature_has_the_wrong_form() {
        let (secret, public) = key(4);
        let proof = secret.sign(public.as_bytes(), TAG, &[]);
        let (compressed, uncompressed) = (proof.compress(), proof.serialize());
        let infinity: [u8; 96] = std::array::from_fn(|at| if at == 0 { 0xc0 } else { 0 });
        for wrong in [&[][..], &compressed[..95], &uncompressed, &infinity, &[0; 96], &[0xff; 96]] {
            assert_eq!(verify(&public, wrong), Err(NotPossessed::Form), "{} bytes", wrong.len());
        }
    }

    #[test]
    fn points_outside_the_groups_are_refused() {
        // On the curve, and of another order: the first x that is a point is as good as never in the subgroup.
        let outside = (1..=255_u8)
            .find_map(|x| {
                let mut bytes = [0; 48];
                (bytes[0], bytes[47]) = (0x80, x);
                PublicKey::uncompress(&bytes).is_ok_and(|key| key.validate().is_err()).then_some(bytes)
            })
            .expect("such a point");
        let outside = BlsPublicKey::from_bytes(outside).expect("the form of a key");
        let (secret, public) = key(5);
        let good = secret.sign(public.as_bytes(), TAG, &[]).compress();
        assert_eq!(verify(&outside, &good), Err(NotPossessed::Key));
        let outside = (1..=255_u8)
            .find_map(|x| {
                let mut bytes = [0; 96];
                (bytes[0], bytes[95]) = (0x80, x);
                Signature::uncompress(&bytes).is_ok_and(|proof| proof.validate(false).is_err()).then_some(bytes)
            })
            .expect("such a point");
        assert_eq!(verify(&public, &outside), Err(NotPossessed::Form));
    }
}
