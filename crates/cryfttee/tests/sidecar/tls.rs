//! The transport `https`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cryfttee::config::{ConfigError, Limits, Settings, Transport};
use cryfttee::{Protection, TlsError, TlsFiles};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::support::{Served, settings, skipped};

const ATTESTATION: &str = "/v1/runtime/attestation";

/// A key and a certificate for loopback; `None` where openssl(1) is not there.
async fn files(folder: &Path, kind: &[&str]) -> Option<TlsFiles> {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-newkey"]).args(kind);
    command.args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).stderr(Stdio::null());
    let Ok(status) = command.status().await else {
        skipped("a test over TLS", "there is no openssl command");
        return None;
    };
    assert!(status.success());
    Some(TlsFiles { certificate, key })
}

fn https(files: TlsFiles, limits: Limits) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.transport = Transport::Https { address: "127.0.0.1:0".to_owned(), files };
        settings.limits = limits;
    }
}

struct Serving {
    folder: TempDir,
    served: Served,
    address: SocketAddr,
}

async fn serving(limits: Limits) -> Option<Serving> {
    let folder = tempfile::tempdir().expect("a folder");
    let files = files(folder.path(), &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).await?;
    let (served, address) = Served::tcp("http://127.0.0.1:9", https(files, limits));
    Some(Serving { folder, served, address })
}

/// What curl says: whether it worked, and its output.
async fn curl(serving: &Serving, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--max-time", "10", "-w", "\n%{http_code}", "--cacert"])
        .arg(serving.folder.path().join("cert.pem"));
    let url = format!("https://{}{ATTESTATION}", serving.address);
    let output = command.args(arguments).arg(url).output().await.expect("curl(1) is installed");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn an_inherited_tcp_socket_speaks_tls_1_2_and_1_3_and_nothing_older_or_plain() {
    let Some(serving) = serving(Limits::default()).await else { return };
    for version in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let (worked, text) = curl(&serving, version).await;
        assert!(worked && text.contains("core_binary_hash") && text.ends_with("200"), "{version:?} {text}");
    }
    let (worked, text) = curl(&serving, &["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]).await;
    assert!(!worked, "{text}");
    let (worked, text) = curl(&serving, &["-H", "host: evil.example"]).await;
    assert!(worked && text.contains("forbidden") && text.ends_with("403"), "{text}");

    let mut plain = TcpStream::connect(serving.address).await.expect("connect");
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("write");
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_handshake_that_stands_still_is_cut_off_and_holds_a_place_until_then() {
    let limits = Limits { head: Duration::from_secs(3), api_connections: 1, ..Limits::default() };
    let Some(serving) = serving(limits).await else { return };
    let mut silent = TcpStream::connect(serving.address).await.expect("connect");
    let started = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (worked, text) = curl(&serving, &[]).await;
    assert!(worked, "{text}");
    assert!(started.elapsed() >= Duration::from_secs(2), "the one place was taken: {:?}", started.elapsed());
    let ended = tokio::time::timeout(Duration::from_secs(30), silent.read(&mut [0])).await.expect("cut off");
    assert!(matches!(ended, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_connection_that_was_accepted_before_the_stop_is_greeted_and_served_after_it() {
    let Some(mut serving) = serving(Limits::default()).await else { return };
    let mut accepted = TcpStream::connect(serving.address).await.expect("connect");
    tokio::time::sleep(Duration::from_millis(100)).await;
    serving.served.tell_to_stop();
    // curl connects to here, and from here on it is that connection.
    let relay = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    serving.address = relay.local_addr().expect("bound");
    let relaying = async move {
        let (mut client, _) = relay.accept().await.expect("accept");
        // How the two ends close is not what is asked here.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut accepted).await;
    };
    let ((worked, text), ()) = tokio::join!(curl(&serving, &["-i"]), relaying);
    assert!(worked && text.ends_with("200"), "{text}");
    assert!(text.to_ascii_lowercase().contains("connection: close"), "{text}");
}

#[tokio::test]
async fn files_that_are_none_or_do_not_go_together_are_a_configuration_error_without_the_keys_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(good) = files(folder.path(), &["rsa:2048"]).await else { return };
    let other = tempfile::tempdir().expect("a folder");
    let Some(foreign) = files(other.path(), &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]).await else { return };
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write");
        path
    };
    let refusal = |certificate: PathBuf, key: PathBuf| {
        let mut settings = settings("http://127.0.0.1:9");
        https(TlsFiles { certificate, key }, Limits::default())(&mut settings);
        match Protection::prepare(&settings) {
            Err(ConfigError::Tls(error)) => error,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        }
    };
    let absent = folder.path().join("absent");
    assert!(matches!(refusal(absent.clone(), good.key.clone()), TlsError::Read(..)));
    assert!(matches!(refusal(good.certificate.clone(), absent), TlsError::Read(..)));
    assert!(matches!(refusal(write("empty", ""), good.key.clone()), TlsError::NoCertificate(_)));
    assert!(matches!(refusal(good.certificate.clone(), foreign.key), TlsError::Unusable(_)));
    let broken = write("broken", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IQ==\n-----BEGIN");
    let text = refusal(good.certificate.clone(), broken).to_string();
    assert!(text.contains("broken") && !text.contains("c2VjcmV0"), "{text}");
    let mut settings = settings("http://127.0.0.1:9");
    https(good, Limits::default())(&mut settings);
    assert!(Protection::prepare(&settings).is_ok());
}
