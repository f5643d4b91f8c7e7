//! Signatures of the bad sidecar's TLS key, whose secret is 1: 65 bytes r, s and v over the Keccak-256, as Web3Signer makes them.

use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::ops::Reduce as _;
use k256::elliptic_curve::point::AffineCoordinates as _;
use k256::elliptic_curve::scalar::IsHigh as _;
use k256::{FieldBytes, ProjectivePoint, Scalar};
use tiny_keccak::{Hasher as _, Keccak};

pub(crate) fn sign(message: &[u8]) -> Vec<u8> {
    let (mut keccak, mut hash) = (Keccak::v256(), [0; 32]);
    keccak.update(message);
    keccak.finalize(&mut hash);
    // Good enough for a key that everybody knows.
    let once = Option::<Scalar>::from(Scalar::from_repr([9; 32].into())).expect("a number");
    let point = (ProjectivePoint::GENERATOR * once).to_affine();
    let (r, hash) = (Scalar::reduce(&point.x()), Scalar::reduce(&FieldBytes::from(hash)));
    let s = Option::<Scalar>::from(once.invert_vartime()).expect("not zero") * (hash + r);
    let is_high = bool::from(s.is_high());
    let v = u8::from(bool::from(point.y_is_odd()) != is_high);
    let s = if is_high { -s } else { s };
    [&r.to_bytes()[..], &s.to_bytes()[..], &[v]].concat()
}
