//! Asks the processes of Web3Signer what the sidecar asks them, and no more: nothing is signed, made or reloaded.

use std::time::Duration;

use contract::wire::{SignerHealth, SignerProcess, SignerRole, SignerState, StakingStatus};
use contract::{BlsPublicKey, TlsPublicKey, defaults};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue};
use hyper::{Request, StatusCode};

use crate::config::Settings;
use crate::identity::KeyGeneration;
use crate::sidecar::tcp::{self, Tcp};
use crate::text::one_line;

/// For each answer.
const SOON: Duration = Duration::from_secs(3);
/// Ten thousand keys need 1.4 MiB.
const MAX: usize = 8 * 1024 * 1024;

/// Whether anybody listens there.
pub(super) async fn listens(urls: &[&str]) -> Vec<(String, Result<(), Fault>)> {
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
pub(super) async fn status(settings: &Settings) -> StakingStatus {
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
pub(super) struct Fault(pub(super) SignerState, pub(super) String);

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
    let heard = url.get("/healthcheck", JSON).await.ok();
    (asked.process.health, asked.process.failed_keys) = health(heard, asked.process.role);
    if generation == KeyGeneration::Import && asked.process.role != SignerRole::Eth1 {
        let (status, _) = url.get("/eth/v1/keystores", JSON).await?;
        asked.process.key_manager = match status {
            StatusCode::OK => Some(true),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Some(false),
            _ => None,
        };
    }
    if generation == KeyGeneration::Signer {
        let (status, body) = url.get("/ext/cryft/v1", JSON).await?;
        let functions = serde_json::from_slice::<Extensions>(&body).unwrap_or_default().functions;
        asked.generates = status == StatusCode::OK && functions.iter().any(|function| function == "generate");
    }
    Ok(())
}

/// What the sidecar makes of an answer of `/healthcheck`: 503 is one, and whoever is not heard is not healthy.
fn health(heard: Option<(StatusCode, Bytes)>, role: SignerRole) -> (SignerHealth, u64) {
    let unread = match &heard {
        Some((StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _)) => SignerHealth::Unknown,
        Some((StatusCode::SERVICE_UNAVAILABLE, _)) => SignerHealth::Down,
        Some(_) | None if role == SignerRole::Eth1 => SignerHealth::Unknown,
        Some(_) | None => SignerHealth::Unheard,
    };
    let read = match heard {
        Some((StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, body)) => serde_json::from_slice::<Health>(&body).ok(),
        Some(_) | None => None,
    };
    let Some(read) = read else { return (unread, 0) };
    let status = match read.status.as_str() {
        "UP" => SignerHealth::Up,
        "DOWN" => SignerHealth::Down,
        _ => unread,
    };
    (status, read.failed())
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
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    last = Fault(SignerState::Refused, "connection refused".to_owned());
                }
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
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_found_whatever_stands_around_it() {
        for (url, expected) in [
            ("http://localhost:9000", Some(("localhost", 9000, ""))),
            ("https://a:b@signer/x:1", Some(("signer", 443, "/x:1"))),
            ("http://[::1]:9000/", Some(("[::1]", 9000, ""))),
            ("http://[::1]", Some(("[::1]", 80, ""))),
            ("http://", None),
            ("http://x:99999", None),
        ] {
            let expected =
                expected.map(|(host, port, path)| Url { host: host.to_owned(), port, path: path.to_owned() });
            assert_eq!(Url::split(url), expected, "{url}");
        }
    }
}
