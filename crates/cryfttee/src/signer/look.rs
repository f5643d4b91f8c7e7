//! The signer as a whole, as status reports it.

use contract::wire::{SignerProcess, SignerState};
use contract::{BlsPublicKey, TlsPublicKey};

use super::extension::Extension;
use super::process::{Keys, Seen};
use crate::config::KeyGeneration;

/// What the processes of the signer answered.
pub(crate) struct Look {
    pub(crate) processes: Vec<SignerProcess>,
    pub(crate) bls: Keys<BlsPublicKey>,
    pub(crate) tls: Keys<TlsPublicKey>,
    /// Whether it can do its part in making keys.
    pub(crate) makes_keys: bool,
    pub(crate) raw_signing: bool,
    pub(crate) digest_signing: bool,
    pub(crate) possession_proofs: bool,
}

impl Look {
    pub(super) fn new(eth2: Seen, eth1: Option<Seen>, who: KeyGeneration) -> Self {
        let on_eth2 = eth2.functions;
        let on_eth1 = eth1.as_ref().map_or(on_eth2, |eth1| eth1.functions);
        let makes_keys = match who {
            KeyGeneration::Off => false,
            KeyGeneration::Import => eth2.process.key_manager == Some(true),
            KeyGeneration::Signer => on_eth2.contains(Extension::Generate) && on_eth1.contains(Extension::Generate),
        };
        let mut processes = vec![eth2.process];
        let tls = match eth1 {
            None => eth2.lists.tls,
            Some(eth1) => {
                processes.push(eth1.process);
                eth1.lists.tls
            }
        };
        Self {
            processes,
            bls: eth2.lists.bls,
            tls,
            makes_keys,
            raw_signing: on_eth2.contains(Extension::RawSigning),
            digest_signing: on_eth1.contains(Extension::SignDigest),
            possession_proofs: on_eth2.contains(Extension::ProofOfPossession),
        }
    }

    /// What is wrong, with every process that is not as it should be; `None` if all answer.
    pub(crate) fn trouble(&self) -> Option<String> {
        let in_trouble: Vec<_> = self
            .processes
            .iter()
            .filter(|process| process.state != SignerState::Answers)
            .map(super::trouble::in_words)
            .collect();
        (!in_trouble.is_empty()).then(|| in_trouble.join("; "))
    }
}
