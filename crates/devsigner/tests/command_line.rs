//! The binary: what a parent process sees of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cryfttee-devsigner"))
}

fn output(arguments: &[&str]) -> Output {
    binary().args(arguments).output().expect("it runs")
}

/// Starts it on a free port and returns it with the address that it prints.
fn start(keys: &std::path::Path) -> (Child, String) {
    let mut child = binary()
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

#[test]
fn it_prints_where_it_listens_warns_and_ends_well_on_both_signals() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut child, address) = start(&folder.path().join("keys"));
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.write_all(b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
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
    for part in ["--listen", "--keys", "--password-file", "development", "curl", "127.0.0.1:9000"] {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn usage_errors_are_64_and_bad_data_is_65() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().to_str().expect("text");
    assert_eq!(output(&[]).status.code(), Some(64));
    assert_eq!(output(&["--keys", keys, "--listen", "nonsense"]).status.code(), Some(64));
    let refused = output(&["--keys", keys, "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("loopback only"));
    assert!(refused.stdout.is_empty());
    std::fs::write(folder.path().join("bls-bad.json"), "{}").expect("written");
    let refused = output(&["--keys", keys, "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("bls-bad.json"));
}

#[test]
fn an_address_that_is_taken_is_69() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let keys = folder.path().to_str().expect("text");
    assert_eq!(output(&["--keys", keys, "--listen", &address]).status.code(), Some(69));
}
