//! What follows from what the signer lists, what is saved and what is configured (CONTRACT: key states): one pure decision.

#[cfg(test)]
mod tests;

use contract::wire::{SignerProcess, SignerRole, SignerState, StakingStatus};
use contract::{BlsPublicKey, TlsPublicKey, defaults};

use super::Origin;
use super::fault::{Contradiction, KeyFault, Misconfigured, SignerFault};
use super::settings::KeyGeneration;
use super::store::Saved;
use crate::audit::Adopted;
use crate::signer_report::{self, NodeKeys, is_unhealthy};

/// The keys that the configuration says are the node's (`identity.bls_pubkey`, `identity.tls_pubkey`).
pub type Chosen = NodeKeys;

/// Which key of a kind is the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<K> {
    /// The first start: nobody said which.
    Any,
    /// An earlier start saved it.
    Saved(K),
    /// The configuration names it, and none is saved.
    Chosen(K),
}

impl<K: Copy> Wanted<K> {
    /// The key, if it is known.
    pub const fn key(&self) -> Option<K> {
        match self {
            Self::Any => None,
            Self::Saved(key) | Self::Chosen(key) => Some(*key),
        }
    }
}

/// Which keys are the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedKeys {
    /// The BLS key.
    pub bls: Wanted<BlsPublicKey>,
    /// The TLS key.
    pub tls: Wanted<TlsPublicKey>,
}

impl WantedKeys {
    /// From what was saved and what is configured.
    ///
    /// # Errors
    /// [`Contradiction`] if the two name different keys.
    pub fn of(saved: &Saved, chosen: &Chosen) -> Result<Self, Contradiction> {
        Ok(Self {
            bls: wanted("identity.bls_pubkey", saved.bls, chosen.bls)?,
            tls: wanted("identity.tls_pubkey", saved.tls, chosen.tls)?,
        })
    }

    /// The keys, as far as they are known.
    pub const fn keys(&self) -> NodeKeys {
        NodeKeys { bls: self.bls.key(), tls: self.tls.key() }
    }
}

fn wanted<K: Copy + PartialEq + ToString>(
    setting: &'static str,
    saved: Option<K>,
    chosen: Option<K>,
) -> Result<Wanted<K>, Contradiction> {
    match (saved, chosen) {
        (None, None) => Ok(Wanted::Any),
        (None, Some(chosen)) => Ok(Wanted::Chosen(chosen)),
        (Some(saved), Some(chosen)) if saved != chosen => {
            Err(Contradiction { setting, chosen: chosen.to_string(), saved: saved.to_string() })
        }
        (Some(saved), _) => Ok(Wanted::Saved(saved)),
    }
}

/// What to do about a key.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAction<K> {
    /// None anywhere: the first boot.
    Generate,
    /// Nothing says which is the node's: take the first in ascending order of the bytes, which is the same at every start.
    AdoptFirst {
        /// The first.
        key: K,
        /// The others, in ascending order.
        others: Vec<K>,
    },
    /// The configuration names this one, and it is there.
    AdoptChosen(K),
    /// The saved key is there.
    Use(K),
}

impl<K: Copy + Ord + ToString> KeyAction<K> {
    /// The key of the signer's that is taken, and why it is this one; none if one is to be made.
    pub(super) fn taken(self) -> Option<(K, Origin)> {
        match self {
            Self::Generate => None,
            Self::AdoptFirst { key, others } if others.is_empty() => Some((key, Origin::Adopted(Adopted::TheOnly))),
            Self::AdoptFirst { key, others } => {
                let first = Adopted::First { others: others.len(), rest: list(&others) };
                Some((key, Origin::Adopted(first)))
            }
            Self::AdoptChosen(key) => Some((key, Origin::Adopted(Adopted::Chosen))),
            Self::Use(key) => Some((key, Origin::Known)),
        }
    }
}

/// What to do about both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions {
    /// The BLS key.
    pub bls: KeyAction<BlsPublicKey>,
    /// The TLS key.
    pub tls: KeyAction<TlsPublicKey>,
}

impl Actions {
    /// Whether both keys are those of an earlier start, so that nothing is made or adopted.
    pub const fn are_known(&self) -> bool {
        const fn is_known<K>(action: &KeyAction<K>) -> bool {
            match action {
                KeyAction::Use(_) => true,
                KeyAction::Generate | KeyAction::AdoptFirst { .. } | KeyAction::AdoptChosen(_) => false,
            }
        }
        is_known(&self.bls) && is_known(&self.tls)
    }
}

/// What follows.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Both keys can be had.
    Go(Actions),
    /// It may pass by itself, or by what somebody does to the signer.
    Wait {
        /// What is waited for.
        report: String,
        /// What it is if it does not pass in time.
        after: SignerFault,
    },
    /// Waiting does not mend it: a setting has to be changed.
    Never(Misconfigured),
    /// Refused at once.
    Refuse(SignerFault),
}

