//! The real binary on a directory of its own, as a row of the table asks for it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use cryfttee_devsigner::keys::{Curve, SecretBytes};
use cryfttee_devsigner::keystore::{Keystore, Password};
use serde_json::{Value, json};

use crate::support::{self, Reply, Signer};
use crate::table::{Row, Step, Table};

/// The keys of the two key files, of the secret 7, as both libraries know them.
const BLS: &str = "0xb928f3beb93519eecf0145da903b40a4c97dca00b21f12ac0df3be9116ef2ef27b2ae6bcd4c5bc2d54ef5a70627efcb7";
const SECP256K1: &str = "0x5cbdf0646e5db4eaa398f365f2ea7a0e3d419b7e0330e39ce92bddedcac4f9bc6aebca40ba255960a3178d6d861a54dba813d0b813fde7b5a5082628087264da";
const ADDRESS_DIGITS: &str = "d41c057fd1c78805aac12b0a94a405c0461a6fbb";
const UNKNOWN_BLS: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const UNKNOWN_SECP256K1: &str = "0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
/// The key of the vectors of EIP-2335, under another password and at a cost that every row can pay.
const IMPORTED: &str =
    "0x9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07";
const IMPORTED_SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
const PASSWORD: &str = "pässword";
/// A keystore of the format that secp256k1 keys have elsewhere.
const V3_KEYSTORE: &str = include_str!("v3_keystore.json");

pub(crate) struct Fresh {
    child: Child,
    signer: Signer,
    names: Vec<(&'static str, String)>,
    _folder: tempfile::TempDir,
}

impl Fresh {
    pub(crate) fn start(row: &Row) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        if !row.no_keys {
            for (name, kind) in [("bls.yaml", "BLS"), ("secp256k1.yaml", "SECP256K1")] {
                write(name, &format!("type: \"file-raw\"\nkeyType: \"{kind}\"\nprivateKey: \"0x{:064x}\"\n", 7));
            }
        }
        row.files.iter().for_each(|(name, text)| write(name, text));
        let mut child = Command::new(env!("CARGO_BIN_EXE_cryfttee-devsigner"))
            .args(["--as", &row.process, "--listen", "127.0.0.1:0", "--keys"])
            .arg(folder.path())
            .args(&row.args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening on http://").expect("the line").parse();
        let signer = Signer::of_other_process(address.expect("an address"));
        Self { child, signer, names: names(), _folder: folder }
    }

    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn value(&self, table: &Table, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(name) => self.value(table, table.fragments.get(name).expect("a fragment")),
                None => Value::String(self.fill(text)),
            },
            Value::Array(list) => list.iter().map(|value| self.value(table, value)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.value(table, value))).collect()
            }
            other => other.clone(),
        }
    }

    /// The body of a row: fragments and placeholders replaced.
    fn body(&self, table: &Table, body: &Value) -> String {
        match body.as_str() {
            Some("$not_json") => "{".to_owned(),
            Some("$empty") => String::new(),
            _ => self.value(table, body).to_string(),
        }
    }

    pub(crate) fn ask(&self, table: &Table, row: &Row) -> Reply {
        for Step { method, path, body, status } in &row.first {
            let body = self.body(table, body);
            let reply = self.signer.send(method, &self.fill(path), &[("Content-Type", "application/json")], &body);
            assert_eq!(reply.status, *status, "{}: {path} first: {}", row.name, reply.body);
        }
        let hosts = row.hosts.clone().unwrap_or_else(|| vec!["localhost".to_owned()]);
        let mut headers: Vec<String> = hosts.iter().map(|host| format!("Host: {host}")).collect();
        headers.extend(row.headers.iter().cloned());
        headers.extend(row.accept.iter().map(|accept| format!("Accept: {accept}")));
        let body = row.body.as_ref().map(|body| self.body(table, body));
        let kind = row.sends.as_deref().unwrap_or("application/json");
        if body.is_some() && !kind.is_empty() {
            headers.push(format!("Content-Type: {kind}"));
        }
        let body = body.unwrap_or_default();
        headers.push(format!("Content-Length: {}", body.len()));
        headers.push("Connection: close".to_owned());
        let (method, path, version) = (&row.method, self.fill(&row.path), row.version.as_deref().unwrap_or("1.1"));
        let request = format!("{method} {path} HTTP/{version}\r\n{}\r\n\r\n{body}", headers.join("\r\n"));
        // To the end: the answer to a HEAD says how long a body is that does not come.
        let mut stream = self.signer.connect();
        stream.write_all(request.as_bytes()).expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        parse(&answer)
    }
}

fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let (status_line, headers) = head.split_once("\r\n").expect("headers");
    let status = status_line.split(' ').nth(1).expect("a status").parse().expect("a number");
    let headers = headers.split("\r\n").filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Reply { status, headers, body: body.to_owned() }
}

fn names() -> Vec<(&'static str, String)> {
    let mut secret = SecretBytes::default();
    hex::decode_to_slice(IMPORTED_SECRET, secret.as_mut()).expect("hex");
    let sealed = Keystore::seal(Curve::Bls, IMPORTED[2..].to_owned(), &secret, &Password::new(PASSWORD));
    let json = sealed.expect("sealed").to_json().expect("JSON");
    let keystore: Value = serde_json::from_slice(&json).expect("JSON");
    let with = |pubkey: Option<&str>| {
        let mut changed = keystore.clone();
        let members = changed.as_object_mut().expect("an object");
        match pubkey {
            Some(pubkey) => members.insert("pubkey".to_owned(), json!(pubkey)),
            None => members.remove("pubkey"),
        };
        changed.to_string()
    };
    let interchange = json!({
        "metadata": { "interchange_format_version": "5", "genesis_validators_root": support::typed::root(0x99) },
        "data": [{ "pubkey": IMPORTED, "signed_blocks": [{ "slot": "7" }], "signed_attestations": [] }],
    });
    // y is even.
    let compressed = format!("0x02{}", &SECP256K1[2..66]);
    vec![
        ("{bls}", BLS.to_owned()),
        ("{bls_digits}", BLS[2..].to_owned()),
        ("{BLS_DIGITS}", BLS[2..].to_uppercase()),
        ("{secp256k1}", SECP256K1.to_owned()),
        ("{secp256k1_digits}", SECP256K1[2..].to_owned()),
        ("{SECP256K1_DIGITS}", SECP256K1[2..].to_uppercase()),
        ("{secp256k1_compressed}", compressed),
        ("{address_digits}", ADDRESS_DIGITS.to_owned()),
        ("{unknown_bls}", UNKNOWN_BLS.to_owned()),
        ("{unknown_secp256k1}", UNKNOWN_SECP256K1.to_owned()),
        ("{imported}", IMPORTED.to_owned()),
        ("{keystore}", keystore.to_string()),
        ("{keystore_without_pubkey}", with(None)),
        ("{keystore_of_another}", with(Some(&UNKNOWN_BLS[2..]))),
        ("{v3_keystore}", V3_KEYSTORE.to_owned()),
        ("{password}", PASSWORD.to_owned()),
        ("{interchange}", interchange.to_string()),
    ]
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
