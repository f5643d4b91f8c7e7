//! Verifying signatures with other code than what made them.
//!
//! The signer signs BLS with `blst` and ECDSA with `k256`. Here BLS is verified with `bls12_381_plus`, a pure-Rust
//! implementation with its own hashing to the curve, and ECDSA with libsecp256k1, Bitcoin's C library. A mistake
//! in one of them is then not also in its judge.

use bls12_381_plus::elliptic_curve_013::hash2curve::ExpandMsgXmd;
use bls12_381_plus::group_013::Curve as _;
use bls12_381_plus::{G1Affine, G2Affine, G2Projective, pairing};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey};

/// Domain separation tag of BLS signatures (proof-of-possession ciphersuite).
pub const BLS_SIGNATURE_DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// Domain separation tag of BLS proofs of possession.
pub const BLS_POSSESSION_DST: &[u8] = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Whether `signature` is `public`'s over `message` under `dst`: points in their subgroups, the key not the
/// identity, and e(public, H(message)) = e(G1, signature).
pub fn bls(public: &[u8; 48], message: &[u8], signature: &[u8; 96], dst: &[u8]) -> bool {
    // Both constructors check that the point is on the curve and in the prime-order subgroup.
    let public = Option::<G1Affine>::from(G1Affine::from_compressed(public));
    let signature = Option::<G2Affine>::from(G2Affine::from_compressed(signature));
    let (Some(public), Some(signature)) = (public, signature) else { return false };
    if bool::from(public.is_identity()) {
        return false;
    }
    let hash = G2Projective::hash::<ExpandMsgXmd<sha2_10::Sha256>>(message, dst).to_affine();
    pairing(&public, &hash) == pairing(&G1Affine::generator(), &signature)
}

/// Whether r‖s is `public`'s signature over the 32 bytes of `digest`. libsecp256k1 accepts low s only.
pub fn ecdsa(public: &[u8], digest: &[u8; 32], signature: &[u8; 64]) -> bool {
    let (Ok(public), Ok(signature)) = (PublicKey::from_slice(public), Signature::from_compact(signature)) else {
        return false;
    };
    secp256k1::ecdsa::verify(&signature, Message::from_digest(*digest), &public).is_ok()
}

/// The compressed public key that made r‖s‖v over `digest`, where v is 27 or 28.
pub fn recover(digest: &[u8; 32], signature: &[u8; 65]) -> Option<[u8; 33]> {
    let (recovery, compact) = signature.split_last()?;
    let recovery = RecoveryId::try_from(i32::from(recovery.checked_sub(27)?)).ok()?;
    let signature = RecoverableSignature::from_compact(compact, recovery).ok()?;
    signature.recover(Message::from_digest(*digest)).ok().map(|public| public.serialize())
}