/// Decides. Both keys are decided before either is acted on: a lost TLS key must not leave a new BLS key behind.
pub fn decide(status: &StakingStatus, wanted: &WantedKeys, generation: KeyGeneration) -> Decision {
    let processes = signer_report::processes(status);
    let of = |role| processes.iter().find(|process| process.role == role || process.role == SignerRole::Both);
    let (eth2, eth1) = (of(SignerRole::Eth2), of(SignerRole::Eth1));
    if let Some(never) = wrong_process(&processes) {
        return Decision::Never(never);
    }
    let bls = listing(eth2, eth2.and_then(|process| process.serves_bls), &status.bls_pubkeys);
    let tls = listing(eth1, eth1.and_then(|process| process.serves_tls), &status.tls_pubkeys);
    let health = if eth2.is_some_and(is_unhealthy) { Health::Bad } else { Health::Good };
    if let Some(never) = no_key_manager(eth2, &bls, wanted, health, generation) {
        return Decision::Never(never);
    }
    let can_generate = has(status, defaults::CAN_MAKE_KEYS);
    let bls_maker = maker(Kind::Bls, generation, can_generate || eth2.is_some_and(|p| p.key_manager == Some(true)));
    let tls_maker = maker(Kind::Tls, generation, can_generate);
    let cells =
        (cell(Kind::Bls, &bls, wanted.bls, health, bls_maker), cell(Kind::Tls, &tls, wanted.tls, health, tls_maker));

    let report = || signer_report::trouble(status, &wanted.keys()).unwrap_or_else(|| "the signer".to_owned());
    let fault = |kind: Kind, after: After| match after {
        After::Away => SignerFault::Away { report: report() },
        After::Unhealthy => SignerFault::Unhealthy { report: report() },
        After::NoKey(why) => SignerFault::NoKey { report: report(), kind: kind.as_str(), why },
        After::Key(source) => SignerFault::Key { report: report(), kind: kind.as_str(), source },
    };
    let wait = |kind, after| Decision::Wait { report: report(), after: fault(kind, after) };
    match cells {
        (Cell::Refuse(source), _) => Decision::Refuse(fault(Kind::Bls, After::Key(source))),
        (_, Cell::Refuse(source)) => Decision::Refuse(fault(Kind::Tls, After::Key(source))),
        // While one key may still come, the other is not called lost: 69 is tried again, 77 is not.
        (Cell::Wait(bls), Cell::Wait(tls)) if bls.is_mismatch() && !tls.is_mismatch() => wait(Kind::Tls, tls),
        (Cell::Wait(bls), Cell::Wait(_) | Cell::Act(_)) => wait(Kind::Bls, bls),
        (Cell::Act(_), Cell::Wait(tls)) => wait(Kind::Tls, tls),
        (Cell::Act(bls), Cell::Act(tls)) => match incapable(status) {
            Some(missing) => Decision::Refuse(SignerFault::Incapable { missing }),
            None => Decision::Go(Actions { bls, tls }),
        },
    }
}

/// The two kinds of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bls,
    Tls,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bls => "BLS",
            Self::Tls => "TLS",
        }
    }
}

/// What `/healthcheck` of the process with the BLS keys says; `eth1` never says that a key file failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    Bad,
}

/// What the signer lists of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing<'a, K> {
    /// Nobody knows: no answer, or not of this kind.
    Unknown,
    Keys(&'a [K]),
}

fn listing<'a, K>(process: Option<&SignerProcess>, served: Option<bool>, keys: &'a [K]) -> Listing<'a, K> {
    let answers = process.is_some_and(|process| process.state == SignerState::Answers);
    if answers && served == Some(true) { Listing::Keys(keys) } else { Listing::Unknown }
}

/// Whether a key of a kind can be made, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Can,
    Cannot(&'static str),
}

fn maker(kind: Kind, generation: KeyGeneration, can: bool) -> Maker {
    match (generation, kind) {
        (KeyGeneration::Off, Kind::Bls | Kind::Tls) => Maker::Cannot("web3signer.key_generation = \"off\" makes none"),
        (KeyGeneration::Import, Kind::Tls) => {
            Maker::Cannot("web3signer.key_generation = \"import\" makes no secp256k1 key")
        }
        (KeyGeneration::Import | KeyGeneration::Signer, Kind::Bls | Kind::Tls) if can => Maker::Can,
        (KeyGeneration::Import, Kind::Bls) => {
            Maker::Cannot("its key manager does not answer (missing capability key_generation)")
        }
        (KeyGeneration::Signer, Kind::Bls | Kind::Tls) => {
            Maker::Cannot("this Web3Signer makes none, as every stock one (missing capability key_generation)")
        }
    }
}

/// What one row of the table says.
#[derive(Debug)]
enum Cell<K> {
    Act(KeyAction<K>),
    Wait(After),
    Refuse(KeyFault),
}

