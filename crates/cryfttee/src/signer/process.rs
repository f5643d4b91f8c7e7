//! One process of the signer, and what is seen when it is looked at.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use contract::wire::{SignerProcess, SignerRole, SignerState};
use contract::{BlsPublicKey, TlsPublicKey};
use tokio::time::Instant;

use super::answer;
use super::calls::{functions, get, list};
use super::client::Client;
use super::error::SignerError;
use super::extension::{Extension, Functions, Known};
use super::health::Health;
use super::route::Route;
use super::trouble::Trouble;
use super::{LIST, SHORT};
use crate::config::{KeyGeneration, Limits};

/// A process of the signer.
pub(super) struct Process {
    pub(super) client: Client,
    pub(super) role: SignerRole,
    status_time: Duration,
    cache_time: Duration,
    about: Mutex<Option<(Instant, Result<About, Trouble>)>>,
    known: Known,
    /// When that was asked last.
    known_since: Mutex<Option<Instant>>,
}

/// What a process says of itself. It holds for a short while, so that many callers of status do not become as many
/// questions; lists of keys are asked for each time.
#[derive(Debug, Clone, Copy, Default)]
struct About {
    functions: Functions,
    key_manager: Option<bool>,
}

/// A list of keys, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Keys<K> {
    Listed(Vec<K>),
    /// The process does not have the call: it serves the other kind.
    NotServed,
    /// It was not asked, or did not answer.
    #[default]
    Unknown,
}

impl<K> Keys<K> {
    pub(super) fn of(list: Option<Vec<K>>) -> Self {
        list.map_or(Self::NotServed, Self::Listed)
    }

    pub(crate) fn listed(&self) -> Option<&[K]> {
        match self {
            Self::Listed(keys) => Some(keys),
            Self::NotServed | Self::Unknown => None,
        }
    }

    fn is_served(&self) -> Option<bool> {
        match self {
            Self::Listed(_) => Some(true),
            Self::NotServed => Some(false),
            Self::Unknown => None,
        }
    }

    fn count(&self) -> u64 {
        self.listed().map_or(0, |keys| keys.len() as u64)
    }
}

/// The keys of a process. That of one role is asked for the other kind only when it does not serve its own, so that
/// swapped URLs can be recognised.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) bls: Keys<BlsPublicKey>,
    pub(super) tls: Keys<TlsPublicKey>,
}

impl Lists {
    pub(super) fn count(&self) -> u64 {
        self.bls.count() + self.tls.count()
    }

    pub(super) fn are_served(&self) -> bool {
        self.bls.is_served() == Some(true) || self.tls.is_served() == Some(true)
    }
}

/// What is seen of a process.
pub(super) struct Seen {
    pub(super) process: SignerProcess,
    pub(super) lists: Lists,
    pub(super) functions: Functions,
}

impl Process {
    pub(super) fn new(client: Client, role: SignerRole, limits: &Limits) -> Self {
        Self {
            client,
            role,
            status_time: limits.signer_status,
            cache_time: limits.upcheck_cache,
            about: Mutex::new(None),
            known: Known::default(),
            known_since: Mutex::new(None),
        }
    }

    /// Asks it everything that status reports.
    pub(super) async fn look(&self, who: KeyGeneration) -> Seen {
        let unheard = |trouble| self.seen(Err(trouble), Health::default(), Lists::default());
        let deadline = self.deadline();
        let (about, lists) = match self.remembered() {
            Some(Ok(about)) => (about, self.lists(deadline).await),
            Some(Err(trouble)) => return unheard(trouble),
            None => match self.upcheck().await {
                Ok(()) => tokio::join!(self.ask_about(who, deadline), self.lists(deadline)),
                Err(trouble) => return unheard(trouble),
            },
        };
        match lists {
            // After the lists, and never from memory: a reload may swap in a set with keys missing, and a list of that must
            // not stand beside the health from before.
            Ok(lists) => self.seen(Ok(about), self.health_now(deadline).await, lists),
            Err(trouble) => unheard(trouble),
        }
    }

    /// Its health; whoever is not heard is not healthy. An `eth1` process says nothing of its keys anyway.
    async fn health_now(&self, deadline: Instant) -> Health {
        match (self.health(deadline).await, self.role) {
            (Ok(health), _) => health,
            (Err(_), SignerRole::Eth1) => Health::default(),
            (Err(_), SignerRole::Eth2 | SignerRole::Both) => Health::UNHEARD,
        }
    }

