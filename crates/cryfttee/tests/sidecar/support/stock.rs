//! A stock Web3Signer 26.4.2, as far as the sidecar asks it: which form of an answer it has on which route, and what it
//! says to everything else.

use super::client::header;
use super::signer::{FakeSigner, Got, Reply, signature};
use super::{BLS, TLS_64};

/// Which process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Eth2,
    Eth1,
}

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// A process with one key.
pub(crate) async fn stock(process: Process) -> FakeSigner {
    FakeSigner::start(move |got| answer(process, got)).await
}

/// The same, but for the requests that `script` has an answer to.
pub(crate) async fn stock_but(
    process: Process,
    script: impl Fn(&Got) -> Option<Reply> + Send + Sync + 'static,
) -> FakeSigner {
    FakeSigner::start(move |got| script(got).unwrap_or_else(|| answer(process, got))).await
}

pub(crate) fn answer(process: Process, got: &Got) -> Reply {
    let keys = |kind: Process, list: String| match kind == process {
        true => served(process, got, JSON, &["application/json"], list),
        false => no_such_path(),
    };
    match (got.method.as_str(), got.path.as_str()) {
        ("GET", "/upcheck") => served(process, got, TEXT, &["text/plain"], "OK".to_owned()),
        ("GET", "/healthcheck") => Reply::Http(200, "application/json;charset=UTF-8", HEALTHY.to_owned()),
        ("GET", "/api/v1/eth2/publicKeys") => keys(Process::Eth2, format!("[\"{BLS}\"]")),
        ("GET", "/api/v1/eth1/publicKeys") => keys(Process::Eth1, format!("[\"{TLS_64}\"]")),
        ("POST", path) if path.starts_with("/api/v1/eth2/sign/") && process == Process::Eth2 => {
            let json = header(&got.head, "accept").is_some_and(|accept| ["*/*", "application/json"].contains(&accept));
            match json {
                true => Reply::Http(200, JSON, signature(96)),
                false => Reply::Http(200, TEXT, format!("0x{}", "ab".repeat(96))),
            }
        }
        ("POST", path) if path.starts_with("/api/v1/eth1/sign/") && process == Process::Eth1 => {
            Reply::Http(200, TEXT, format!("0x{}", "cd".repeat(65)))
        }
        ("GET", "/eth/v1/keystores") if process == Process::Eth2 => Reply::Http(
            200,
            JSON,
            format!(r#"{{"data":[{{"validating_pubkey":"{BLS}","derivation_path":null,"readonly":true}}]}}"#),
        ),
        ("POST", "/eth/v1/keystores") if process == Process::Eth2 && got.body.contains("\"keystores\"") => {
            Reply::Http(200, JSON, r#"{"data":[{"status":"imported","message":null}]}"#.to_owned())
        }
        ("POST", "/eth/v1/keystores") if process == Process::Eth2 => Reply::Http(400, JSON, "Bad Request".to_owned()),
        ("POST", "/reload") => {
            let (accepted, body) = (&["application/json"], r#"{"status":"accepted","message":"Reload"}"#.to_owned());
            match served(process, got, JSON, accepted, body) {
                Reply::Http(200, kind, body) => Reply::Http(202, kind, body),
                refused => refused,
            }
        }
        _ => no_such_path(),
    }
}

/// The form that the route has, to whoever takes it; a handler that has none is not found by `eth1`.
fn served(process: Process, got: &Got, kind: &'static str, forms: &[&str], body: String) -> Reply {
    match header(&got.head, "accept") {
        None | Some("*/*") => Reply::Http(200, kind, body),
        Some(accept) if forms.contains(&accept) => Reply::Http(200, kind, body),
        Some(_) if process == Process::Eth2 => Reply::Http(406, "", String::new()),
        Some(_) => no_such_path(),
    }
}

pub(crate) fn no_such_path() -> Reply {
    Reply::Http(404, "text/html; charset=utf-8", "<html><body><h1>Resource not found</h1></body></html>".to_owned())
}

const HEALTHY: &str = r#"{"status":"UP","checks":[{"id":"default-check","status":"UP"},{"id":"keys-check","status":"UP","checks":[{"id":"config-files-loading","status":"UP","data":{"keys-loaded":1,"error-count":0}}]}],"outcome":"UP"}"#;

/// `/healthcheck` of a process that could not load so many of its key files.
pub(crate) fn unhealthy(failed: u32) -> Reply {
    let body = HEALTHY.replace("UP", "DOWN").replace("\"error-count\":0", &format!("\"error-count\":{failed}"));
    Reply::Http(503, "application/json;charset=UTF-8", body)
}
