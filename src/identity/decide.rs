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
    #[error("{saved} is saved, but the signer has no key: the key was lost from the signer; restore it there")]
    Lost {
        /// The saved key.
        saved: String,
    },
    /// The signer has other keys.
    #[error(
        "{saved} is saved, but the signer has {available}: key mismatch, which means key loss or tampering; \
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

    #[test]
    fn every_cell_of_the_table_is_as_written() {
        assert_eq!(decide::<u8>(&[], None), Ok(KeyAction::Generate));
        assert_eq!(decide(&[], Some(&1)), Err(KeyFault::Lost { saved: "1".to_owned() }));
        assert_eq!(decide(&[1], None), Ok(KeyAction::Adopt { key: 1, others: 0 }));
        assert_eq!(decide(&[1, 2, 3], None), Ok(KeyAction::Adopt { key: 1, others: 2 }));
        assert_eq!(decide(&[1, 2], Some(&2)), Ok(KeyAction::Use(2)));
        let mismatch = KeyFault::Mismatch { saved: "9".to_owned(), available: "1, 2, 3, 1 more".to_owned() };
        assert_eq!(decide(&[1, 2, 3, 4], Some(&9)), Err(mismatch));
    }

    #[test]
    fn a_fault_names_both_keys() {
        let text = decide(&[1], Some(&9)).expect_err("mismatch").to_string();
        assert!(text.contains("9 is saved") && text.contains("has 1") && text.contains("tampering"), "{text}");
    }
}
