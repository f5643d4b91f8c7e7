use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use super::super::Outcome;
use super::*;
use crate::config::CommandLine;

const BLS: &str = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
/// As a stock signer lists it: 64 bytes, without the `04`.
const TLS: &str = "0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
const UP: &str = r#"{"status":"UP","checks":[{"id":"keys-check","status":"UP","checks":[{"id":"config-files-loading","status":"UP","data":{"keys-loaded":10,"error-count":0}}]}],"outcome":"UP"}"#;
const DOWN: &str = r#"{"status":"DOWN","checks":[{"id":"default-check","status":"UP"},{"id":"keys-check","status":"DOWN","checks":[{"id":"config-files-loading","status":"DOWN","data":{"keys-loaded":0,"error-count":3}}]}],"outcome":"DOWN"}"#;

/// A process that answers by path and `Accept`, as stock does: 406 for JSON from `/upcheck`, 404 for the other kind.
#[derive(Clone)]
struct Stock {
    upcheck: u16,
    eth2: Option<&'static str>,
    eth1: Option<&'static str>,
    health: (u16, &'static str),
    key_manager: bool,
}

const ETH2: Stock = Stock { upcheck: 200, eth2: Some("BLS"), eth1: None, health: (200, UP), key_manager: false };
const ETH1: Stock = Stock {
    upcheck: 200,
    eth2: None,
    eth1: Some("TLS"),
    health: (200, r#"{"status":"UP","checks":[],"outcome":"UP"}"#),
    key_manager: false,
};

impl Stock {
    fn answer(&self, path: &str, accept: &str) -> (u16, String) {
        let list = |keys: Option<&str>| match keys {
            Some("") => (200, "[]".to_owned()),
            Some("BLS") => (200, format!("[\"{BLS}\"]")),
            Some("TLS") => (200, format!("[\"{TLS}\"]")),
            Some(text) => (200, text.to_owned()),
            None => (404, "<html>".to_owned()),
        };
        match (path, accept) {
            ("/upcheck", "*/*") => (self.upcheck, "OK".to_owned()),
            ("/upcheck", _) => (406, String::new()),
            (_, "*/*") => (500, "a list wants JSON".to_owned()),
            ("/api/v1/eth2/publicKeys", _) => list(self.eth2),
            ("/api/v1/eth1/publicKeys", _) => list(self.eth1),
            ("/healthcheck", _) => (self.health.0, self.health.1.to_owned()),
            ("/eth/v1/keystores", _) if self.key_manager => (200, "{\"data\":[]}".to_owned()),
            _ => (404, "<html>".to_owned()),
        }
    }

    fn serve(self, asked: &Arc<Mutex<Vec<String>>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let address = listener.local_addr().expect("address");
        let asked = Arc::clone(asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("accept"));
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).expect("read");
                    if line.trim().is_empty() {
                        break;
                    }
                    lines.push(line.trim().to_ascii_lowercase());
                }
                let path = lines[0].split(' ').nth(1).expect("a path").to_owned();
                let path = if path.contains("publickeys") { path.replace("publickeys", "publicKeys") } else { path };
                let accept = lines.iter().find_map(|line| line.strip_prefix("accept: ")).unwrap_or_default().to_owned();
                let (status, body) = self.answer(&path, &accept);
                asked.lock().expect("no panic").push(format!("{path} {accept}"));
                let head = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n");
                let chunk = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
                let _ = stream.get_mut().write_all(format!("{head}{chunk}0\r\n\r\n").as_bytes());
            }
        });
        address
    }
}

