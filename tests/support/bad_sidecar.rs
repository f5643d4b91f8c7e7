//! A sidecar that answers as the contract says, except for the one fault that `CRYFTTEE_FAULT` names. Only
//! for faults that the genuine sidecar cannot be made to show.
#![allow(unsafe_code, reason = "what it does wrong, no safe wrapper does")]

mod many_keys;
mod signing;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const BLS: &str = "0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
/// The generator twice.
const OTHER_BLS: &str =
    "0xa572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e";
const TLS: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

const OTHER_TLS: &str = "0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";

fn main() {
    // By a file, where a later sidecar of the same verifier is to have another fault.
    let by_file = std::env::var("CRYFTTEE_FAULT_FILE").ok().and_then(|path| std::fs::read_to_string(path).ok());
    let fault = by_file.or_else(|| std::env::var("CRYFTTEE_FAULT").ok()).unwrap_or_default();
    if fault == "sleep" {
        thread::sleep(Duration::from_secs(60));
    }
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
    if fault == "hostile-lines" {
        let mut stderr = io::stderr();
        stderr.write_all(b"\x1b[2J\x1b[31mred\r\x00\nREADY=1\nMESSAGE=all is well\n").expect("write");
        stderr.write_all(&[b'a'; 1024 * 1024]).expect("write");
        stderr.write_all(b"\n").expect("write");
    }
    if fault == "say-and-exit" {
        eprintln!("these were my last words");
        std::process::exit(4);
    }
    for stream in control.incoming() {
        let (stream, fault) = (stream.expect("accept"), fault.clone());
        let headless = fault == "headless";
        let answering = thread::spawn(move || {
            let _ = answer(stream, &fault);
        });
        if headless {
            let _ = answering.join();
            if ADMITTED.load(Ordering::Relaxed) {
                thread::spawn(|| {
                    loop {
                        thread::sleep(Duration::from_secs(60));
                    }
                });
                // SAFETY: ends this thread alone, which holds nothing that the others need.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            }
        }
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
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    let generates = body.contains("generate");
    let asked: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let asked = asked["publicKey"].as_str().unwrap_or(BLS).to_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let nonce = path.split_once("nonce=").map_or("", |(_, nonce)| nonce);
    // The fault of an answer, but none before clients are let in.
    let fault = match fault.strip_suffix("-after-ready") {
        Some("crash") => fault,
        Some(later) if ADMITTED.load(Ordering::Relaxed) => later,
        Some(_) => "",
        None => fault,
    };
    match fault {
        "worker-answers-later" if ADMITTED.load(Ordering::Relaxed) => {
            // SAFETY: the child writes one answer and ends; it takes no lock that another thread may hold.
            if unsafe { libc::fork() } != 0 {
                return Ok(());
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            // SAFETY: ends the child at once, without the exit handlers of the process that it was forked from.
            unsafe { libc::_exit(0) };
        }
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
        // In one piece, or the second could come when nobody looks any more.
        "two-answers" if path.starts_with("/v1/runtime/attestation") => {
            let mut both = Vec::new();
            respond(&mut both, 200, &evidence(nonce, fault))?;
            respond(&mut both, 200, &evidence(nonce, fault))?;
            return stream.write_all(&both);
        }
        _ => {}
    }
    if let Some(log) = std::env::var_os("CRYFTTEE_ASKED") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        log.write_all(format!("{} {path} {body}\n", request.split(' ').next().unwrap_or_default()).as_bytes())?;
    }
    match path.split('?').next().unwrap_or_default() {
        // By a file, where a test has a whole signer in mind.
        "/v1/staking/status" if std::env::var_os("CRYFTTEE_STATUS_FILE").is_some() => {
            let status = std::fs::read_to_string(std::env::var_os("CRYFTTEE_STATUS_FILE").unwrap_or_default())?;
            respond(&mut stream, 200, &status)
        }
        "/v1/runtime/signer/reload" if std::env::var_os("CRYFTTEE_STATUS_FILE").is_some() => {
            let status = std::path::PathBuf::from(std::env::var_os("CRYFTTEE_STATUS_FILE").unwrap_or_default());
            let _ = std::fs::rename(status.with_extension("reloaded"), status);
            later(fault)?;
            respond(&mut stream, 200, "{\"reloaded\":[\"eth2\"],\"why\":{}}")
        }
        "/v1/runtime/attestation" if fault == "nested" => respond(&mut stream, 200, &"[".repeat(1_000_000)),
        "/v1/runtime/attestation" => respond(&mut stream, 200, &evidence(nonce, fault)),
        "/v1/staking/status" if fault == "status-fails-later" && ADMITTED.load(Ordering::Relaxed) => respond(
            &mut stream,
            504,
            "{\"error\":\"Web3Signer did not answer in time\",\"code\":\"timeout\",\"details\":\"\"}",
        ),
        "/v1/staking/status" => respond(&mut stream, 200, &status(fault)),
        "/v1/staking/bls/register" if fault == "register-fails" => respond(&mut stream, 502, "{}"),
        "/v1/staking/bls/register" if !generates && std::env::var_os("CRYFTTEE_VERIFY").is_some() => {
            let said = std::env::var("CRYFTTEE_VERIFY").unwrap_or_default();
            let (status, code) = said.split_once(' ').unwrap_or_default();
            let body = format!("{{\"error\":\"x\",\"code\":\"{code}\",\"details\":\"\"}}");
            respond(&mut stream, status.parse().unwrap_or(500), &body)
        }
        "/v1/staking/bls/register" => {
            let key = if generates { kept("bls", true).pop().unwrap_or(BLS) } else { &asked };
            let proof = std::env::var("CRYFTTEE_PROOF").map(|proof| format!(",\"proof_of_possession\":\"{proof}\""));
            let proof = proof.unwrap_or_default();
            respond(&mut stream, 201, &format!("{{\"pubkey\":\"{key}\",\"secret_path\":\"x\"{proof}}}"))
        }
        "/v1/staking/tls/register" => {
            let key = kept("tls", true).pop().unwrap_or(TLS);
            let body = format!("{{\"pubkey\":\"{key}\",\"secret_path\":\"x\",\"certificate\":\"a certificate\"}}");
            respond(&mut stream, 201, &body)
        }
        "/v1/staking/tls/sign" if std::env::var_os("CRYFTTEE_SIGNS").is_some() => {
            let asked: serde_json::Value = serde_json::from_str(&body)?;
            let data: contract::Bytes = asked["data"].as_str().and_then(|data| data.parse().ok()).expect("bytes");
            let signature = contract::Bytes(signing::sign(&data.0));
            respond(&mut stream, 200, &format!("{{\"signature\":\"{signature}\"}}"))
        }
        "/v1/runtime/admit" => {
            respond(&mut stream, 204, "")?;
            ADMITTED.store(true, Ordering::Relaxed);
            later(fault)?;
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

static ADMITTED: AtomicBool = AtomicBool::new(false);

/// What a sidecar that was admitted does to itself.
fn later(fault: &str) -> io::Result<()> {
    match fault {
        "say-and-exec" => {
            eprintln!("these were my last words");
            Err(Command::new("/bin/sleep").arg("60").exec())
        }
        // The very binary that was appraised, but from the disk: whoever can write there could change it.
        "exec-self" => Err(Command::new(std::env::var("CRYFTTEE_SELF").unwrap_or("/usr/bin/cryfttee".to_owned()))
            .env("CRYFTTEE_FAULT", "sleep")
            .exec()),
        "anonymous-code" => map(None, libc::PROT_READ | libc::PROT_EXEC),
        "writable-code" => map(None, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC),
        "map-library" => {
            let library = std::fs::File::open(std::env::var("CRYFTTEE_LIBRARY").expect("a path"))?;
            map(Some(&library), libc::PROT_READ | libc::PROT_EXEC)
        }
        "patch-text" => patch(evidence as *const () as u64),
        "patch-kernel-page" => {
            let maps = std::fs::read_to_string("/proc/self/maps")?;
            let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("the kernel's page");
            patch(u64::from_str_radix(line.split('-').next().expect("a range"), 16).expect("an address"))
        }
        "fork-later" => Command::new("/bin/sleep").arg("60").spawn().map(drop),
        "orphan-later" => Command::new("/bin/sh").args(["-c", "sleep 60 & "]).spawn()?.wait().map(drop),
        "exec-anew" => Err(Command::new("/proc/self/exe").env("CRYFTTEE_FAULT", "sleep").env("LD_PRELOAD", "").exec()),
        "jit-and-library" => {
            map(None, libc::PROT_READ | libc::PROT_EXEC)?;
            later("map-library")
        }
        "too-many-mappings" => {
            for _ in 0..6000 {
                // Every other one, or the kernel makes one of them.
                map(None, libc::PROT_READ | libc::PROT_EXEC)?;
                map(None, libc::PROT_READ)?;
            }
            Ok(())
        }
        "shut-reading" => {
            // SAFETY: by the protocol descriptor 3 is the public socket; shutting it down touches no memory.
            match unsafe { libc::shutdown(3, libc::SHUT_RD) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
        "patch-library" => patch(libc::getpid as *const () as u64),
        "shut-socket" => {
            // SAFETY: by the protocol descriptor 3 is the public socket; shutting it down touches no memory.
            match unsafe { libc::shutdown(3, libc::SHUT_RDWR) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
        _ => Ok(()),
    }
}

fn map(file: Option<&std::fs::File>, protection: libc::c_int) -> io::Result<()> {
    let (flags, fd) = match file {
        Some(file) => (libc::MAP_PRIVATE, std::os::fd::AsRawFd::as_raw_fd(file)),
        None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
    };
    // SAFETY: a new mapping at a place of the kernel's choice; nothing refers to it.
    match unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, fd, 0) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Writes the byte that stands in program text once more: the page is then this process's own.
fn patch(address: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let memory = std::fs::OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    let mut byte = [0];
    memory.read_exact_at(&mut byte, address)?;
    memory.write_all_at(&byte, address)
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
    let version = if fault == "hostile-text" {
        "1\\nREADY=1\\nMESSAGE=forged\\nCRYFTTEE_EVENT=forged\\u001b[31m"
    } else {
        "0.0.0"
    };
    format!(
        "{{\"core_binary_hash\":\"{hash}\",\"hash_source\":\"{source}\",\"cryfttee_version\":\"{version}\",\
         \"manifest_hash\":\"sha256:{}\",\"loaded_modules\":[],\"pid\":{pid},\"nonce\":\"{nonce}\",\"timestamp\":0}}",
        "0".repeat(64)
    )
}

fn status(fault: &str) -> String {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let asked = ASKED.fetch_add(1, Ordering::Relaxed);
    let gone = std::env::var("CRYFTTEE_SIGNER_GONE").is_ok_and(|path| std::path::Path::new(&path).exists());
    let connected = !gone && fault != "signer-away" && (fault != "signer-comes-late" || asked >= 3);
    let ready = fault != "not-ready";
    let listed = |keys: Vec<&str>| keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(",");
    let keys = match fault {
        _ if std::env::var_os("CRYFTTEE_KEYS").is_some() => (listed(kept("bls", false)), listed(kept("tls", false))),
        "no-keys" | "no-keys-and-no-key-generation" | "register-fails" => (String::new(), String::new()),
        "ten-thousand-keys" => {
            many_keys::ten_thousand().each_ref().map(|keys| listed(keys.iter().map(String::as_str).collect())).into()
        }
        "other-keys" => (format!("\"{OTHER_BLS}\""), format!("\"{TLS}\"")),
        _ => (format!("\"{BLS}\""), format!("\"{TLS}\"")),
    };
    let generation = if fault.ends_with("no-key-generation") { "" } else { ",\"key_generation\"" };
    let bls = if fault == "no-bls-signing" { "" } else { "\"bls_signing\"," };
    format!(
        "{{\"ready\":{ready},\"web3signer_url\":\"http://signer\",\"web3signer_connected\":{connected},\
         \"bls_pubkeys\":[{}],\"tls_pubkeys\":[{}],\"module_version\":\"0\",\
         \"capabilities\":[{bls}\"tls_signing\"{generation}]}}",
        keys.0, keys.1
    )
}

/// The keys of a signer that keeps what it made: a folder that outlives this process, with a file for each kind and a line
/// for each key. `more` makes another one.
fn kept(kind: &str, more: bool) -> Vec<&'static str> {
    let Some(folder) = std::env::var_os("CRYFTTEE_KEYS") else { return Vec::new() };
    let path = std::path::Path::new(&folder).join(kind);
    if more {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("open");
        file.write_all(b"made\n").expect("write");
    }
    let count = std::fs::read_to_string(path).unwrap_or_default().lines().count();
    let all = if kind == "bls" { [BLS, OTHER_BLS] } else { [TLS, OTHER_TLS] };
    all.into_iter().take(count).collect()
}

fn respond(stream: &mut impl io::Write, status: u16, body: &str) -> io::Result<()> {
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
