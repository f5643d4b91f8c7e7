//! Statements signed with the node's TLS key, so that somebody without this host can check them with the public key alone.
//!
//! What is signed is a line that names the kind of the statement, and then the statement. The line keeps a signature over
//! one kind from passing for another, and no message that the key signs for the network starts with it.
//!
//! The signer makes the signature: 65 bytes r, s and v over the Keccak-256. Here it is only verified, from public
//! values, with the arithmetic that the keys are checked with.

use contract::{Bytes, TlsPublicKey};
use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::ops::{LinearCombination as _, Reduce as _};
use k256::elliptic_curve::point::AffineCoordinates as _;
use k256::elliptic_curve::scalar::IsHigh as _;
use k256::{FieldBytes, ProjectivePoint, PublicKey, Scalar};
use tiny_keccak::{Hasher as _, Keccak};

use crate::fault::Fault as _;
use crate::sidecar::{Client, SidecarError};

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What runs on a host, for a remote party.
    Evidence,
    /// How far an audit trail went, and when.
    Checkpoint,
    /// The same without a time, as the first builds had it signed.
    TimelessCheckpoint,
}

impl Kind {
    /// The line in front of the statement, without its line feed.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Evidence => "cryftgo-tee/evidence/v1",
            Self::Checkpoint => "cryftgo-tee/checkpoint/v2",
            Self::TimelessCheckpoint => "cryftgo-tee/checkpoint/v1",
        }
    }
}

/// Bytes in a signature: r, s and v.
pub const SIGNATURE: usize = 65;

/// A signature is not by this key over this statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is what its text says")]
pub enum NotSigned {
    #[error("a signature has 65 bytes, this has {0}")]
    Length(usize),
    #[error("the numbers of the signature are out of range")]
    Range,
    #[error("the signature has the larger of two possible forms, which nobody needs")]
    HighS,
    #[error("the signature is by another key, or over something else")]
    Wrong,
}

/// The signer did not sign.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum SignError {
    #[error("have the signer sign a statement")]
    Ask(#[from] SidecarError),
    #[error("the signer answered with a signature that does not verify")]
    Answer(#[from] NotSigned),
}

impl SignError {
    /// Exit code of the contract.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Ask(error) => error.exit_code(),
            Self::Answer(_) => contract::exit::UNAVAILABLE,
        }
    }
}

/// The bytes that are signed.
pub fn bytes(kind: Kind, statement: &[u8]) -> Vec<u8> {
    [kind.line().as_bytes(), b"\n", statement].concat()
}

/// Has the sidecar sign a statement, and verifies what comes back.
///
/// # Errors
/// [`SignError`].
pub async fn sign(client: &Client, key: &TlsPublicKey, kind: Kind, statement: &[u8]) -> Result<Bytes, SignError> {
    let signature = client.sign_tls(key, Bytes(bytes(kind, statement))).await?;
    verify(key, kind, statement, &signature.0)?;
    Ok(signature)
}

/// Verifies a signature. There is one form of it that is taken: numbers in range, the smaller s, and a v that fits (0 or
/// 1, or 27 or 28).
///
/// # Errors
/// [`NotSigned`].
pub fn verify(key: &TlsPublicKey, kind: Kind, statement: &[u8], signature: &[u8]) -> Result<(), NotSigned> {
    let signature: &[u8; SIGNATURE] = signature.try_into().map_err(|_| NotSigned::Length(signature.len()))?;
    let (r, s) = (scalar(&signature[..32])?, scalar(&signature[32..64])?);
    if bool::from(s.is_high()) {
        return Err(NotSigned::HighS);
    }
    let is_odd = match signature[64] {
        0 | 27 => false,
        1 | 28 => true,
        _ => return Err(NotSigned::Range),
    };
    let key = PublicKey::from_sec1_bytes(key.as_bytes()).map_err(|_| NotSigned::Wrong)?;
    let digest = Scalar::reduce(&FieldBytes::from(keccak(&bytes(kind, statement))));
    let inverse = Option::<Scalar>::from(s.invert_vartime()).ok_or(NotSigned::Range)?;
    let terms = [(ProjectivePoint::GENERATOR, digest * inverse), (key.to_projective(), r * inverse)];
    let point = ProjectivePoint::lincomb_vartime(&terms).to_affine();
    // The point at infinity has x = 0 here, which r is not.
    if Scalar::reduce(&point.x()) == r && bool::from(point.y_is_odd()) == is_odd {
        return Ok(());
    }
    Err(NotSigned::Wrong)
}

/// A number above 0 and below the order of the group.
fn scalar(bytes: &[u8]) -> Result<Scalar, NotSigned> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| NotSigned::Range)?;
    let scalar = Option::<Scalar>::from(Scalar::from_repr(bytes.into())).ok_or(NotSigned::Range)?;
    if scalar == Scalar::ZERO { Err(NotSigned::Range) } else { Ok(scalar) }
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    let (mut keccak, mut digest) = (Keccak::v256(), [0; 32]);
    keccak.update(bytes);
    keccak.finalize(&mut digest);
    digest
}

#[cfg(test)]
pub(crate) mod tests;
