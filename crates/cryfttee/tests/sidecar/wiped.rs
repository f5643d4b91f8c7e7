//! What is left in the sidecar's memory of a key that it made: nothing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use cryfttee_devsigner::keystore::{Keystore, Password};
use serde_json::{Value, json};

use crate::process::Running;
use crate::support::client::{ask, get};
use crate::support::signer::{FakeSigner, Reply};
use crate::support::{skipped, to_sign, wait_for};

/// Everything that a process can write to, region by region; `None` where it may not be read.
fn memory(pid: u32) -> Option<Vec<(String, Vec<u8>)>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mem = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut regions = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        mem.read_exact_at(&mut bytes, from).ok()?;
        regions.push((line.to_owned(), bytes));
    }
    Some(regions)
}

/// In which regions these bytes stand.
fn places<'a>(memory: &'a [(String, Vec<u8>)], wanted: &[u8]) -> Vec<&'a str> {
    let found = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    memory.iter().filter(|(_, bytes)| found(bytes)).map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn neither_the_password_nor_the_secret_of_an_imported_key_stays_in_memory() {
    const TEST: &str = "neither_the_password_nor_the_secret_of_an_imported_key_stays_in_memory";
    let signer = FakeSigner::working_but(|got| match (got.method.as_str(), got.path.as_str()) {
        ("POST", "/eth/v1/keystores") => Some(Reply::json(r#"{"data":[{"status":"imported"}]}"#)),
        _ => None,
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryfttee"));
    command.env_clear().args(["--key-generation", "import", "--web3signer-url", &signer.url, "--uds-path"]);
    command.arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::start(&mut command);
    wait_for(&socket).await;

    let made = ask(&socket, "/v1/staking/bls/register", json!({"action":"generate"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    // A signature by the same key, and a status: what a kept connection would go on with.
    let sign = to_sign(1);
    assert_eq!(ask(&socket, "/v1/staking/bls/sign", sign).await.status, 200);
    assert_eq!(get(&socket, "/v1/staking/status").await.status, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;

    let got = signer.got();
    let imports: Vec<_> = got.iter().filter(|got| got.path == "/eth/v1/keystores" && got.method == "POST").collect();
    let [import] = &imports[..] else { panic!("one import") };
    let body: Value = serde_json::from_str(&import.body).expect("JSON");
    let password = body["passwords"][0].as_str().expect("a text");
    let keystore = Keystore::parse(body["keystores"][0].as_str().expect("a text").as_bytes()).expect("a keystore");
    let secret = keystore.open(&Password::new(password)).expect("opens");
    let big_endian: [u8; 32] = secret[..].try_into().expect("32 bytes");
    let mut little_endian = big_endian;
    little_endian.reverse();

    let Some(memory) = memory(running.pid()) else {
        return skipped(TEST, "the memory of another process cannot be read here");
    };
    assert!(!places(&memory, signer.url.as_bytes()).is_empty(), "the search finds what is there");
    for (what, bytes) in [
        ("the password", password.as_bytes()),
        ("the password, in bytes", &hex::decode(password).expect("hex")),
        ("the secret", &big_endian),
        ("the secret, as blst keeps it", &little_endian),
    ] {
        assert_eq!(places(&memory, bytes), Vec::<&str>::new(), "{what}");
    }
    let others = got.iter().filter(|got| got.connection == import.connection).count();
    assert_eq!(others, 1, "the import had a connection of its own");
}
