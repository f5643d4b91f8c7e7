//! The public API of Web3Signer, row by row, asked of the real binary over HTTP: `web3signer.json` says what is
//! expected and from where, and in which rows this signer knowingly differs.

#[path = "../support/mod.rs"]
mod support;

mod shape;
mod table;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Reply, Signer};
use table::{Expect, Row, Table};

/// Keystore, password and key of the PBKDF2 vector of EIP-2335.
const KEYSTORE: &str = include_str!("eip2335.json");
const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";
const UNKNOWN_BLS: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const UNKNOWN_SECP256K1: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

/// The binary on a folder of its own, with a key of each kind.
struct Fresh {
    child: Child,
    signer: Signer,
    names: Vec<(&'static str, String)>,
    _folder: tempfile::TempDir,
}

impl Fresh {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_cryfttee-devsigner"))
            .args(["--listen", "127.0.0.1:0", "--keys"])
            .arg(folder.path().join("keys"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening on http://").expect("the line").parse();
        let signer = Signer::of_other_process(address.expect("an address"));
        let bls = signer.generate("bls");
        let keystore: Value = serde_json::from_str(KEYSTORE).expect("JSON");
        let interchange = json!({
            "metadata": { "interchange_format_version": "5", "genesis_validators_root": support::typed::root(0x99) },
            "data": [{ "pubkey": keystore["pubkey"], "signed_blocks": [{ "slot": "7" }], "signed_attestations": [] }],
        });
        let names = vec![
            ("{bls_digits}", bls[2..].to_owned()),
            ("{bls}", bls),
            ("{secp256k1}", signer.generate("secp256k1")),
            ("{unknown_bls}", UNKNOWN_BLS.to_owned()),
            ("{unknown_secp256k1}", UNKNOWN_SECP256K1.to_owned()),
            ("{keystore}", keystore.to_string()),
            ("{password}", PASSWORD.to_owned()),
            ("{interchange}", interchange.to_string()),
        ];
        Self { child, signer, names, _folder: folder }
    }

    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The body of a row: fragments and placeholders replaced.
    fn body(&self, table: &Table, body: &Value) -> String {
        if body == "$not_json" { "{".to_owned() } else { self.value(table, body).to_string() }
    }

    fn value(&self, table: &Table, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(name) => table.fragments.get(name).expect("a fragment").clone(),
                None => Value::String(self.fill(text)),
            },
            Value::Array(list) => list.iter().map(|value| self.value(table, value)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.value(table, value))).collect()
            }
            other => other.clone(),
        }
    }

    fn ask(&self, table: &Table, row: &Row) -> Reply {
        for step in &row.first {
            let reply = self.send(table, &step.method, &step.path, None, None, Some(&step.body));
            assert_eq!(reply.status, step.status, "{}: {} first: {}", row.name, step.path, reply.body);
        }
        self.send(table, &row.method, &row.path, row.host.as_deref(), row.accept.as_deref(), row.body.as_ref())
    }

    fn send(
        &self,
        table: &Table,
        method: &str,
        path: &str,
        host: Option<&str>,
        accept: Option<&str>,
        body: Option<&Value>,
    ) -> Reply {
        let mut headers = format!("Host: {}\r\n", host.unwrap_or("localhost"));
        if let Some(accept) = accept {
            headers += &format!("Accept: {accept}\r\n");
        }
        let body = body.map(|body| self.body(table, body));
        if body.is_some() {
            headers += "Content-Type: application/json\r\n";
        }
        let (path, body) = (self.fill(path), body.unwrap_or_default());
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        self.signer.raw(request.as_bytes())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is wrong with an answer, if anything.
fn complaint(reply: &Reply, expect: &Expect) -> Option<String> {
    if reply.status != expect.status {
        return Some(format!("status {} instead of {}: {}", reply.status, expect.status, reply.body));
    }
    let found = reply.header("content-type");
    if let Some(expected) = &expect.content_type {
        let kind = if expected.contains(';') { found } else { found.split(';').next().unwrap_or_default() };
        if kind != expected {
            return Some(format!("content type {found:?} instead of {expected:?}"));
        }
    }
    let value = match found.split(';').next() {
        Some("application/json") => match serde_json::from_str(&reply.body) {
            Ok(value) => value,
            Err(error) => return Some(format!("no JSON: {error}: {}", reply.body)),
        },
        _ => Value::String(reply.body.clone()),
    };
    let shape = expect.shape.as_ref()?;
    shape::mismatch(&value, shape).map(|what| format!("{what}: {}", reply.body))
}

#[test]
fn each_row_of_the_public_api_is_answered_as_it_says_or_as_it_is_said_to_differ() {
    let table = Table::read();
    let mut complaints = Vec::new();
    for row in &table.rows {
        let fresh = Fresh::start();
        let reply = fresh.ask(&table, row);
        let of_stock = complaint(&reply, &row.expect);
        let what = match &row.differs {
            None => of_stock,
            Some(_) if of_stock.is_none() => Some("it no longer differs: take the difference out".to_owned()),
            Some(differs) => complaint(&reply, &differs.expect),
        };
        complaints.extend(what.map(|what| format!("{}: {what}", row.name)));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_table_names_a_source_for_each_row_and_a_reason_for_each_difference() {
    let table = Table::read();
    let mut names = std::collections::BTreeSet::new();
    for row in &table.rows {
        assert!(names.insert(&row.name), "{} is there twice", row.name);
        assert!(table.sources.contains_key(&row.source), "{}: {}", row.name, row.source);
        assert!(row.differs.as_ref().is_none_or(|differs| differs.why.len() > 20), "{}", row.name);
    }
    for source in table.sources.keys() {
        assert!(table.rows.iter().any(|row| row.source == *source), "{source} is the source of nothing");
    }
}

#[test]
fn a_wrong_answer_is_complained_about() {
    let reply = |status, kind: &str, body: &str| Reply {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.to_owned(),
    };
    let expect = Expect {
        status: 200,
        content_type: Some("application/json".to_owned()),
        shape: Some(json!({ "signature": "hex:2" })),
    };
    let json = "application/json; charset=utf-8";
    assert_eq!(complaint(&reply(200, json, r#"{"signature":"0xabcd"}"#), &expect), None);
    for (status, kind, body) in [
        (201, json, r#"{"signature":"0xabcd"}"#),
        (200, "text/plain", r#"{"signature":"0xabcd"}"#),
        (200, json, r#"{"signature":"0xab"}"#),
        (200, json, "0xabcd"),
    ] {
        assert!(complaint(&reply(status, kind, body), &expect).is_some(), "{status} {kind} {body}");
    }
}
