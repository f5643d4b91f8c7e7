//! The keys of a signer for ten thousand validators.

use std::sync::OnceLock;

use k256::ProjectivePoint;
use k256::elliptic_curve::point::AffineCoordinates as _;

/// Ten thousand keys of each kind, the usual ones first.
pub(crate) fn ten_thousand() -> &'static [Vec<String>; 2] {
    static KEYS: OnceLock<[Vec<String>; 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        let bls = (1..10_000).map(|number| format!("0x80{number:094x}"));
        let points =
            std::iter::successors(Some(ProjectivePoint::GENERATOR), |point| Some(*point + ProjectivePoint::GENERATOR));
        let tls = points.take(10_000).map(|point| {
            let point = point.to_affine();
            contract::Bytes([&[2 + u8::from(bool::from(point.y_is_odd()))], &point.x()[..]].concat()).to_string()
        });
        [std::iter::once(super::BLS.to_owned()).chain(bls).collect(), tls.collect()]
    })
}
