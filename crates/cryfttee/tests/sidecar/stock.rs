//! What the sidecar makes of each answer of a stock Web3Signer. The answers are those that release 26.4.2 gave on the wire,
//! its `eth2` and its `eth1` in a process each.

use cryfttee::config::{KeyGeneration, Limits};
use cryfttee::listen::Role;
use serde_json::{Value, json};

use crate::support::client::{Answer, ask, get, header};
use crate::support::signer::{Got, Reply};
use crate::support::stock::{Process, answer, no_such_path, stock_but, unhealthy};
use crate::support::{BLS, Served, TLS, TLS_64, to_sign};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Status,
    BlsSign,
    BlsRaw,
    BlsNoForkInfo,
    BlsOtherRoot,
    TlsSign,
    TlsDigest,
    Import,
    Make(&'static str),
    VerifyBls,
    Reload,
}

struct Row {
    source: &'static str,
    name: &'static str,
    ask: Ask,
    /// Which call has this answer, of which process; every other call is answered as stock does.
    call: (Process, String),
    says: Reply,
    status: u16,
    /// JSON pointers into the sidecar's answer, and what is there.
    is: Vec<(&'static str, Value)>,
}

const STOCK: &str = "stock 26.4.2";
const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
use Process::{Eth1, Eth2};

fn row(
    name: &'static str,
    ask: Ask,
    call: (Process, String),
    says: Reply,
    status: u16,
    is: Vec<(&'static str, Value)>,
) -> Row {
    Row { source: STOCK, name, ask, call, says, status, is }
}

/// An error without a content type, as stock has them.
fn bare(status: u16, text: &str) -> Reply {
    Reply::Http(status, "", text.to_owned())
}

fn code(code: &str) -> (&'static str, Value) {
    ("/code", json!(code))
}

fn of_status() -> Vec<Row> {
    let get = |process, path: &str| (process, format!("GET {path}"));
    let process = |index: usize, state: &str, why: &str| match index {
        0 => vec![
            ("/signers/0/state", json!(state)),
            ("/signers/0/why", json!(why)),
            ("/ready", json!(state == "answers")),
        ],
        _ => vec![
            ("/signers/1/state", json!(state)),
            ("/signers/1/why", json!(why)),
            ("/ready", json!(state == "answers")),
        ],
    };
    let status = |name, call, says, is| row(name, Ask::Status, call, says, 200, is);
    let host = || Reply::Http(403, "application/json", r#"{"message":"Host not authorized."}"#.to_owned());
    let told = "403 Forbidden to GET /upcheck: Host not authorized; add the name to --http-host-allowlist of Web3Signer (127.0.0.1)";
    let list = |keys: &str| Reply::Http(200, JSON, keys.to_owned());
    vec![
        status(
            "upcheck of eth2",
            get(Eth2, "/upcheck"),
            Reply::Http(200, TEXT, "OK".into()),
            process(0, "answers", ""),
        ),
        status(
            "upcheck of eth1",
            get(Eth1, "/upcheck"),
            Reply::Http(200, TEXT, "OK".into()),
            process(1, "answers", ""),
        ),
        status(
            "upcheck of eth2, not acceptable",
            get(Eth2, "/upcheck"),
            bare(406, ""),
            process(0, "rejects", "406 Not Acceptable to GET /upcheck"),
        ),
        status(
            "upcheck of eth1, not acceptable",
            get(Eth1, "/upcheck"),
            no_such_path(),
            process(1, "rejects", "404 Not Found to GET /upcheck"),
        ),
        status("a Host that is not allowed", get(Eth2, "/upcheck"), host(), process(0, "rejects", told)),
        status(
            "an Origin",
            get(Eth2, "/upcheck"),
            Reply::Http(403, TEXT, "CORS Rejected - Invalid origin".into()),
            process(0, "rejects", "403 Forbidden to GET /upcheck"),
        ),
        status(
            "no Host",
            get(Eth1, "/upcheck"),
            bare(400, "Bad Request"),
            process(1, "rejects", "400 Bad Request to GET /upcheck"),
        ),
        status(
            "healthcheck, a key file that failed",
            get(Eth2, "/healthcheck"),
            unhealthy(1),
            vec![
                ("/signers/0/health", json!("down")),
                ("/signers/0/failed_keys", json!(1)),
                ("/signers/0/state", json!("answers")),
                ("/ready", json!(true)),
            ],
        ),
        status(
            "healthcheck of eth1, which says nothing of key files",
            get(Eth1, "/healthcheck"),
            Reply::Http(
                200,
                "application/json;charset=UTF-8",
                r#"{"status":"UP","checks":[{"id":"default-check","status":"UP"}],"outcome":"UP"}"#.into(),
            ),
            vec![("/signers/1/health", json!("up")), ("/signers/1/failed_keys", json!(0))],
        ),
        status(
            "no BLS keys",
            get(Eth2, "/api/v1/eth2/publicKeys"),
            list("[]"),
            vec![
                ("/bls_pubkeys", json!([])),
                ("/signers/0/keys", json!(0)),
                ("/signers/0/serves_bls", json!(true)),
                ("/ready", json!(true)),
            ],
        ),
        status(
            "BLS keys",
            get(Eth2, "/api/v1/eth2/publicKeys"),
            list(&format!("[\"{BLS}\"]")),
            vec![("/bls_pubkeys", json!([BLS])), ("/signers/0/keys", json!(1))],
        ),
        status(
            "no secp256k1 keys",
            get(Eth1, "/api/v1/eth1/publicKeys"),
            list("[]"),
            vec![("/tls_pubkeys", json!([])), ("/signers/1/keys", json!(0)), ("/ready", json!(true))],
        ),
        status(
            "secp256k1 keys of 64 bytes",
            get(Eth1, "/api/v1/eth1/publicKeys"),
            list(&format!("[\"{TLS_64}\"]")),
            vec![("/tls_pubkeys", json!([TLS]))],
        ),
        status(
            "keys, not acceptable",
            get(Eth2, "/api/v1/eth2/publicKeys"),
            bare(406, ""),
            process(0, "rejects", "406 Not Acceptable to GET /api/v1/eth2/publicKeys"),
        ),
        status(
            "the list of the other kind",
            get(Eth2, "/api/v1/eth2/publicKeys"),
            no_such_path(),
            vec![
                ("/signers/0/serves_bls", json!(false)),
                ("/signers/0/serves_tls", json!(false)),
                ("/signers/0/state", json!("answers")),
                ("/capabilities", json!(["tls_signing", "key_generation"])),
            ],
        ),
        status(
            "no extension",
            get(Eth2, "/ext/cryft/v1"),
            no_such_path(),
            vec![("/capabilities", json!(["bls_signing", "tls_signing", "key_generation"]))],
        ),
        status(
            "key manager",
            get(Eth2, "/eth/v1/keystores"),
            Reply::Http(200, JSON, r#"{"data":[]}"#.into()),
            vec![("/signers/0/key_manager", json!(true))],
        ),
        status(
            "key manager, not enabled",
            get(Eth2, "/eth/v1/keystores"),
            no_such_path(),
            vec![("/signers/0/key_manager", json!(false)), ("/capabilities", json!(["bls_signing", "tls_signing"]))],
        ),
    ]
}

fn of_signing() -> Vec<Row> {
    let bls = || (Eth2, format!("POST /api/v1/eth2/sign/{BLS}"));
    let tls = || (Eth1, format!("POST /api/v1/eth1/sign/{TLS_64}"));
    let signature = |bytes: usize| format!("0x{}", "a7".repeat(bytes));
    let of_bls = |name, ask, says, status, is| row(name, ask, bls(), says, status, is);
    let of_tls = |name, says, status, is| row(name, Ask::TlsSign, tls(), says, status, is);
    let json96 = Reply::Http(200, JSON, format!("{{\"signature\":\"{}\"}}", signature(96)));
    let root =
        "500: Internal Server Error; a signingRoot that is not the root of the request is answered like this, too";
    vec![
        of_bls("BLS, JSON", Ask::BlsSign, json96, 200, vec![("/signature", json!(signature(96)))]),
        of_bls("BLS, unknown key", Ask::BlsSign, bare(404, "Not Found"), 404, vec![code("key_not_found")]),
        of_bls(
            "BLS, a request that it cannot read",
            Ask::BlsSign,
            bare(400, "Bad Request"),
            400,
            vec![code("signer_refused")],
        ),
        of_bls(
            "BLS, slashing protection",
            Ask::BlsSign,
            bare(412, "Precondition Failed"),
            412,
            vec![code("slashing_protection")],
        ),
        of_bls(
            "BLS, broken",
            Ask::BlsSign,
            bare(500, "Internal Server Error"),
            502,
            vec![code("signer_error"), ("/details", json!("500: Internal Server Error"))],
        ),
        of_bls(
            "BLS, another signingRoot",
            Ask::BlsOtherRoot,
            bare(500, "Internal Server Error"),
            502,
            vec![code("signer_error"), ("/details", json!(root))],
        ),
        of_bls(
            "BLS, no fork_info",
            Ask::BlsNoForkInfo,
            bare(500, "Internal Server Error"),
            400,
            vec![code("signer_refused"), ("/details", json!("fork_info is missing"))],
        ),
        of_bls("BLS, raw data", Ask::BlsRaw, bare(500, "Internal Server Error"), 400, vec![code("signer_refused")]),
        of_bls(
            "BLS, a body over its limit",
            Ask::BlsSign,
            bare(413, "Request Entity Too Large"),
            502,
            vec![code("signer_error")],
        ),
        of_bls(
            "BLS, a Host that is not allowed",
            Ask::BlsSign,
            Reply::Http(403, "application/json", r#"{"message":"Host not authorized."}"#.into()),
            502,
            vec![code("signer_error")],
        ),
        of_bls("BLS, sent to eth1", Ask::BlsSign, no_such_path(), 404, vec![code("key_not_found")]),
        of_tls(
            "secp256k1, text",
            Reply::Http(200, TEXT, signature(65)),
            200,
            vec![("/signature", json!(signature(65)))],
        ),
        of_tls("secp256k1, unknown key", bare(404, "Not Found"), 404, vec![code("key_not_found")]),
        of_tls("secp256k1, a request that it cannot read", bare(400, "Bad Request"), 400, vec![code("signer_refused")]),
        of_tls("secp256k1, broken", bare(500, "Internal Server Error"), 502, vec![code("signer_error")]),
        row(
            "secp256k1, a digest",
            Ask::TlsDigest,
            (Eth1, format!("POST /ext/cryft/v1/secp256k1/{TLS_64}/sign-digest")),
            no_such_path(),
            400,
            vec![code("not_supported_by_signer")],
        ),
    ]
}

fn of_keys() -> Vec<Row> {
    let manager = || (Eth2, "POST /eth/v1/keystores".to_owned());
    let import = |name, says, status, is| row(name, Ask::Import, manager(), says, status, is);
    let outcome = |outcome: &str| Reply::Http(200, JSON, format!("{{\"data\":[{outcome}]}}"));
    let reload = |name, process, says, is| row(name, Ask::Reload, (process, "POST /reload".to_owned()), says, 200, is);
    let failed = r#"{"status":"error","message":"Error importing keystore: Unable to add validator"}"#;
    vec![
        import("import, imported", outcome(r#"{"status":"imported","message":null}"#), 201, vec![]),
        import("import, duplicate", outcome(r#"{"status":"duplicate","message":null}"#), 409, vec![code("key_exists")]),
        import("import, error", outcome(failed), 502, vec![code("signer_error")]),
        import("import, bad request", bare(400, "Bad Request"), 400, vec![code("signer_refused")]),
        import("import, key manager not enabled", no_such_path(), 400, vec![code("not_supported_by_signer")]),
        row(
            "a BLS key to be made",
            Ask::Make("bls"),
            manager(),
            bare(400, "Bad Request"),
            400,
            vec![code("not_supported_by_signer")],
        ),
        row(
            "a secp256k1 key to be made",
            Ask::Make("tls"),
            (Eth1, "POST /eth/v1/keystores".into()),
            no_such_path(),
            400,
            vec![code("not_supported_by_signer")],
        ),
        row(
            "a key to be made while key files failed",
            Ask::Make("bls"),
            (Eth2, "GET /healthcheck".into()),
            unhealthy(3),
            503,
            vec![code("signer_unavailable")],
        ),
        row(
            "a proof of possession",
            Ask::VerifyBls,
            (Eth2, format!("GET /ext/cryft/v1/bls/{BLS}/proof-of-possession")),
            no_such_path(),
            200,
            vec![("/pubkey", json!(BLS))],
        ),
        reload(
            "reload",
            Eth2,
            Reply::Http(202, JSON, r#"{"status":"accepted","message":"…"}"#.into()),
            vec![("/reloaded", json!(["eth2", "eth1"])), ("/why", json!({}))],
        ),
        reload(
            "reload of eth1",
            Eth1,
            Reply::Http(202, JSON, r#"{"status":"accepted","message":"…"}"#.into()),
            vec![("/reloaded", json!(["eth2", "eth1"]))],
        ),
        reload(
            "reload, one that runs",
            Eth2,
            Reply::Http(409, JSON, r#"{"status":"error","message":"…"}"#.into()),
            vec![("/reloaded", json!(["eth2", "eth1"])), ("/why", json!({"eth2": "already running"}))],
        ),
    ]
}

async fn put(served: &Served, what: Ask) -> Answer {
    let sign = |kind: &str| format!("/v1/staking/{kind}/sign");
    let control = &served.control;
    match what {
        Ask::Status => get(control, "/v1/staking/status").await,
        Ask::BlsSign => ask(control, &sign("bls"), to_sign(1)).await,
        Ask::BlsRaw => ask(control, &sign("bls"), json!({"pubkey":BLS,"data":"aGk=","type":"ATTESTATION"})).await,
        Ask::BlsNoForkInfo => {
            let typed = json!({"type":"RANDAO_REVEAL","randao_reveal":{"epoch":"1"}});
            ask(control, &sign("bls"), json!({"pubkey":BLS,"data":typed})).await
        }
        Ask::BlsOtherRoot => {
            let mut request = to_sign(1);
            request["data"]["signingRoot"] = json!(format!("0x{}", "11".repeat(32)));
            ask(control, &sign("bls"), request).await
        }
        Ask::TlsSign => ask(control, &sign("tls"), json!({"pubkey":TLS,"data":"aGk="})).await,
        Ask::TlsDigest => {
            let digest = contract::Bytes(vec![0x11; 32]).to_base64();
            ask(control, &sign("tls"), json!({"keyHandle":TLS,"digest":digest})).await
        }
        Ask::Import => ask(control, "/v1/staking/bls/register", json!({"action":"generate"})).await,
        Ask::Make(kind) => ask(control, &format!("/v1/staking/{kind}/register"), json!({"action":"generate"})).await,
        Ask::VerifyBls => ask(control, "/v1/staking/bls/register", json!({"mode":"verify","publicKey":BLS})).await,
        Ask::Reload => ask(control, "/v1/runtime/signer/reload", "").await,
    }
}

/// What the sidecar answers, and what the process whose call it is about was asked.
async fn ask_before_stock(row: &Row) -> (Answer, Vec<Got>) {
    let process = |process: Process| {
        let (of, call) = row.call.clone();
        let (says, empty) = (row.says.clone(), row.ask == Ask::Reload);
        stock_but(process, move |got| {
            let own = of == process && call == format!("{} {}", got.method, got.path);
            let list =
                empty && got.path.ends_with("publicKeys") && !matches!(answer(process, got), Reply::Http(404, ..));
            own.then(|| says.clone()).or_else(|| list.then(|| Reply::json("[]")))
        })
    };
    let (eth2, eth1) = (process(Eth2).await, process(Eth1).await);
    let served = Served::with(&eth2.url, &[Role::Control], |settings| {
        settings.signer_eth1 = Some(eth1.url.parse().expect("a URL"));
        settings.key_generation =
            if matches!(row.ask, Ask::Make(_)) { KeyGeneration::Signer } else { KeyGeneration::Import };
        settings.limits = Limits { signer_status: std::time::Duration::from_secs(20), ..Limits::default() };
    });
    let answer = put(&served, row.ask).await;
    for got in eth2.got().iter().chain(&eth1.got()) {
        assert_eq!(header(&got.head, "origin"), None, "any Origin is refused");
    }
    (answer, if row.call.0 == Eth2 { eth2.got() } else { eth1.got() })
}

#[tokio::test]
async fn every_answer_of_a_stock_signer_is_understood() {
    for row in of_status().into_iter().chain(of_signing()).chain(of_keys()) {
        let name = format!("{} ({})", row.name, row.source);
        let (answer, got) = ask_before_stock(&row).await;
        assert_eq!(answer.status, row.status, "{name}: {}", answer.body);
        let said = answer.json();
        for (pointer, value) in &row.is {
            assert_eq!(said.pointer(pointer).unwrap_or(&Value::Null), value, "{name}: {pointer} in {}", answer.body);
        }
        // What is told apart before it is sent is not sent.
        let sent = got.iter().filter(|got| row.call.1 == format!("{} {}", got.method, got.path)).count();
        let not_sent = matches!(row.ask, Ask::BlsRaw | Ask::BlsNoForkInfo);
        assert_eq!(sent, usize::from(!not_sent), "{name}");
    }
}
