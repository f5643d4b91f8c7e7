//! What is wrong with the signer, in one sentence: by process and URL, with the cause and the next step. STATUS, `status`,
//! the journal, an error and `doctor` all say this one sentence.

#[cfg(test)]
mod tests;

use contract::wire::{SignerHealth, SignerProcess, SignerRole, SignerState, StakingStatus};
use contract::{BlsPublicKey, TlsPublicKey};

use crate::text;

/// The keys to look for. None of a kind: any key will do, but there has to be one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeKeys {
    /// The BLS key.
    pub bls: Option<BlsPublicKey>,
    /// The TLS key.
    pub tls: Option<TlsPublicKey>,
}

/// What keeps a node with these keys from signing; none if nothing does.
pub fn trouble(status: &StakingStatus, keys: &NodeKeys) -> Option<String> {
    let not_ready = || Some("the sidecar says that it is not ready to sign".to_owned());
    match (status.signers.is_empty(), status.web3signer_connected, status.ready) {
        (true, false, _) => return Some(away(status)),
        (true, true, false) => return not_ready(),
        (true, true, true) | (false, ..) => {}
    }
    joined(processes(status).iter().filter_map(|process| of_process(process, status, keys)))
        .map(|report| text::sanitise(&report))
        .or_else(|| if status.ready && status.web3signer_connected { None } else { not_ready() })
}

/// What keeps the sidecar from its signer at all, whichever keys are wanted; none if it answers.
pub fn unreached(status: &StakingStatus) -> Option<String> {
    if status.signers.is_empty() && !status.web3signer_connected {
        return Some(away(status));
    }
    let silent = status.signers.iter().filter(|process| process.state != SignerState::Answers);
    joined(silent.filter_map(|process| of_process(process, status, &NodeKeys::default())))
}

fn away(status: &StakingStatus) -> String {
    format!("Web3Signer does not answer at {}", without_secrets(&status.web3signer_url))
}

fn joined(troubles: impl Iterator<Item = String>) -> Option<String> {
    let troubles: Vec<String> = troubles.collect();
    (!troubles.is_empty()).then(|| troubles.join("; and "))
}

/// The URLs of the processes.
pub fn urls(status: &StakingStatus) -> String {
    let urls: Vec<String> = processes(status).iter().map(|process| without_secrets(&process.url)).collect();
    urls.join(" and ")
}

/// The processes of the signer. A sidecar that does not report them is taken to have one that serves both kinds.
pub fn processes(status: &StakingStatus) -> Vec<SignerProcess> {
    if !status.signers.is_empty() {
        return status.signers.clone();
    }
    let answers = status.web3signer_connected && status.ready;
    vec![SignerProcess {
        role: SignerRole::Both,
        url: status.web3signer_url.clone(),
        state: SignerState::Answers,
        why: String::new(),
        serves_bls: answers.then_some(true),
        serves_tls: answers.then_some(true),
        keys: (status.bls_pubkeys.len() + status.tls_pubkeys.len()) as u64,
        health: SignerHealth::Unknown,
        failed_keys: 0,
        key_manager: None,
    }]
}

/// Whether a process answers and lists no key at all, so that a reload can lose none.
pub fn lists_nothing(status: &StakingStatus) -> bool {
    status.signers.iter().any(|process| process.state == SignerState::Answers && process.keys == 0)
}

/// Whether a process says that it could not load all its keys: no key is made or adopted then.
pub const fn is_unhealthy(process: &SignerProcess) -> bool {
    let bad = match process.health {
        // Which keys are missing, nobody knows.
        SignerHealth::Down | SignerHealth::Unheard => true,
        SignerHealth::Up | SignerHealth::Unknown => false,
    };
    bad || process.failed_keys > 0
}

/// The URL of the first process that has something wrong, or of the first one.
pub fn url(status: &StakingStatus, keys: &NodeKeys) -> String {
    let processes = processes(status);
    let wrong = processes.iter().find(|process| of_process(process, status, keys).is_some());
    let url = wrong.or(processes.first()).map_or(&status.web3signer_url, |process| &process.url);
    without_secrets(url)
}

/// How a process is called: by what it is asked for and its URL.
pub fn name(process: &SignerProcess) -> String {
    let role = match process.role {
        SignerRole::Eth2 => "eth2",
        SignerRole::Eth1 => "eth1",
        SignerRole::Both => "Web3Signer",
    };
    format!("{role} at {}", without_secrets(&process.url))
}

