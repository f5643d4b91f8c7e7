//! Statuses, content types and limits.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::{Duration, Instant};

use cryfttee_devsigner::{ServeError, Server, Store};
use serde_json::json;
use support::{Reply, Signer, bytes, request, text};

const UNKNOWN_BLS: &str =
    "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const UNKNOWN_SECP: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

fn started() -> (tempfile::TempDir, Signer) {
    let folder = tempfile::tempdir().expect("a folder");
    let signer = Signer::start(&folder.path().join("keys"));
    (folder, signer)
}

/// Makes a key and returns it as eth1 names it: by its two coordinates.
fn generate_secp256k1(signer: &Signer) -> String {
    signer.generate("secp256k1");
    text(&signer.get("/api/v1/eth1/publicKeys").json()[0])
}

#[test]
fn upcheck_is_the_text_ok() {
    let (_folder, signer) = started();
    let reply = signer.get("/upcheck");
    assert_eq!((reply.status, reply.text()), (200, "OK"));
}

#[test]
fn public_keys_are_listed_as_web3signer_lists_them() {
    let (_folder, signer) = started();
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([]));
    assert_eq!(signer.get("/api/v1/eth1/publicKeys").json(), json!([]));
    let bls = signer.generate("bls");
    let compressed: [u8; 33] = bytes(&signer.generate("secp256k1"));
    assert_eq!(signer.get("/api/v1/eth2/publicKeys").json(), json!([bls]));
    let listed = signer.get("/api/v1/eth1/publicKeys").json();
    let listed: [u8; 64] = bytes(&text(&listed[0]));
    assert_eq!(listed[..32], compressed[1..]);
}

#[test]
fn an_eth2_answer_is_json_for_a_client_that_names_it_or_anything() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth2/sign/{}", signer.generate("bls"));
    let body = r#"{"type":"ATTESTATION","data":"0xab"}"#;
    for (accept, as_json) in [
        ("application/json", true),
        ("text/plain;q=0.5, Application/JSON;q=0.9", true),
        ("*/*", true),
        ("text/plain", false),
        ("application/json-seq", false),
    ] {
        let reply = signer.send("POST", &path, &[("Content-Type", "application/json"), ("Accept", accept)], body);
        assert_eq!(reply.status, 200);
        let signature = if as_json { text(&reply.json()["signature"]) } else { reply.text().to_owned() };
        let _: [u8; 96] = bytes(&signature);
    }
    let _: [u8; 96] = bytes(signer.post(&path, body).text());
}

