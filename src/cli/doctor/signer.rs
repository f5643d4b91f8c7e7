//! The signer, asked as the sidecar asks it, and judged as a start judges it: whether its processes answer, which keys they
//! list, whether those of this node are among them.

use std::time::Duration;

use contract::wire::{SignerHealth, SignerProcess, SignerRole, SignerState, StakingStatus};
use contract::{BlsPublicKey, TlsPublicKey, defaults};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue};
use hyper::{Request, StatusCode};

use super::Check;
use crate::config::{KeyGeneration, Settings};
use crate::error::one_line;
use crate::identity::{self, Decision, Records, SignerFault, WantedKeys};
use crate::sidecar::tcp::{self, Tcp};
use crate::signer_report::{self, name, processes};

const NAME: &str = "signer";
/// For each answer.
const SOON: Duration = Duration::from_secs(3);
/// Ten thousand keys need 1.4 MiB.
const MAX: usize = 8 * 1024 * 1024;

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
            Ok(runtime) if tls => Seen::Listens(runtime.block_on(listens(&urls))),
            Ok(runtime) => Seen::Status(runtime.block_on(status(settings))),
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
        Decision::Go(_) => Check::ok(NAME, well(status, wanted)),
        Decision::Wait { after, .. } => wrong(&after),
        Decision::Never(never) => wrong(&never.into()),
        Decision::Refuse(fault) => wrong(&fault),
    }
}

fn well(status: &StakingStatus, wanted: &WantedKeys) -> String {
    let each: Vec<String> = processes(status)
        .iter()
        .map(|process| match process.keys {
            1 => format!("{} answers and lists 1 key", name(process)),
            keys => format!("{} answers and lists {keys} keys", name(process)),
        })
        .collect();
    let known = wanted.bls.key().is_some() && wanted.tls.key().is_some();
    let ours = if known { "; the node's are among them" } else { "" };
    format!("{}{ours}", each.join("; "))
}

async fn listens(urls: &[&str]) -> Vec<(String, Result<(), Fault>)> {
    let mut found = Vec::new();
    for url in urls {
        let listens = async { Url::parse(url)?.connect().await.map(drop) };
        let late = || Fault(SignerState::TimedOut, format!("no connection within {SOON:?}"));
        let listens = tokio::time::timeout(SOON, listens).await.unwrap_or_else(|_| Err(late()));
        found.push(((*url).to_owned(), listens));
    }
    found
}

/// What the sidecar would report.
async fn status(settings: &Settings) -> StakingStatus {
    let generation = settings.sidecar.key_generation;
    let eth2 = settings.web3signer_url.as_str();
    let asked = match settings.sidecar.web3signer_eth1_url.as_deref() {
        None => vec![look(SignerRole::Both, eth2, generation).await],
        Some(eth1) => {
            let (eth2, eth1) =
                tokio::join!(look(SignerRole::Eth2, eth2, generation), look(SignerRole::Eth1, eth1, generation));
            vec![eth2, eth1]
        }
    };
    let answers = asked.iter().all(|asked| asked.process.state == SignerState::Answers);
    let makes_keys = match generation {
        KeyGeneration::Off => false,
        KeyGeneration::Import => asked.iter().any(|asked| asked.process.key_manager == Some(true)),
        KeyGeneration::Signer => asked.iter().all(|asked| asked.generates),
    };
    let able = |name: &&str| *name != defaults::CAN_MAKE_KEYS || makes_keys;
    StakingStatus {
        ready: answers,
        web3signer_url: eth2.to_owned(),
        web3signer_connected: answers,
        bls_pubkeys: asked.iter().filter(|a| a.process.role != SignerRole::Eth1).flat_map(|a| a.bls.clone()).collect(),
        tls_pubkeys: asked.iter().filter(|a| a.process.role != SignerRole::Eth2).flat_map(|a| a.tls.clone()).collect(),
        module_version: String::new(),
        capabilities: defaults::CAPABILITIES.into_iter().filter(able).map(str::to_owned).collect(),
        signers: asked.into_iter().map(|asked| asked.process).collect(),
    }
}

/// What one process answered.
struct Asked {
    process: SignerProcess,
    bls: Vec<BlsPublicKey>,
    tls: Vec<TlsPublicKey>,
    /// Whether it makes keys, as no stock one does.
    generates: bool,
}

/// Why a process is no use.
struct Fault(SignerState, String);

async fn look(role: SignerRole, url: &str, generation: KeyGeneration) -> Asked {
    let process = SignerProcess {
        role,
        url: url.to_owned(),
        state: SignerState::Answers,
        why: String::new(),
        serves_bls: None,
        serves_tls: None,
        keys: 0,
        health: SignerHealth::Unknown,
        failed_keys: 0,
        key_manager: None,
    };
    let mut asked = Asked { process, bls: Vec::new(), tls: Vec::new(), generates: false };
    if let Err(Fault(state, why)) = ask_all(&mut asked, generation).await {
        (asked.process.state, asked.process.why) = (state, why);
    }
    asked
}