fn of_process(process: &SignerProcess, status: &StakingStatus, keys: &NodeKeys) -> Option<String> {
    let why = |otherwise: &str| if process.why.is_empty() { otherwise.to_owned() } else { process.why.clone() };
    let name = name(process);
    match process.state {
        SignerState::Refused => Some(format!("{name} does not answer: {}", why("connection refused"))),
        SignerState::Unresolved => Some(format!("{name} does not answer: {}", why("its host name has no address"))),
        SignerState::TimedOut => Some(format!("{name} does not answer: {}", why("timed out"))),
        SignerState::Rejects => Some(format!("{name} rejects requests: {}", why("an error status"))),
        SignerState::Nonsense => Some(format!("{name} does not answer as Web3Signer does: {}", why("no HTTP"))),
        SignerState::Answers => {
            let lacks = lacks(process, status, keys);
            if lacks.is_empty() {
                return None;
            }
            let what: Vec<String> = lacks.iter().map(ToString::to_string).collect();
            Some(format!("{name} answers but {}; {}", what.join(" and "), cause(process, &lacks)))
        }
    }
}

/// What a process that answers lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Lack {
    /// The kind of key is another process's.
    NotServed(&'static str),
    /// Whether it serves the kind is not known yet.
    Unknown(&'static str),
    /// It lists no key of the kind.
    Empty(&'static str),
    /// It lists others, and not this one.
    Missing(&'static str, String),
    /// It lists keys, any of which would do, but not all that it should have.
    Incomplete,
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotServed(kind) => write!(f, "serves no {kind} keys"),
            Self::Unknown(kind) => write!(f, "does not list its {kind} keys yet"),
            Self::Empty(kind) => write!(f, "lists no {kind} key"),
            Self::Missing(kind, key) => write!(f, "does not list the {kind} key {key}"),
            Self::Incomplete => f.write_str("does not say that it has loaded all its keys, so none is made or adopted"),
        }
    }
}

fn lacks(process: &SignerProcess, status: &StakingStatus, keys: &NodeKeys) -> Vec<Lack> {
    let bls = || lack("BLS", process.serves_bls, &status.bls_pubkeys, keys.bls);
    let tls = || lack("TLS", process.serves_tls, &status.tls_pubkeys, keys.tls);
    let mut lacks: Vec<Lack> = match process.role {
        SignerRole::Eth2 => bls().into_iter().collect(),
        SignerRole::Eth1 => tls().into_iter().collect(),
        SignerRole::Both => bls().into_iter().chain(tls()).collect(),
    };
    let any_will_do = keys.bls.is_none() || keys.tls.is_none();
    if lacks.is_empty() && any_will_do && is_unhealthy(process) {
        lacks.push(Lack::Incomplete);
    }
    lacks
}

fn lack<K: PartialEq + ToString>(
    kind: &'static str,
    served: Option<bool>,
    listed: &[K],
    key: Option<K>,
) -> Option<Lack> {
    match (served, key) {
        (Some(false), _) => Some(Lack::NotServed(kind)),
        (None, _) => Some(Lack::Unknown(kind)),
        (Some(true), _) if listed.is_empty() => Some(Lack::Empty(kind)),
        (Some(true), Some(key)) if !listed.contains(&key) => Some(Lack::Missing(kind, key.to_string())),
        (Some(true), Some(_) | None) => None,
    }
}

/// The likely cause, and what to do about it.
fn cause(process: &SignerProcess, lacks: &[Lack]) -> String {
    const VAULT: &str = "is Vault sealed? Mend that, then POST /reload to it";
    if process.failed_keys > 0 {
        let files = if process.failed_keys == 1 { "key file" } else { "key files" };
        return format!("{} {files} failed to load; {VAULT}", process.failed_keys);
    }
    if process.health == SignerHealth::Down {
        let why = if process.why.is_empty() { String::new() } else { format!(": {}", process.why) };
        return format!("its /healthcheck is DOWN{why}; {VAULT}");
    }
    if process.health == SignerHealth::Unheard {
        return "GET /healthcheck gives no answer: see its log (is its database there?), or let the path through"
            .to_owned();
    }
    let is = |wanted: fn(&Lack) -> bool| lacks.iter().any(wanted);
    if is(|lack| matches!(lack, Lack::NotServed(_))) {
        return "is it the other process of Web3Signer, or a proxy without that path?".to_owned();
    }
    if is(|lack| matches!(lack, Lack::Missing(..))) {
        return "restore the key file there (is Vault sealed?), then POST /reload to it".to_owned();
    }
    if is(|lack| *lack == Lack::Empty("TLS")) {
        return "put a secp256k1 key file into its key directory (or unseal Vault), then POST /reload to it".to_owned();
    }
    if is(|lack| *lack == Lack::Empty("BLS")) {
        return format!("is its key directory empty, or {VAULT}");
    }
    if process.why.is_empty() { "it is asked again".to_owned() } else { process.why.clone() }
}

/// A URL as everybody may read it: without user, password and query.
pub fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}
