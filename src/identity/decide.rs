//! The key-state table (CONTRACT: key states), for either kind of key.

use std::fmt::Display;

/// What to do about a key.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAction<K> {
    /// None anywhere: the first boot.
    Generate,
    /// The signer has keys and none was saved: take the first.
    Adopt {
        /// The first.
        key: K,
        /// How many others there are.
        others: usize,
    },
    /// The saved key is there.
    Use(K),
}

/// The saved key is not in the signer. Never an occasion to make another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The signer has no key at all.
    #[error(
        "{saved} is saved, but the signer has none (available: none): the key was lost from the signer, which means key \
         loss or tampering; restore it there"
    )]
    Lost {
        /// The saved key.
        saved: String,
    },
    /// The signer has other keys.
    #[error(
        "{saved} is saved, but the signer does not have it (available: {available}): key mismatch, which means key loss or tampering; \
         restore the key in the signer, or remove the saved one only if the node is meant to change its identity"
    )]
    Mismatch {
        /// The saved key.
        saved: String,
        /// What the signer has.
        available: String,
    },
}

/// The decision, without I/O: five cells, no others.
///
/// # Errors
/// [`KeyFault`].
pub fn decide<K: Copy + PartialEq + Display>(in_signer: &[K], saved: Option<&K>) -> Result<KeyAction<K>, KeyFault> {
    match (in_signer, saved) {
        ([], None) => Ok(KeyAction::Generate),
        ([], Some(saved)) => Err(KeyFault::Lost { saved: saved.to_string() }),
        ([first, others @ ..], None) => Ok(KeyAction::Adopt { key: *first, others: others.len() }),
        (keys, Some(saved)) if keys.contains(saved) => Ok(KeyAction::Use(*saved)),
        (keys, Some(saved)) => Err(KeyFault::Mismatch { saved: saved.to_string(), available: list(keys) }),
    }
}

fn list<K: Display>(keys: &[K]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = keys.iter().take(SHOWN).map(ToString::to_string).collect();
    if keys.len() > SHOWN {
        shown.push(format!("{} more", keys.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the signer has, what is saved, and what follows.
    type Cell<'a, K> = (&'a [K], Option<K>, Result<KeyAction<K>, KeyFault>);

    /// Every cell, for keys of any kind: nothing saved, saved and first, saved and later, saved and absent; against no key,
    /// one key, several.
    fn table<K: Copy + PartialEq + Display + std::fmt::Debug>(a: K, b: K, c: K, d: K) {
        let lost = KeyFault::Lost { saved: a.to_string() };
        let mismatch = |available: String| KeyFault::Mismatch { saved: d.to_string(), available };
        let cells: [Cell<'_, K>; 9] = [
            (&[], None, Ok(KeyAction::Generate)),
            (&[], Some(a), Err(lost)),
            (&[a], None, Ok(KeyAction::Adopt { key: a, others: 0 })),
            (&[a], Some(a), Ok(KeyAction::Use(a))),
            (&[a], Some(d), Err(mismatch(a.to_string()))),
            (&[b, a, c], None, Ok(KeyAction::Adopt { key: b, others: 2 })),
            (&[a, b, c], Some(a), Ok(KeyAction::Use(a))),
            (&[b, c, a], Some(a), Ok(KeyAction::Use(a))),
            (&[a, b, c], Some(d), Err(mismatch(format!("{a}, {b}, {c}")))),
        ];
        for (in_signer, saved, expected) in cells {
            assert_eq!(decide(in_signer, saved.as_ref()), expected, "{in_signer:?} {saved:?}");
        }
    }

    #[test]
    fn every_cell_of_the_table_is_as_written_for_bls_keys() {
        // Any four numbers below the modulus have the form of a key.
        let key = |number| {
            let mut bytes = [0; 48];
            (bytes[0], bytes[47]) = (0x80, number);
            contract::BlsPublicKey::from_bytes(bytes).expect("the form of a key")
        };
        table(key(1), key(2), key(3), key(4));
    }

    #[test]
    fn every_cell_of_the_table_is_as_written_for_tls_keys() {
        // The generator, twice and three times it, and its negative.
        let key = |text: &str| contract::TlsPublicKey::normalise(text).expect("a point");
        table(
            key("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
            key("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"),
            key("02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"),
            key("0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
        );
    }

    #[test]
    fn of_many_keys_three_are_named_and_the_rest_counted() {
        let mismatch = KeyFault::Mismatch { saved: "9".to_owned(), available: "1, 2, 3, 1 more".to_owned() };
        assert_eq!(decide(&[1, 2, 3, 4], Some(&9)), Err(mismatch));
    }

    #[test]
    fn a_fault_names_both_keys() {
        for (in_signer, available) in [(&[1][..], "(available: 1)"), (&[], "(available: none)")] {
            let text = decide(in_signer, Some(&9)).expect_err("a fault").to_string();
            assert!(text.contains("9 is saved") && text.contains(available), "{text}");
            assert!(text.contains("key loss or tampering"), "{text}");
        }
    }
}
