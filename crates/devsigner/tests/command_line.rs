//! The binary: what a parent process sees of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cryfttee-devsigner"))
}

fn output(arguments: &[&str]) -> Output {
    binary().args(arguments).output().expect("it runs")
}

/// Starts it on a free port and returns it with the address that it prints.
fn start_with(keys: &std::path::Path, arguments: &[&str]) -> (Child, String) {
    let mut child = binary()
        .args(arguments)
        .args(["--listen", "127.0.0.1:0", "--keys"])
        .arg(keys)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim_end().strip_prefix("listening on http://").expect("the line").to_owned();
    (child, address)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn it_prints_where_it_listens_warns_and_ends_well_on_both_signals() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut child, address) = start_with(&folder.path().join("keys"), &["--as", "eth2"]);
        assert!(get(&address, "/upcheck").starts_with("HTTP/1.1 200 OK"));
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        let mut told = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
        assert!(told.contains("FOR DEVELOPMENT ONLY"), "{told}");
    }
}

#[test]
fn help_teaches_how_to_use_it() {
    let output = output(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).expect("text");
    for part in
        ["--as", "--extensions", "--listen", "--keys", "--password-file", "development", "curl", "127.0.0.1:9000"]
    {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn usage_errors_are_64_and_a_password_that_is_none_is_65() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().to_str().expect("text");
    assert_eq!(output(&[]).status.code(), Some(64));
    for wrong in [
        ["--listen", "nonsense"],
        ["--extensions", "raw,nonsense"],
        ["--network", "nonsense"],
        ["--load-delay", "5"],
        ["--key-manager-api-enabled", "maybe"],
    ] {
        let refused = output(&[&["--as", "eth2", "--keys", keys], &wrong[..]].concat());
        assert_eq!(refused.status.code(), Some(64), "{wrong:?}");
    }
    // Before the keys are loaded: a mistake is not to be waited for.
    let refused = output(&["--as", "eth2", "--keys", keys, "--listen", "0.0.0.0:0", "--load-delay", "10m"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("loopback only"));
    assert!(refused.stdout.is_empty());
    std::fs::write(folder.path().join("password"), "").expect("written");
    let refused = output(&["--as", "eth2", "--keys", keys, "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("password"));
}

#[test]
fn without_a_kind_it_ends_with_64_and_says_the_two_lines_to_type() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().to_str().expect("text");
    let refused = output(&["--keys", keys, "--listen", "127.0.0.1:9100", "--extensions", "raw"]);
    assert_eq!(refused.status.code(), Some(64));
    let told = String::from_utf8(refused.stderr).expect("text");
    for line in [
        format!("cryfttee-devsigner --as eth2 --listen 127.0.0.1:9100 --keys {keys}"),
        format!("cryfttee-devsigner --as eth1 --listen 127.0.0.1:9101 --keys {keys}"),
    ] {
        assert!(told.lines().any(|told| told.trim() == line), "{told}");
    }
    let (mut child, address) = start_with(folder.path(), &["--extensions", "both-kinds"]);
    for kind in ["eth1", "eth2"] {
        assert!(get(&address, &format!("/api/v1/{kind}/publicKeys")).starts_with("HTTP/1.1 200 OK"));
    }
    child.kill().expect("killed");
    child.wait().expect("it ended");
}

#[test]
fn the_port_opens_only_once_the_keys_are_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let listen = free.to_string();
    let begun = Instant::now();
    let mut child = binary()
        .args(["--as", "eth2", "--load-delay", "1500ms", "--listen", &listen, "--keys"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    std::thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(free).is_err(), "refused while it loads");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert!(get(&listen, "/upcheck").starts_with("HTTP/1.1 200 OK"));
    child.kill().expect("killed");
    child.wait().expect("it ended");
}

#[test]
fn a_key_file_that_fails_is_one_line_and_no_reason_not_to_start() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("bad.yaml"), "type: hashicorp\n").expect("written");
    std::fs::write(folder.path().join("worse.json"), "{}").expect("written");
    let (mut child, address) = start_with(folder.path(), &["--as", "eth2"]);
    assert!(get(&address, "/upcheck").starts_with("HTTP/1.1 200 OK"));
    assert!(get(&address, "/healthcheck").starts_with("HTTP/1.1 503"));
    child.kill().expect("killed");
    child.wait().expect("it ended");
    let mut told = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
    for name in ["bad.yaml", "worse.json"] {
        assert_eq!(told.lines().filter(|line| line.contains("ERROR") && line.contains(name)).count(), 1, "{told}");
    }
}

#[test]
fn an_address_that_is_taken_is_69() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let keys = folder.path().to_str().expect("text");
    assert_eq!(output(&["--as", "eth1", "--keys", keys, "--listen", &address]).status.code(), Some(69));
}