/// What a wait is that was in vain.
#[derive(Debug)]
enum After {
    Away,
    Unhealthy,
    NoKey(&'static str),
    Key(KeyFault),
}

impl After {
    const fn is_mismatch(&self) -> bool {
        matches!(self, Self::Key(KeyFault::Mismatch { .. }))
    }
}

fn cell<K: Copy + Ord + ToString>(
    kind: Kind,
    listing: &Listing<'_, K>,
    wanted: Wanted<K>,
    health: Health,
    maker: Maker,
) -> Cell<K> {
    match (listing, wanted, health) {
        (Listing::Unknown, _, _) => Cell::Wait(After::Away),
        (Listing::Keys(keys), Wanted::Saved(key), _) if keys.contains(&key) => Cell::Act(KeyAction::Use(key)),
        (Listing::Keys(keys), Wanted::Chosen(key), _) if keys.contains(&key) => Cell::Act(KeyAction::AdoptChosen(key)),
        (Listing::Keys([]), Wanted::Saved(key) | Wanted::Chosen(key), _) => {
            Cell::Wait(After::Key(KeyFault::Lost { wanted: key.to_string() }))
        }
        (Listing::Keys(keys), Wanted::Saved(key) | Wanted::Chosen(key), health) => {
            let fault = KeyFault::Mismatch { wanted: key.to_string(), available: list(keys) };
            match (kind, health) {
                (Kind::Bls, Health::Good) => Cell::Refuse(fault),
                (Kind::Bls, Health::Bad) | (Kind::Tls, Health::Good | Health::Bad) => Cell::Wait(After::Key(fault)),
            }
        }
        (Listing::Keys(_), Wanted::Any, Health::Bad) => Cell::Wait(After::Unhealthy),
        (Listing::Keys([]), Wanted::Any, Health::Good) => match maker {
            Maker::Can => Cell::Act(KeyAction::Generate),
            Maker::Cannot(why) => Cell::Wait(After::NoKey(why)),
        },
        (Listing::Keys(keys), Wanted::Any, Health::Good) => Cell::Act(adopt_first(keys)),
    }
}

fn adopt_first<K: Copy + Ord>(keys: &[K]) -> KeyAction<K> {
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let key = sorted.remove(0);
    KeyAction::AdoptFirst { key, others: sorted }
}

/// The first few of many keys, in ascending order.
fn list<K: Copy + Ord + ToString>(keys: &[K]) -> String {
    const SHOWN: usize = 3;
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let mut shown: Vec<String> = sorted.iter().take(SHOWN).map(ToString::to_string).collect();
    if keys.len() > SHOWN {
        shown.push(format!("{} more", keys.len() - SHOWN));
    }
    shown.join(", ")
}

fn has(status: &StakingStatus, capability: &str) -> bool {
    status.capabilities.iter().any(|has| has == capability)
}

/// What a sidecar that reached its signer says that it cannot do.
fn incapable(status: &StakingStatus) -> Option<String> {
    let needed = |name: &&str| *name != defaults::CAN_MAKE_KEYS;
    let missing: Vec<&str> =
        defaults::CAPABILITIES.into_iter().filter(needed).filter(|name| !has(status, name)).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// A URL whose process serves the other kind of key alone: the port of a process that is still loading is closed, so this is
/// no passing state.
fn wrong_process(processes: &[SignerProcess]) -> Option<Misconfigured> {
    let only = |role, bls, tls| {
        let wrong = |process: &&SignerProcess| {
            process.role == role
                && process.state == SignerState::Answers
                && (process.serves_bls, process.serves_tls) == (Some(bls), Some(tls))
        };
        processes.iter().find(wrong).map(|process| signer_report::without_secrets(&process.url))
    };
    if let Some(url) = only(SignerRole::Both, true, false) {
        return Some(Misconfigured::OnlyEth2 { url });
    }
    if let Some(url) = only(SignerRole::Both, false, true) {
        return Some(Misconfigured::OnlyEth1 { url });
    }
    match (only(SignerRole::Eth2, false, true), only(SignerRole::Eth1, true, false)) {
        (Some(eth2), Some(eth1)) => Some(Misconfigured::Swapped { eth2, eth1 }),
        (Some(url), None) => Some(Misconfigured::Eth1AsEth2 { url }),
        (None, Some(url)) => Some(Misconfigured::Eth2AsEth1 { url }),
        (None, None) => None,
    }
}

/// `import` with no key to adopt and nobody to import one.
fn no_key_manager(
    eth2: Option<&SignerProcess>,
    bls: &Listing<'_, BlsPublicKey>,
    wanted: &WantedKeys,
    health: Health,
    generation: KeyGeneration,
) -> Option<Misconfigured> {
    let process = eth2.filter(|process| process.key_manager == Some(false))?;
    let needed = generation == KeyGeneration::Import && wanted.bls == Wanted::Any;
    let empty = health == Health::Good && *bls == Listing::Keys(&[]);
    (needed && empty).then(|| Misconfigured::NoKeyManager { url: signer_report::without_secrets(&process.url) })
}
