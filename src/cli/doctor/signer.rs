//! The signer, asked as the sidecar asks it, and judged as a start judges it: whether its processes answer, which keys they
//! list, whether those of this node are among them.

use contract::wire::{SignerProcess, StakingStatus};

use super::Check;
use super::ask::{self, Fault};
use crate::config::Settings;
use crate::identity::{self, Decision, KeyGeneration, Records, SignerFault, WantedKeys};
use crate::signer_report::{self, is_unhealthy, name, processes};
use crate::text::one_line;

const NAME: &str = "signer";

/// What was found.
pub(super) struct Found {
    seen: Seen,
    /// Which keys are the node's; or why that is not known.
    wanted: Result<WantedKeys, Unknown>,
    generation: KeyGeneration,
}

/// What the processes answered.
enum Seen {
    /// As the sidecar would report it.
    Status(StakingStatus),
    /// Of a URL with TLS, whether anybody listens: the sidecar alone has what it needs to ask more.
    Listens(Vec<(String, Result<(), Fault>)>),
    /// Nobody could be asked.
    Nothing(String),
}

/// Why it is not known which keys are the node's.
enum Unknown {
    /// What is saved cannot be read.
    Unread(String),
    /// What is saved and what is configured differ.
    Differ(String),
}

impl Found {
    pub(super) fn gather(settings: &Settings) -> Self {
        let urls: Vec<&str> = [Some(&settings.web3signer_url), settings.sidecar.web3signer_eth1_url.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let tls = urls.iter().any(|url| url.starts_with("https:"));
        let seen = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) if tls => Seen::Listens(runtime.block_on(ask::listens(&urls))),
            Ok(runtime) => Seen::Status(runtime.block_on(ask::status(settings))),
            Err(error) => Seen::Nothing(error.to_string()),
        };
        let wanted = match Records::at(&settings.identity_dir).load() {
            Ok(saved) => {
                WantedKeys::of(&saved, &settings.chosen_keys).map_err(|error| Unknown::Differ(error.to_string()))
            }
            Err(error) => Err(Unknown::Unread(one_line(&error))),
        };
        Self { seen, wanted, generation: settings.sidecar.key_generation }
    }

    /// The judgement.
    pub(super) fn check(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let wanted = match &self.wanted {
            Ok(wanted) => *wanted,
            Err(Unknown::Differ(why)) => {
                checks.push(Check::wrong(
                    "identity",
                    why.as_str(),
                    "correct identity.bls_pubkey or identity.tls_pubkey",
                ));
                return checks;
            }
            Err(Unknown::Unread(why)) => {
                checks.push(Check::warning(
                    "identity",
                    format!("which keys are saved is not known: {why}"),
                    "run this as root",
                ));
                WantedKeys { bls: identity::Wanted::Any, tls: identity::Wanted::Any }
            }
        };
        match &self.seen {
            Seen::Status(status) => checks.push(judge(status, &wanted, self.generation)),
            Seen::Listens(urls) => checks.extend(urls.iter().map(|(url, listens)| judge_listening(url, listens))),
            Seen::Nothing(why) => {
                checks.push(Check::warning(NAME, format!("it cannot be asked: {why}"), "run this again"))
            }
        }
        checks
    }
}

const AWAY: &str = "start Web3Signer, or set web3signer.url and web3signer.eth1_url; on another host, the unit also needs \
                    IPAddressAllow=, and Web3Signer --http-host-allowlist=";

fn judge_listening(url: &str, listens: &Result<(), Fault>) -> Check {
    let url = signer_report::without_secrets(url);
    match listens {
        Ok(()) => Check::ok(NAME, format!("{url} listens; over TLS it is not asked for more here")),
        Err(Fault(_, why)) => Check::wrong(NAME, format!("{url} does not answer: {why}"), AWAY),
    }
}

fn judge(status: &StakingStatus, wanted: &WantedKeys, generation: KeyGeneration) -> Check {
    const KEYS: &str =
        "the log of Web3Signer has a line for each key file that failed; when that is mended: POST /reload to it";
    const SETTING: &str = "set it in /etc/cryftgo-tee/conf.d/, then systemctl restart cryftgo-tee";
    let wrong = |fault: &SignerFault| {
        let fix = match fault {
            SignerFault::Away { .. } => AWAY,
            SignerFault::Unhealthy { .. } | SignerFault::NoKey { .. } | SignerFault::Key { .. } => KEYS,
            SignerFault::Incapable { .. } | SignerFault::Misconfigured(_) | SignerFault::Contradiction(_) => SETTING,
        };
        Check::wrong(NAME, one_line(fault), fix)
    };
    match identity::decide(status, wanted, generation) {
        // What was not loaded is not this node's, or it is another one's loss.
        Decision::Go(_) if processes(status).iter().any(is_unhealthy) => {
            Check::warning(NAME, well(status, wanted), KEYS)
        }
        Decision::Go(_) => Check::ok(NAME, well(status, wanted)),
        Decision::Wait { after, .. } => wrong(&after),
        Decision::Never(never) => wrong(&never.into()),
        Decision::Refuse(fault) => wrong(&fault),
    }
}

fn well(status: &StakingStatus, wanted: &WantedKeys) -> String {
    let plural = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    let of = |process: &SignerProcess| {
        let failed = match process.failed_keys {
            0 => String::new(),
            failed => format!("; {} failed to load", plural(failed, "key file")),
        };
        format!("{} answers and lists {}{failed}", name(process), plural(process.keys, "key"))
    };
    let each: Vec<String> = processes(status).iter().map(of).collect();
    let known = wanted.bls.key().is_some() && wanted.tls.key().is_some();
    let ours = if known { "; the node's are among them" } else { "" };
    format!("{}{ours}", each.join("; "))
}

#[cfg(test)]
mod tests;
