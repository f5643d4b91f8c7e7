//! Signatures over the head of the chain: whose they are, and whether they hold.

use contract::{Bytes, NodeId, TlsPublicKey};

use super::chain::Link;
use super::verify::Checkpoint;
use crate::signed::{self, Kind};

/// What is signed: how far the trail went, and when that was, by the host's clock (`AUDIT_TIME`'s form). Without a time, as the
/// first builds had it.
pub fn statement(link: &Link, time: Option<&str>) -> (Kind, String) {
    let far = link.statement();
    match time {
        Some(time) => (Kind::Checkpoint, format!("{far}time={time}\n")),
        None => (Kind::TimelessCheckpoint, far),
    }
}

/// Verifies a checkpoint's signature, which has to be by one of these nodes or keys.
///
/// # Errors
/// What is wrong with it, in words.
pub fn verify(point: &Checkpoint<'_>, nodes: &[NodeId], keys: &[TlsPublicKey]) -> Result<(), String> {
    let key: TlsPublicKey = point.pubkey.parse().map_err(|_| "its key is no public key".to_owned())?;
    if !keys.contains(&key) && !nodes.contains(&NodeId::of(&key)) {
        return Err(format!("it is signed by {}", NodeId::of(&key)));
    }
    let signature: Bytes = point.signature.parse().map_err(|_| "its signature is none".to_owned())?;
    let (kind, statement) = statement(&point.link, point.time);
    signed::verify(&key, kind, statement.as_bytes(), &signature.0).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::chain::{ChainId, Hash};
    use super::*;

    const TIME: &str = "2026-11-22T19:12:00.000001Z";

    fn link() -> Link {
        Link { chain: ChainId::new([3; 16]), seq: 500, hash: Hash::new([4; 32]) }
    }

    fn sign(time: Option<&str>) -> (TlsPublicKey, String) {
        let (kind, statement) = statement(&link(), time);
        let (key, signature) = signed::tests::sign(kind, statement.as_bytes());
        (key, signature.to_string())
    }

    #[test]
    fn a_third_party_verifies_a_checkpoint_and_what_was_changed_does_not_pass() {
        let (key, signature) = sign(Some(TIME));
        let pubkey = key.to_string();
        let at = |link| Checkpoint { link, time: Some(TIME), signature: &signature, pubkey: &pubkey };
        let node = NodeId::of(&key);
        assert_eq!(verify(&at(link()), &[node], &[]), Ok(()));
        assert_eq!(verify(&at(link()), &[], &[key]), Ok(()));
        for changed in [
            Link { hash: Hash::new([5; 32]), ..link() },
            Link { seq: 501, ..link() },
            Link { chain: ChainId::new([4; 16]), ..link() },
        ] {
            assert!(verify(&at(changed), &[node], &[]).is_err(), "{changed:?}");
        }
        for time in [None, Some("2026-11-22T19:12:00.000002Z")] {
            assert!(verify(&Checkpoint { time, ..at(link()) }, &[node], &[]).is_err(), "{time:?}");
        }
        let other: TlsPublicKey =
            "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("a key");
        assert!(verify(&at(link()), &[NodeId::of(&other)], &[other]).expect_err("other").contains(&node.to_string()));
        for (signature, pubkey) in [("", pubkey.as_str()), ("0x00", &pubkey), (&signature, "0x02"), ("é", "é")] {
            assert!(verify(&Checkpoint { signature, pubkey, ..at(link()) }, &[node], &[key]).is_err());
        }
    }

    #[test]
    fn a_checkpoint_of_the_first_builds_still_verifies_and_takes_no_time() {
        let (key, signature) = sign(None);
        let pubkey = key.to_string();
        let old = Checkpoint { link: link(), time: None, signature: &signature, pubkey: &pubkey };
        assert_eq!(verify(&old, &[], &[key]), Ok(()));
        assert!(verify(&Checkpoint { time: Some(TIME), ..old }, &[], &[key]).is_err());
    }
}