/// What doctor says of these two, with what it asked.
fn checked(eth2: Stock, eth1: Option<Stock>, flags: &[(&'static str, &str)]) -> (Vec<Check>, Vec<String>) {
    let asked = Arc::default();
    let mut flags: Vec<(&'static str, String)> = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    flags.push(("web3signer.url", format!("http://{}", eth2.serve(&asked))));
    flags.extend(eth1.map(|eth1| ("web3signer.eth1_url", format!("http://{}", eth1.serve(&asked)))));
    flags.push(("identity.state_dir", "/nonexistent".to_owned()));
    let command_line = CommandLine { file: Some("/dev/null".into()), flags: flags.into_iter().collect() };
    let settings = Settings::load_with(&command_line, |_| Ok(None)).expect("good settings");
    let checks = Found::gather(&settings).check();
    let asked = asked.lock().expect("no panic").clone();
    (checks, asked)
}

#[test]
fn two_stock_processes_are_well_and_each_is_asked_with_the_accept_that_it_takes() {
    let (checks, mut asked) = checked(ETH2, Some(ETH1), &[]);
    assert!(matches!(&checks[..], [check] if check.outcome == Outcome::Ok), "{checks:?}");
    assert!(checks[0].text.contains("eth2 at http://127.0.0.1:") && checks[0].text.contains("eth1 at"), "{checks:?}");
    assert_eq!(checks[0].text.matches("answers and lists 1 key").count(), 2, "{checks:?}");
    asked.sort();
    asked.dedup();
    for line in ["/upcheck */*", "/api/v1/eth2/publicKeys application/json", "/healthcheck application/json"] {
        assert!(asked.iter().any(|found| found == line), "{line}: {asked:?}");
    }
}

#[test]
fn what_is_wrong_with_a_process_is_named_with_the_next_step() {
    let import = [("web3signer.key_generation", "import")];
    let missing = [("identity.tls_pubkey", "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")];
    type Flags<'a> = &'a [(&'static str, &'a str)];
    let table: [(Stock, Option<Stock>, Flags<'_>, &str, &str); 12] = [
        (Stock { upcheck: 406, ..ETH2 }, Some(ETH1), &[], "eth2 at", "406 Not Acceptable to GET /upcheck"),
        (ETH2, Some(Stock { upcheck: 403, ..ETH1 }), &[], "eth1 at", "--http-host-allowlist"),
        (Stock { eth2: Some("nonsense"), ..ETH2 }, Some(ETH1), &[], "eth2 at", "gives no list"),
        (Stock { eth2: Some("[\"0x12\"]"), ..ETH2 }, Some(ETH1), &[], "eth2 at", "no public key"),
        (Stock { eth2: Some(""), ..ETH2 }, Some(ETH1), &[], "eth2 at", "lists no BLS key"),
        (
            ETH2,
            Some(Stock { eth1: Some(""), ..ETH1 }),
            &[],
            "eth1 at",
            "put a secp256k1 key file into its key directory",
        ),
        (
            Stock { eth2: Some(""), health: (503, DOWN), ..ETH2 },
            Some(ETH1),
            &[],
            "eth2 at",
            "3 key files failed to load",
        ),
        (Stock { health: (503, DOWN), ..ETH2 }, Some(ETH1), &[], "eth2 at", "3 key files failed to load"),
        (ETH1, Some(ETH2), &[], "web3signer.url (http://127.0.0.1:", "swap web3signer.url and web3signer.eth1_url"),
        (ETH2, None, &[], "web3signer.url (http://127.0.0.1:", "set web3signer.eth1_url to the eth1 process"),
        (Stock { eth2: Some(""), ..ETH2 }, Some(ETH1), &import, "eth2 at", "--key-manager-api-enabled=true"),
        (ETH2, Some(ETH1), &missing, "eth1 at", "does not list the TLS key 0x02c6047f"),
    ];
    for (eth2, eth1, flags, process, wrong) in table {
        let (checks, _) = checked(eth2, eth1, flags);
        let [check] = &checks[..] else { panic!("{wrong}: {checks:?}") };
        assert_eq!(check.outcome, Outcome::Wrong, "{wrong}: {check:?}");
        assert!(check.text.contains(process) && check.text.contains(wrong), "{process} {wrong}: {check:?}");
        assert!(check.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "{check:?}");
    }
}

#[test]
fn an_import_into_an_empty_process_with_a_key_manager_is_well() {
    let eth2 = Stock { eth2: Some(""), key_manager: true, ..ETH2 };
    let (checks, _) = checked(eth2, Some(ETH1), &[("web3signer.key_generation", "import")]);
    assert!(matches!(&checks[..], [check] if check.outcome == Outcome::Ok), "{checks:?}");
}

#[test]
fn nobody_at_an_address_and_no_such_name_are_told_apart_and_a_password_is_not_shown() {
    for (url, why) in [
        ("http://user:word@127.0.0.1:1", "127.0.0.1:1 does not answer: connection refused"),
        ("https://user:word@127.0.0.1:1", "127.0.0.1:1 does not answer: connection refused"),
        ("http://user:word@name.invalid", "does not answer"),
    ] {
        let flags = vec![("web3signer.url", url.to_owned()), ("identity.state_dir", "/nonexistent".to_owned())];
        let command_line = CommandLine { file: Some("/dev/null".into()), flags: flags.into_iter().collect() };
        let settings = Settings::load_with(&command_line, |_| Ok(None)).expect("good settings");
        let checks = Found::gather(&settings).check();
        let [check] = &checks[..] else { panic!("{checks:?}") };
        assert!(check.outcome == Outcome::Wrong && check.text.contains(why), "{check:?}");
        assert!(!check.text.contains("word"), "{check:?}");
    }
}

#[test]
fn key_files_that_failed_and_are_not_the_nodes_are_to_consider() {
    let ours = [("identity.bls_pubkey", BLS), ("identity.tls_pubkey", TLS)];
    let (checks, _) = checked(Stock { health: (503, DOWN), ..ETH2 }, Some(ETH1), &ours);
    let [check] = &checks[..] else { panic!("{checks:?}") };
    assert!(check.outcome == Outcome::Warning && check.text.contains("3 key files failed to load"), "{check:?}");
    assert!(check.text.contains("the node's are among them"), "{check:?}");
}
