use super::*;

/// Of the secret 07…07. Made, like the signatures, with libsecp256k1 and a Keccak of its own.
const KEY: &str = "0x02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f";
const STATEMENT: &[u8] = br#"{"a":1}"#;
const EVIDENCE: &str = "0x2c8030cf99f6e21444443cbfdd6081ddcc7f7d9063e7e14a2026109763cc421769a19b169ab19c82a42c29e93783e5771c916a0bd18a35c589c8f0c5105684fb00";
const CHECKPOINT: &str = "0x81b0fda919efae8d8956c42428a18f0cb56f51bd3463e705f2b8233e73e3743570e359aa65deff7b08e36a378f645aaed3bcb36cdeceeac4a3430698f63ec50b01";

/// A signature by the same key, made here: only for what the vectors above are not of.
pub(crate) fn sign(kind: Kind, statement: &[u8]) -> (TlsPublicKey, Bytes) {
    let number = |byte: u8| Option::<Scalar>::from(Scalar::from_repr([byte; 32].into())).expect("a number");
    let (secret, once) = (number(7), number(9));
    let point = (ProjectivePoint::GENERATOR * once).to_affine();
    let (r, digest) = (Scalar::reduce(&point.x()), Scalar::reduce(&FieldBytes::from(keccak(&bytes(kind, statement)))));
    let s = Option::<Scalar>::from(once.invert_vartime()).expect("not zero") * (digest + r * secret);
    let is_high = bool::from(s.is_high());
    let v = u8::from(bool::from(point.y_is_odd()) != is_high);
    let s = if is_high { -s } else { s };
    (key(), Bytes([&r.to_bytes()[..], &s.to_bytes()[..], &[v]].concat()))
}

fn key() -> TlsPublicKey {
    KEY.parse().expect("a key")
}

fn signature(text: &str) -> Vec<u8> {
    text.parse::<Bytes>().expect("hex").0
}

fn evidence(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), NotSigned> {
    let mut signature = signature(EVIDENCE);
    change(&mut signature);
    verify(&key(), Kind::Evidence, STATEMENT, &signature)
}

#[test]
fn signatures_of_another_library_verify() {
    assert_eq!(evidence(|_| ()), Ok(()));
    assert_eq!(verify(&key(), Kind::TimelessCheckpoint, STATEMENT, &signature(CHECKPOINT)), Ok(()));
    // As signers for Ethereum count v.
    assert_eq!(evidence(|signature| signature[64] += 27), Ok(()));
}

#[test]
fn a_statement_of_one_kind_never_passes_for_another() {
    assert_eq!(verify(&key(), Kind::Checkpoint, STATEMENT, &signature(EVIDENCE)), Err(NotSigned::Wrong));
    assert_eq!(verify(&key(), Kind::Evidence, STATEMENT, &signature(CHECKPOINT)), Err(NotSigned::Wrong));
    assert_eq!(verify(&key(), Kind::Checkpoint, STATEMENT, &signature(CHECKPOINT)), Err(NotSigned::Wrong));
}

#[test]
fn every_bit_of_signature_and_statement_counts() {
    for bit in 0..SIGNATURE * 8 {
        assert!(evidence(|signature| signature[bit / 8] ^= 1 << (bit % 8)).is_err(), "bit {bit}");
    }
    for bit in 0..STATEMENT.len() * 8 {
        let mut statement = STATEMENT.to_vec();
        statement[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&key(), Kind::Evidence, &statement, &signature(EVIDENCE)), Err(NotSigned::Wrong));
    }
}

#[test]
fn a_signature_has_one_form_and_one_length() {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae,
        0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];
    // n - s with the other v is what every other verifier takes as well.
    let high = |signature: &mut Vec<u8>| {
        let s: [u8; 32] = signature[32..64].try_into().expect("32 bytes");
        signature[32..64]
            .copy_from_slice(&(-Option::<Scalar>::from(Scalar::from_repr(s.into())).expect("s")).to_bytes());
        signature[64] ^= 1;
    };
    assert_eq!(evidence(high), Err(NotSigned::HighS));
    for at in [0, 32] {
        assert_eq!(evidence(|signature| signature[at..at + 32].fill(0)), Err(NotSigned::Range));
        assert_eq!(evidence(|signature| signature[at..at + 32].copy_from_slice(&ORDER)), Err(NotSigned::Range));
        assert_eq!(evidence(|signature| signature[at..at + 32].fill(0xff)), Err(NotSigned::Range));
    }
    for v in [2, 26, 29, 255] {
        assert_eq!(evidence(|signature| signature[64] = v), Err(NotSigned::Range));
    }
    assert_eq!(evidence(|signature| signature[64] = 1), Err(NotSigned::Wrong));
    assert_eq!(evidence(|signature| signature.push(0)), Err(NotSigned::Length(66)));
    assert_eq!(evidence(|signature| signature.truncate(64)), Err(NotSigned::Length(64)));
    assert_eq!(evidence(Vec::clear), Err(NotSigned::Length(0)));
}

#[test]
fn another_key_did_not_sign_it() {
    let other = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("a key");
    assert_eq!(verify(&other, Kind::Evidence, STATEMENT, &signature(EVIDENCE)), Err(NotSigned::Wrong));
}