    fn remembered(&self) -> Option<Result<About, Trouble>> {
        let about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, outcome) = about.as_ref()?;
        (at.elapsed() < self.cache_time).then(|| outcome.clone())
    }

    fn remember(&self, outcome: Result<About, Trouble>) {
        *self.about.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), outcome));
    }

    async fn upcheck(&self) -> Result<(), Trouble> {
        match get(&self.client, Route::Upcheck, SHORT, self.deadline()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let trouble = self.trouble(&error, Route::Upcheck);
                // What comes back may be another signer.
                self.known.set(None);
                self.remember(Err(trouble.clone()));
                Err(trouble)
            }
        }
    }

    async fn ask_about(&self, who: KeyGeneration, deadline: Instant) -> About {
        let key_manager = async {
            // Of an `eth1` process nobody asks it: no secp256k1 key can be imported.
            if who != KeyGeneration::Import || self.role == SignerRole::Eth1 {
                return None;
            }
            match get(&self.client, Route::KeyManager, LIST, deadline).await {
                Ok(_) => Some(true),
                Err(error) if error.is_no_such_call() => Some(false),
                Err(_) => None,
            }
        };
        let (functions, key_manager) = tokio::join!(functions(&self.client, deadline), key_manager);
        self.know(functions.as_ref().ok().copied());
        let about = About { functions: functions.unwrap_or_default(), key_manager };
        self.remember(Ok(about));
        about
    }

    /// Its `/healthcheck`.
    pub(super) async fn health(&self, deadline: Instant) -> Result<Health, SignerError> {
        Health::of(get(&self.client, Route::Healthcheck, SHORT, deadline).await)
    }

    /// The keys that it lists.
    pub(super) async fn lists(&self, deadline: Instant) -> Result<Lists, Trouble> {
        let bls = || async { self.bls_keys(deadline).await.map_err(|error| self.trouble(&error, Route::Eth2Keys)) };
        let tls = || async { self.tls_keys(deadline).await.map_err(|error| self.trouble(&error, Route::Eth1Keys)) };
        Ok(match self.role {
            SignerRole::Both => {
                let (bls, tls) = tokio::try_join!(bls(), tls())?;
                Lists { bls, tls }
            }
            SignerRole::Eth2 => match bls().await? {
                Keys::NotServed => Lists { bls: Keys::NotServed, tls: tls().await? },
                bls @ (Keys::Listed(_) | Keys::Unknown) => Lists { bls, tls: Keys::Unknown },
            },
            SignerRole::Eth1 => match tls().await? {
                Keys::NotServed => Lists { bls: bls().await?, tls: Keys::NotServed },
                tls @ (Keys::Listed(_) | Keys::Unknown) => Lists { bls: Keys::Unknown, tls },
            },
        })
    }

    pub(super) async fn bls_keys(&self, deadline: Instant) -> Result<Keys<BlsPublicKey>, SignerError> {
        answer::bls_keys(list(&self.client, Route::Eth2Keys, deadline).await?).await.map(Keys::of)
    }

    pub(super) async fn tls_keys(&self, deadline: Instant) -> Result<Keys<TlsPublicKey>, SignerError> {
        answer::tls_keys(list(&self.client, Route::Eth1Keys, deadline).await?).await.map(Keys::of)
    }

    fn know(&self, functions: Option<Functions>) {
        *self.known_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.known.set(functions);
    }

    fn is_no_fresh(&self) -> bool {
        let since = *self.known_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < self.cache_time)
    }

    /// That it has a function was believed and turned out badly: another signer may listen there by now.
    pub(super) fn forget(&self) {
        self.known.set(None);
    }

    /// Whether it has a function beyond a stock Web3Signer, as last seen; if it was not looked at yet, it is asked.
    pub(super) async fn has(&self, function: Extension, deadline: Instant) -> Result<bool, SignerError> {
        // A yes holds until it turns out badly; a no for as long as the last look, since another signer may have come.
        if let Some(functions) = self.known.get()
            && (functions.contains(function) || self.is_no_fresh())
        {
            return Ok(functions.contains(function));
        }
        let functions = functions(&self.client, deadline).await?;
        self.know(Some(functions));
        Ok(functions.contains(function))
    }

    /// Until when a call that status needs may take.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.status_time
    }

    fn trouble(&self, error: &SignerError, route: Route) -> Trouble {
        self.trouble_of(error, &format!("GET {}", route.path()))
    }

    /// What the failure of the call `asked` says of this process.
    pub(super) fn trouble_of(&self, error: &SignerError, asked: &str) -> Trouble {
        Trouble::of(error, asked, self.client.url())
    }

    fn seen(&self, about: Result<About, Trouble>, health: Health, lists: Lists) -> Seen {
        let (state, why, about) = match about {
            Ok(about) => (SignerState::Answers, String::new(), about),
            Err(Trouble { state, why }) => (state, why, About::default()),
        };
        let process = SignerProcess {
            role: self.role,
            url: self.client.url().to_string(),
            state,
            why,
            serves_bls: lists.bls.is_served(),
            serves_tls: lists.tls.is_served(),
            keys: lists.count(),
            health: health.status,
            failed_keys: health.failed_keys,
            key_manager: about.key_manager,
        };
        Seen { process, lists, functions: about.functions }
    }
}
