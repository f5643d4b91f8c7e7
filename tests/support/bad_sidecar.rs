//! A sidecar that answers as the contract says, except for the one fault that `CRYFTTEE_FAULT` names. Only
//! for faults that the genuine sidecar cannot be made to show.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const BLS: &str = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
const TLS: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

fn main() {
    let fault = std::env::var("CRYFTTEE_FAULT").unwrap_or_default();
    if fault == "exit-early" {
        std::process::exit(3);
    }
    if let Ok(path) = std::env::var("CRYFTTEE_DUMP") {
        dump(&path).expect("dump");
    }
    if fault == "ignore-sigterm" {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    }
    // The private socket, or the only one there is.
    let last = if std::env::var("LISTEN_FDS").as_deref() == Ok("2") { 4 } else { 3 };
    // SAFETY: by the protocol this descriptor is a socket, and nothing else in this process owns it.
    let control = unsafe { UnixListener::from_raw_fd(last) };
    if fault == "worker-answers" {
        // SAFETY: there is one thread; the child goes on with the same code.
        let child = unsafe { libc::fork() };
        if child != 0 {
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
    }
    if fault == "escaping-worker" {
        // SAFETY: there is one thread; the child goes on with the same code.
        if unsafe { libc::fork() } == 0 {
            // SAFETY: takes nothing; the child leaves the sidecar's session and process group.
            unsafe { libc::setsid() };
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
    }
    for stream in control.incoming() {
        let (stream, fault) = (stream.expect("accept"), fault.clone());
        thread::spawn(move || {
            let _ = answer(stream, &fault);
        });
    }
}

fn answer(mut stream: UnixStream, fault: &str) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let nonce = path.split_once("nonce=").map_or("", |(_, nonce)| nonce);
    match fault {
        "hang" => loop {
            thread::sleep(Duration::from_secs(60));
        },
        "drip" => {
            for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".iter().cycle() {
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(100));
            }
        }
        "endless-headers" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"X-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")?;
            }
        }
        "endless-body" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 65536])?;
            }
        }
        "not-http" => return stream.write_all(b"\0\xff\xfe garbage\r\n\r\n"),
        "two-answers" => {
            let body = evidence(nonce, fault);
            respond(&mut stream, 200, &body)?;
            return respond(&mut stream, 200, &body);
        }
        _ => {}
    }
    match path.split('?').next().unwrap_or_default() {
        "/v1/runtime/attestation" if fault == "nested" => respond(&mut stream, 200, &"[".repeat(1_000_000)),
        "/v1/runtime/attestation" => respond(&mut stream, 200, &evidence(nonce, fault)),
        "/v1/staking/status" => respond(&mut stream, 200, &status(fault)),
        "/v1/staking/bls/register" if fault == "register-fails" => respond(&mut stream, 502, "{}"),
        "/v1/staking/bls/register" => {
            respond(&mut stream, 201, &format!("{{\"pubkey\":\"{BLS}\",\"secret_path\":\"x\"}}"))
        }
        "/v1/staking/tls/register" => {
            respond(&mut stream, 201, &format!("{{\"pubkey\":\"{TLS}\",\"secret_path\":\"x\",\"certificate\":\"\"}}"))
        }
        "/v1/runtime/admit" => {
            respond(&mut stream, 204, "")?;
            if fault == "exec-other" {
                return Err(Command::new("/bin/sleep").arg("60").exec());
            }
            if fault == "crash-after-ready" {
                thread::sleep(Duration::from_millis(50));
                std::process::abort();
            }
            Ok(())
        }
        _ => respond(&mut stream, 404, "{}"),
    }
}

fn evidence(nonce: &str, fault: &str) -> String {
    let measured = std::env::var("CRYFTTEE_VERIFIED_BINARY_HASH").unwrap_or_default();
    let hash = match fault {
        "wrong-hash" => format!("sha256:{}", "0".repeat(64)),
        "no-hash" => "none".to_owned(),
        _ => measured,
    };
    let source = if fault == "self-reported" { "self-reported" } else { "verified" };
    let nonce = if fault == "replay" { "00".repeat(32) } else { nonce.to_owned() };
    let pid = if fault == "wrong-pid" { 1 } else { std::process::id() };
    let version = if fault == "hostile-text" { "1\\nREADY=1\\u001b[31m" } else { "0.0.0" };
    format!(
        "{{\"core_binary_hash\":\"{hash}\",\"hash_source\":\"{source}\",\"cryfttee_version\":\"{version}\",\
         \"manifest_hash\":\"sha256:{}\",\"loaded_modules\":[],\"pid\":{pid},\"nonce\":\"{nonce}\",\"timestamp\":0}}",
        "0".repeat(64)
    )
}

fn status(fault: &str) -> String {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let asked = ASKED.fetch_add(1, Ordering::Relaxed);
    let connected = fault != "signer-away" && (fault != "signer-comes-late" || asked >= 3);
    let ready = fault != "not-ready";
    let keys = match fault {
        "no-keys" | "register-fails" => (String::new(), String::new()),
        _ => (format!("\"{BLS}\""), format!("\"{TLS}\"")),
    };
    let generation = if fault == "no-key-generation" { "" } else { ",\"key_generation\"" };
    format!(
        "{{\"ready\":{ready},\"web3signer_url\":\"http://signer\",\"web3signer_connected\":{connected},\
         \"bls_pubkeys\":[{}],\"tls_pubkeys\":[{}],\"module_version\":\"0\",\
         \"capabilities\":[\"bls_signing\",\"tls_signing\"{generation}]}}",
        keys.0, keys.1
    )
}

fn respond(stream: &mut UnixStream, status: u16, body: &str) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// Writes down what this process was given: environment, descriptors, privileges.
fn dump(path: &str) -> io::Result<()> {
    let mut text = String::new();
    for (name, value) in std::env::vars() {
        text.push_str(&format!("env {name}={value}\n"));
    }
    let mut descriptors: Vec<String> = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = std::fs::read_link(entry.path())?;
        // The one through which this folder is being read.
        if !target.starts_with("/proc") {
            descriptors.push(format!("fd {} {}\n", entry.file_name().to_string_lossy(), target.display()));
        }
    }
    descriptors.sort();
    text.extend(descriptors);
    text.push_str(&format!("pid {}\n", std::process::id()));
    text.push_str(&std::fs::read_to_string("/proc/self/status")?);
    std::fs::write(path, text)
}