async fn ask_all(asked: &mut Asked, generation: KeyGeneration) -> Result<(), Fault> {
    const JSON: &str = "application/json";
    let url = Url::parse(&asked.process.url)?;
    // A stock Web3Signer has this as text alone, and 406 for whoever asks for something else.
    url.good("/upcheck", "*/*").await?;
    let bls: Option<Vec<String>> = url.list("/api/v1/eth2/publicKeys").await?;
    let tls: Option<Vec<String>> = url.list("/api/v1/eth1/publicKeys").await?;
    (asked.process.serves_bls, asked.process.serves_tls) = (Some(bls.is_some()), Some(tls.is_some()));
    let no_key = |text: &String| Fault(SignerState::Nonsense, format!("it lists {text:?}, which is no public key"));
    for text in bls.iter().flatten() {
        asked.bls.push(BlsPublicKey::normalise(text).map_err(|_| no_key(text))?);
    }
    for text in tls.iter().flatten() {
        asked.tls.push(TlsPublicKey::normalise(text).map_err(|_| no_key(text))?);
    }
    asked.process.keys = (asked.bls.len() + asked.tls.len()) as u64;
    let (status, body) = url.get("/healthcheck", JSON).await?;
    if let Ok(health) = serde_json::from_slice::<Health>(&body)
        && matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE)
    {
        asked.process.health = match health.status.as_str() {
            "UP" => SignerHealth::Up,
            "DOWN" => SignerHealth::Down,
            _ => SignerHealth::Unknown,
        };
        asked.process.failed_keys = health.failed();
    }
    if generation == KeyGeneration::Import && asked.process.role != SignerRole::Eth1 {
        let (status, _) = url.get("/eth/v1/keystores", JSON).await?;
        asked.process.key_manager = Some(status == StatusCode::OK);
    }
    if generation == KeyGeneration::Signer {
        let (status, body) = url.get("/ext/cryft/v1", JSON).await?;
        let functions = serde_json::from_slice::<Extensions>(&body).unwrap_or_default().functions;
        asked.generates = status == StatusCode::OK && functions.iter().any(|function| function == "generate");
    }
    Ok(())
}

/// `/healthcheck`, and each check in it, which may have checks of its own.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Health {
    status: String,
    checks: Vec<Health>,
    data: HealthData,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct HealthData {
    error_count: u64,
}

impl Health {
    /// How many key files could not be loaded. serde_json bounds how deep they are nested.
    fn failed(&self) -> u64 {
        self.checks.iter().map(Self::failed).fold(self.data.error_count, u64::saturating_add)
    }
}

/// `/ext/cryft/v1`.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Extensions {
    functions: Vec<String>,
}

/// Where a process is.
#[derive(Debug, PartialEq, Eq)]
struct Url {
    host: String,
    port: u16,
    path: String,
}

impl Url {
    fn parse(url: &str) -> Result<Self, Fault> {
        let no_host = || Fault(SignerState::Unresolved, "its URL has no host".to_owned());
        Self::split(url).ok_or_else(no_host)
    }

    /// `https://user:word@host:9000/path` → host, 9000, `/path`.
    fn split(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split(['?', '#']).next()?.split_once("://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let authority = authority.rsplit('@').next()?;
        let standard = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address are within brackets.
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (authority, standard),
        };
        let path = path.trim_end_matches('/').to_owned();
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port, path })
    }

    /// A list of keys; none if this process does not serve that kind.
    async fn list(&self, path: &str) -> Result<Option<Vec<String>>, Fault> {
        match self.get(path, "application/json").await? {
            (StatusCode::OK, body) => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|_| Fault(SignerState::Nonsense, format!("GET {path} gives no list"))),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(rejected(status, path)),
        }
    }

    async fn good(&self, path: &str, accept: &'static str) -> Result<(), Fault> {
        match self.get(path, accept).await? {
            (StatusCode::OK, _) => Ok(()),
            (status, _) => Err(rejected(status, path)),
        }
    }

    async fn get(&self, path: &str, accept: &'static str) -> Result<(StatusCode, Bytes), Fault> {
        match tokio::time::timeout(SOON, self.get_without_limit(path, accept)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault(SignerState::TimedOut, format!("GET {path}: no answer within {SOON:?}"))),
        }
    }

    async fn get_without_limit(&self, path: &str, accept: &'static str) -> Result<(StatusCode, Bytes), Fault> {
        let nonsense =
            |error: &dyn std::error::Error| Fault(SignerState::Nonsense, format!("GET {path}: {}", one_line(error)));
        let (mut sender, connection) =
            http1::handshake(Tcp::new(self.connect().await?)).await.map_err(|error| nonsense(&error))?;
        let connection = tokio::spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = format!("{}{path}", self.path)
            .parse()
            .map_err(|_| Fault(SignerState::Unresolved, "its URL has no good path".to_owned()))?;
        let host = HeaderValue::from_str(&format!("{}:{}", self.host, self.port));
        let host = host.map_err(|_| Fault(SignerState::Unresolved, "its URL has no good host".to_owned()))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let response = sender.send_request(request).await.map_err(|error| nonsense(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX).collect().await;
        connection.abort();
        Ok((status, body.map_err(|error| nonsense(&*error))?.to_bytes()))
    }

    async fn connect(&self) -> Result<tokio::net::TcpStream, Fault> {
        let name = self.host.trim_matches(['[', ']']);
        let addresses = tokio::net::lookup_host((name, self.port)).await;
        let addresses = addresses.map_err(|error| Fault(SignerState::Unresolved, error.to_string()))?;
        let mut last = Fault(SignerState::Unresolved, "its host name has no address".to_owned());
        for address in addresses {
            match tcp::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Fault(SignerState::Refused, format!("{address}: {error}")),
            }
        }
        Err(last)
    }
}

fn rejected(status: StatusCode, path: &str) -> Fault {
    let hint = if status == StatusCode::FORBIDDEN {
        "; add the host name of the URL to --http-host-allowlist of Web3Signer"
    } else {
        ""
    };
    Fault(SignerState::Rejects, format!("{status} to GET {path}{hint}"))
}

#[cfg(test)]
mod tests;
