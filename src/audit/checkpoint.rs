//! Signatures over the head of the chain: whose they are, and whether they hold.

use contract::{Bytes, NodeId, TlsPublicKey};

use super::verify::Checkpoint;
use crate::signed::{self, Kind};

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
    signed::verify(&key, Kind::Checkpoint, point.link.statement().as_bytes(), &signature.0)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::chain::{ChainId, Hash, Link};
    use super::*;

    #[test]
    fn a_third_party_verifies_a_checkpoint_and_a_changed_head_does_not_pass() {
        let link = Link { chain: ChainId::new([3; 16]), seq: 500, hash: Hash::new([4; 32]) };
        let (key, signature) = signed::tests::sign(Kind::Checkpoint, link.statement().as_bytes());
        let (pubkey, signature) = (key.to_string(), signature.to_string());
        let at = |link| Checkpoint { link, signature: &signature, pubkey: &pubkey };
        let node = NodeId::of(&key);
        assert_eq!(verify(&at(link), &[node], &[]), Ok(()));
        assert_eq!(verify(&at(link), &[], &[key]), Ok(()));
        for changed in [
            Link { hash: Hash::new([5; 32]), ..link },
            Link { seq: 501, ..link },
            Link { chain: ChainId::new([4; 16]), ..link },
        ] {
            assert!(verify(&at(changed), &[node], &[]).is_err(), "{changed:?}");
        }
        let other: TlsPublicKey =
            "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("a key");
        assert!(verify(&at(link), &[NodeId::of(&other)], &[other]).expect_err("other").contains(&node.to_string()));
        for (signature, pubkey) in [("", pubkey.as_str()), ("0x00", &pubkey), (&signature, "0x02"), ("é", "é")] {
            assert!(verify(&Checkpoint { link, signature, pubkey }, &[node], &[key]).is_err());
        }
    }
}