#[test]
fn malformed_requests_are_400() {
    let (_folder, signer) = started();
    let bls = format!("/api/v1/eth2/sign/{}", signer.generate("bls"));
    let public = generate_secp256k1(&signer);
    let secp = format!("/api/v1/eth1/sign/{public}");
    let digest = format!("/ext/cryft/v1/secp256k1/{public}/sign-digest");
    let deep = "[".repeat(500_000);
    for (path, body) in [
        (bls.as_str(), ""),
        (&bls, "{"),
        (&bls, deep.as_str()),
        (&bls, r#"{"data":"0xab"}"#),
        (&bls, r#"{"type":"ATTESTATION","data":"0xabc"}"#),
        (&bls, r#"["ATTESTATION","0xab"]"#),
        (&bls, r#"{"type":"ATTESTATION","data":"0xab","data":"0xcd"}"#),
        (&bls, r#"{"type":"ATTESTATION","fork_info":{},"attestation":{}}"#),
        (&bls, r#"{"type":"ATTESTATION","fork_info":[],"data":"0xab","data":"0xab"}"#),
        (&secp, "{}"),
        (&secp, r#"{"data":5}"#),
        (&digest, r#"{"digest":"0xab"}"#),
        ("/eth/v1/keystores", "{}"),
        ("/eth/v1/keystores", r#"{"type":"rsa"}"#),
        ("/eth/v1/keystores", r#"{"keystores":["{}"],"passwords":[]}"#),
        ("/eth/v1/keystores", r#"{"keystores":[]}"#),
        ("/eth/v1/keystores", r#"{"type":"bls","keystores":[],"passwords":[]}"#),
    ] {
        let reply = signer.post(path, body);
        assert_eq!(reply.status, 400, "{path} {}", body.get(..40).unwrap_or(body));
        assert!(!reply.text().is_empty());
    }
}

#[test]
fn a_type_that_is_not_served_is_400_and_is_told_which_ones_are() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth2/sign/{}", signer.generate("bls"));
    let reply = signer.post_for_json(&path, r#"{"type":"DEPOSIT","deposit":{}}"#);
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("ATTESTATION"), "{}", reply.body);
}

#[test]
fn an_unknown_key_is_404_and_so_is_what_is_no_key() {
    let (_folder, signer) = started();
    signer.generate("bls");
    let eth2 = r#"{"type":"BLOCK","data":"0xab"}"#;
    let data = r#"{"data":"0xab"}"#;
    for key in [UNKNOWN_BLS, UNKNOWN_SECP, "nonsense", "", "0x"] {
        assert_eq!(signer.post(&format!("/api/v1/eth2/sign/{key}"), eth2).status, 404, "{key}");
        assert_eq!(signer.post(&format!("/api/v1/eth1/sign/{key}"), data).status, 404, "{key}");
        assert_eq!(signer.get(&format!("/ext/cryft/v1/bls/{key}/proof-of-possession")).status, 404, "{key}");
        assert_eq!(signer.post(&format!("/ext/cryft/v1/secp256k1/{key}/sign-sha256"), data).status, 404, "{key}");
    }
}

#[test]
fn an_unknown_path_is_404() {
    let (_folder, signer) = started();
    for path in ["/", "/upcheck/", "/api/v1/eth2", "/api/v2/eth2/publicKeys", "/ext/cryft/v2"] {
        assert_eq!(signer.get(path).status, 404, "{path}");
    }
}

#[test]
fn another_method_is_405_and_the_answer_says_which_there_are() {
    let (_folder, signer) = started();
    for (method, path, allowed) in [
        ("POST", "/upcheck", "GET"),
        ("PUT", "/eth/v1/keystores", "GET, POST, DELETE"),
        ("PUT", "/reload", "GET, POST"),
        ("GET", "/api/v1/eth2/sign/0xab", "POST"),
        ("GET", "/ext/cryft/v1/secp256k1/0xab/sign-digest", "POST"),
    ] {
        let reply = signer.send(method, path, &[], "");
        assert_eq!((reply.status, reply.header("allow")), (405, allowed), "{method} {path}");
    }
}

#[test]
fn a_body_is_read_as_json_whatever_it_says_it_is_but_not_a_form_with_files() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth1/sign/{}", generate_secp256k1(&signer));
    let body = r#"{"data":"0xab"}"#;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "application/json"] {
        assert_eq!(signer.send("POST", &path, &[("Content-Type", kind)], body).status, 200, "{kind}");
    }
    assert_eq!(signer.send("POST", &path, &[], body).status, 200);
    for kind in ["multipart/form-data; boundary=x", "Multipart/mixed"] {
        assert_eq!(signer.send("POST", &path, &[("Content-Type", kind)], body).status, 400, "{kind}");
    }
}

#[test]
fn another_signing_root_is_500_and_the_same_one_is_fine() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth2/sign/{}", signer.generate("bls"));
    for (root, status) in [("0xABcd", 200), ("0xabce", 500), ("0xab", 500)] {
        let body = json!({ "type": "BLOCK", "data": "0xabcd", "signingRoot": root }).to_string();
        assert_eq!(signer.post_for_json(&path, &body).status, status, "{root}");
    }
}

#[test]
fn a_body_over_10_mib_is_413_whether_it_says_so_or_not() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth1/sign/{}", generate_secp256k1(&signer));
    let limit = 10 * 1024 * 1024;
    let padded = |length: usize| {
        let body = r#"{"data":"0xab"}"#;
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    assert_eq!(signer.post(&path, &padded(limit)).status, 200);
    // One that only announces it is refused before it is sent.
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
    let reply = signer.raw(format!("{head}Content-Length: {}\r\n\r\n", limit + 1).as_bytes());
    assert_eq!((reply.status, reply.header("connection")), (413, "close"));
    // In chunks of unknown number, cut off at the limit.
    let mut stream = signer.connect();
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).expect("send");
    let chunk = format!("{:x}\r\n{}\r\n", limit / 2, " ".repeat(limit / 2));
    for _ in 0..3 {
        // The signer may already have hung up.
        let _ = stream.write_all(chunk.as_bytes());
    }
    assert_eq!(Reply::read(&mut BufReader::new(stream)).status, 413);
}

#[test]
fn a_request_line_over_4_kib_is_414_and_headers_over_8_kib_are_431() {
    let (_folder, signer) = started();
    let line = |length: usize| {
        let rest = "GET /upcheck? HTTP/1.1".len();
        format!("GET /upcheck?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(length - rest))
    };
    for (length, status) in [(4096, 200), (4097, 414), (20_000, 414)] {
        assert_eq!(signer.raw(line(length).as_bytes()).status, status, "{length}");
    }
    let headers = |length: usize| {
        let rest = "Host: localhost\r\nX: \r\n".len();
        format!("GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(length - rest))
    };
    for (length, status) in [(8192, 200), (8193, 431), (60_000, 431)] {
        assert_eq!(signer.raw(headers(length).as_bytes()).status, status, "{length}");
    }
}

#[test]
fn a_client_that_expects_to_be_told_is_told_to_go_on() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth1/sign/{}", generate_secp256k1(&signer));
    let mut stream = signer.connect();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("send");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    reader.read_line(&mut line).expect("the end of it");
    stream.write_all(br#"{"data":"0xab"}"#).expect("send");
    assert_eq!(Reply::read(&mut reader).status, 200);
}

/// Half a minute, as with stock: before the first request, after one, and in the middle of a body. No answer comes of it.
#[test]
fn a_connection_on_which_nothing_comes_is_closed_after_30_seconds() {
    let (_folder, signer) = started();
    let silent = |begin: String| {
        let mut stream = signer.connect();
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a deadline");
        stream.write_all(begin.as_bytes()).expect("send");
        let (begun, mut rest) = (Instant::now(), Vec::new());
        let _ = stream.read_to_end(&mut rest);
        (begun.elapsed().as_secs(), String::from_utf8_lossy(&rest).into_owned())
    };
    let body =
        "POST /api/v1/eth1/sign/ab HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{\"data\"".to_owned();
    std::thread::scope(|scope| {
        let served = request("GET", "/upcheck", &[], "");
        let idle = [(String::new(), 0), (served, 1), (body, 0)]
            .map(|(begin, answers)| (scope.spawn(|| silent(begin)), answers));
        for (idle, answers) in idle {
            let (seconds, rest) = idle.join().expect("an end");
            assert!((28..90).contains(&seconds), "{seconds} s: {rest}");
            assert_eq!(rest.matches("HTTP/1.1").count(), answers, "{rest}");
        }
    });
}

#[test]
fn a_connection_serves_many_requests() {
    let (_folder, signer) = started();
    let path = format!("/api/v1/eth1/sign/{}", generate_secp256k1(&signer));
    let stream = signer.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    for number in 0..100 {
        let body = format!(r#"{{"data":"0x{number:04}"}}"#);
        let request = request("POST", &path, &[("Content-Type", "application/json")], &body);
        writer.write_all(request.as_bytes()).expect("send");
        assert_eq!(Reply::read(&mut reader).status, 200);
    }
}

#[test]
fn hundreds_of_idle_connections_do_not_keep_others_out() {
    let (_folder, signer) = started();
    let idle: Vec<_> = (0..400).map(|_| signer.connect()).collect();
    assert_eq!(signer.get("/upcheck").status, 200);
    drop(idle);
}

#[test]
fn the_extensions_are_listed() {
    let (_folder, signer) = started();
    let reply = signer.get("/ext/cryft/v1").json();
    assert_eq!(reply["name"], "cryfttee-devsigner");
    assert_eq!(reply["version"], env!("CARGO_PKG_VERSION"));
    let all = json!(["raw_signing", "proof_of_possession", "sign_sha256", "sign_digest", "generate"]);
    assert_eq!(reply["functions"], all);
}

#[test]
fn a_stop_lets_idle_connections_go_at_once() {
    let (_folder, signer) = started();
    let _idle = signer.connect();
    assert_eq!(signer.get("/upcheck").status, 200);
    let started = Instant::now();
    drop(signer);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let store = Store::open(folder.path(), None).expect("a folder");
        let outcome = Server::bind(address.parse().expect("an address"), store).await;
        assert!(matches!(outcome, Err(ServeError::NotLoopback(_))), "{address}");
    }
}
