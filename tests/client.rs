//! The client of the sidecar's API: what it asks, what it believes, and how it gets there.

#[path = "support/canned.rs"]
mod canned;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use canned::{BLS, Canned, OTHER_BLS, TLS, refusal};
use contract::Bytes;
use cryftgo_tee::fault::Fault as _;
use cryftgo_tee::sidecar::{Client, Data, SidecarError, TlsError, TlsFault};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const PATIENCE: Duration = Duration::from_secs(10);

/// Runs one call.
fn block_on<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(call)
}

/// A folder with the socket of a sidecar, and a client of it.
fn on_unix(canned: &Canned) -> (tempfile::TempDir, Client) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("api.sock");
    canned.on_unix(&path);
    (folder, Client::unix(path, PATIENCE))
}

#[test]
fn every_call_asks_what_the_contract_says_and_reads_the_answer() {
    let canned = Canned::well();
    let (_folder, client) = on_unix(&canned);
    let (bls, tls) = (BLS.parse().expect("key"), TLS.parse().expect("key"));
    let body: Box<serde_json::value::RawValue> =
        serde_json::from_str(r#"{"type": "BLOCK_V2", "slot":1e1 }"#).expect("JSON");
    block_on(async {
        assert_eq!(client.attestation("00ff").await.expect("evidence").nonce.as_deref(), Some("00ff"));
        assert_eq!(client.status().await.expect("status").bls_pubkeys, [bls]);
        assert_eq!(client.generate_bls().await.expect("made").pubkey, bls);
        assert_eq!(client.generate_tls().await.expect("made").pubkey, tls);
        assert_eq!(client.verify_bls(&bls).await.expect("there"), Some(Bytes(vec![0xef; 96])));
        client.verify_tls(&tls).await.expect("there");
        let bytes = Data::Bytes(Bytes(vec![0xd3, 0x1d, 0x34]));
        assert_eq!(client.sign_bls(&bls, bytes, "ATTESTATION").await.expect("signed").0, [0xab; 96]);
        assert_eq!(client.sign_bls(&bls, Data::Typed(&body), "BLOCK_V2").await.expect("signed").0, [0xab; 96]);
        assert_eq!(client.sign_tls(&tls, Bytes(b"hi".to_vec())).await.expect("signed").0, [0xcd; 65]);
        let keys = contract::wire::AdmitRequest { bls_pubkey: Some(bls), tls_pubkey: Some(tls) };
        client.admit(&keys).await.expect("admitted");
    });
    let expected = [
        ("GET /v1/runtime/attestation?nonce=00ff", String::new()),
        ("GET /v1/staking/status", String::new()),
        ("POST /v1/staking/bls/register", r#"{"action":"generate"}"#.to_owned()),
        ("POST /v1/staking/tls/register", r#"{"action":"generate"}"#.to_owned()),
        ("POST /v1/staking/bls/register", format!(r#"{{"mode":"verify","publicKey":"{BLS}"}}"#)),
        ("POST /v1/staking/tls/register", format!(r#"{{"mode":"verify","publicKey":"{TLS}"}}"#)),
        // In base64 these three bytes are "0x00", which is read as one byte in hex.
        ("POST /v1/staking/bls/sign", format!(r#"{{"pubkey":"{BLS}","data":"0xd31d34","type":"ATTESTATION"}}"#)),
        // Byte for byte, so that what was signed is what was written.
        (
            "POST /v1/staking/bls/sign",
            format!(r#"{{"pubkey":"{BLS}","data":{{"type": "BLOCK_V2", "slot":1e1 }},"type":"BLOCK_V2"}}"#),
        ),
        ("POST /v1/staking/tls/sign", format!(r#"{{"pubkey":"{TLS}","data":"0x6869"}}"#)),
        ("POST /v1/runtime/admit", format!(r#"{{"bls_pubkey":"{BLS}","tls_pubkey":"{TLS}"}}"#)),
    ];
    assert_eq!(canned.asked(), expected.map(|(request, body)| (request.to_owned(), body)));
}

#[test]
fn a_refusal_keeps_status_and_code_and_says_both() {
    for (status, code) in [
        (400, "malformed"),
        (403, "forbidden"),
        (404, "key_not_found"),
        (412, "slashing_protection"),
        (503, "signer_unavailable"),
    ] {
        let (_folder, client) = on_unix(&Canned::new(move |_, _| refusal(status, code)));
        let error = block_on(client.status()).expect_err("refused");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.exit_code(), contract::exit::UNAVAILABLE);
        let line = error.to_string();
        assert!(line.contains(&status.to_string()) && line.contains(code) && line.contains("because"), "{line}");
    }
    let (_folder, client) = on_unix(&Canned::new(|_, _| (502, "<html>".to_owned())));
    let error = block_on(client.status()).expect_err("refused");
    assert_eq!((error.status().map(|status| status.as_u16()), error.code()), (Some(502), None));
}

#[test]
fn an_answer_about_another_key_or_with_half_a_signature_is_refused() {
    let (_folder, client) = on_unix(&Canned::well());
    let error = block_on(client.verify_bls(&OTHER_BLS.parse().expect("key"))).expect_err("another key");
    assert!(matches!(&error, SidecarError::OtherKey { found, .. } if found == BLS), "{error:?}");
    let half = Canned::new(|_, _| (200, format!("{{\"signature\":\"0x{}\"}}", "ab".repeat(95))));
    let (_folder, client) = on_unix(&half);
    let signed = block_on(client.sign_bls(&BLS.parse().expect("key"), Data::Bytes(Bytes(vec![1])), "A"));
    assert!(matches!(signed, Err(SidecarError::SignatureLength { found: 95, expected: 96, .. })), "{signed:?}");
    let signed = block_on(client.sign_tls(&TLS.parse().expect("key"), Bytes(vec![1])));
    assert!(matches!(signed, Err(SidecarError::SignatureLength { found: 95, expected: 65, .. })), "{signed:?}");
}

#[test]
fn a_unix_socket_says_which_process_answered_and_an_address_does_not() {
    let canned = Canned::well();
    let (_folder, client) = on_unix(&canned);
    let (_, by) = block_on(client.attestation_from("00")).expect("evidence");
    let by = by.expect("a process");
    assert_eq!((by.pid, by.uid), (std::process::id(), nix::unistd::geteuid().as_raw()));
    let client = Client::http(canned.on_tcp(), PATIENCE);
    assert_eq!(block_on(client.attestation_from("00")).expect("evidence").1, None);
}

#[test]
fn an_answer_that_another_process_goes_on_with_is_refused_even_where_anybody_may_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("api.sock");
    let listener = UnixListener::bind(&path).expect("listen");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").expect("write");
        // So that the two parts are two chunks.
        std::thread::sleep(Duration::from_millis(100));
        let stream = Stdio::from(OwnedFd::from(stream));
        Command::new("printf").arg("{}").stdout(stream).status().expect("printf");
    });
    let error = block_on(Client::unix(path, PATIENCE).status()).expect_err("two processes");
    assert!(matches!(error, SidecarError::Forged { .. }), "{error:?}");
}

#[test]
fn a_sidecar_that_listens_everywhere_is_called_on_loopback() {
    let address = Canned::well().on_tcp();
    let everywhere = SocketAddr::new("0.0.0.0".parse().expect("address"), address.port());
    let client = Client::http(everywhere, PATIENCE);
    assert!(format!("{client:?}").contains("127.0.0.1"), "{client:?}");
    block_on(client.status()).expect("status");
}

/// CAs and certificates, made with the openssl command.
struct Pki(tempfile::TempDir);

impl Pki {
    /// None, and said loudly, where there is no such command.
    fn new(test: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            let _ = writeln!(std::io::stdout(), "SKIPPED: {test}: there is no openssl command");
            return None;
        }
        let pki = Self(tempfile::tempdir().expect("folder"));
        for ca in ["ca", "other"] {
            // Both of the same name: only the keys tell them apart.
            pki.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {ca}.key -out {ca}.pem \
                 -subj /CN=test-ca -days 2 -addext keyUsage=critical,keyCertSign"
            ));
        }
        Some(pki)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(self.0.path()).output();
        let run = run.expect("openssl");
        assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// A server's configuration with a certificate of `ca` for `san`, valid from and to (YYYYMMDDHHMMSSZ).
    fn server(&self, san: &str, from: &str, to: &str) -> ServerConfig {
        let extensions = format!("subjectAltName={san}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.path("extensions"), extensions).expect("write");
        std::fs::write(self.path("index"), "").expect("write");
        let database = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n\
                        policy=p\n[p]\ncommonName=supplied\n";
        std::fs::write(self.path("database"), database).expect("write");
        self.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr \
             -subj /CN=sidecar",
        );
        self.openssl(&format!(
            "ca -batch -config database -in server.csr -out server.pem -cert ca.pem -keyfile ca.key \
             -extfile extensions -startdate {from} -enddate {to} -notext"
        ));
        let certificate = CertificateDer::from_pem_file(self.path("server.pem")).expect("certificate");
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).expect("key");
        ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("configuration")
    }

    fn ask(&self, address: SocketAddr, ca: &str) -> Result<(), SidecarError> {
        let client = Client::https(address, Some(&self.path(ca)), PATIENCE).expect("CA");
        block_on(client.status()).map(drop)
    }
}

const LONG_AGO: &str = "20200101000000Z";
const YEARS_TO_COME: &str = "20990101000000Z";

fn fault(asked: Result<(), SidecarError>) -> TlsFault {
    match asked {
        Err(SidecarError::Tls { source, .. }) => source,
        other => panic!("expected a fault of TLS, found {other:?}"),
    }
}

#[test]
fn https_needs_a_certificate_of_the_configured_ca_for_that_address_and_this_time() {
    let Some(pki) = Pki::new("https_needs_a_certificate_of_the_configured_ca") else { return };
    let canned = Canned::well();
    let good = canned.on_tls(pki.server("IP:127.0.0.1", LONG_AGO, YEARS_TO_COME));
    // Accepted first, so that each refusal below is for its own reason.
    pki.ask(good, "ca.pem").expect("good");
    let before = canned.asked().len();

    let wrong_ca = fault(pki.ask(good, "other.pem"));
    assert!(matches!(wrong_ca, TlsFault::UnknownIssuer(_)), "{wrong_ca:?}");
    assert!(wrong_ca.to_string().contains("other.pem"), "{wrong_ca}");
    let expired = canned.on_tls(pki.server("IP:127.0.0.1", LONG_AGO, "20210101000000Z"));
    assert!(matches!(fault(pki.ask(expired, "ca.pem")), TlsFault::Expired));
    let early = canned.on_tls(pki.server("IP:127.0.0.1", "20980101000000Z", YEARS_TO_COME));
    assert!(matches!(fault(pki.ask(early, "ca.pem")), TlsFault::NotYet));
    for other_name in ["IP:127.0.0.2", "DNS:localhost", "DNS:127.0.0.1"] {
        let other = canned.on_tls(pki.server(other_name, LONG_AGO, YEARS_TO_COME));
        let found = fault(pki.ask(other, "ca.pem"));
        assert!(matches!(found, TlsFault::OtherName(_)), "{other_name}: {found:?}");
    }
    let plain = canned.on_tcp();
    assert!(matches!(fault(pki.ask(plain, "ca.pem")), TlsFault::Handshake(_)));
    let to_tls = canned.asked().len() - before;
    // The plain server may take the handshake for a request; those under TLS were told nothing.
    assert!(to_tls <= 1, "{:?}", canned.asked());
}

#[test]
fn https_without_a_usable_ca_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("folder");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let with = |ca: Option<&std::path::Path>| Client::https(address, ca, PATIENCE).map(drop).expect_err("no CA");
    let none = with(None);
    assert!(matches!(none, TlsError::NoCa) && none.to_string().starts_with("which CA?"), "{none}");
    assert_eq!(none.exit_code(), contract::exit::CONFIG);
    let path = folder.path().join("ca.pem");
    let absent = with(Some(&path));
    assert!(matches!(absent, TlsError::Read { .. }), "{absent:?}");
    for content in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA", "-----BEGIN X-----\nAAAA\n-----END X-----\n"] {
        std::fs::write(&path, content).expect("write");
        let error = with(Some(&path));
        assert!(matches!(error, TlsError::NotCertificates { .. }), "{content:?}: {error:?}");
        assert_eq!(error.exit_code(), contract::exit::DATA);
    }
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("write");
    assert!(matches!(with(Some(&path)), TlsError::Unusable { .. }));
}
