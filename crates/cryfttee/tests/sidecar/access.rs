//! Who is served: users and groups on a unix socket, nobody in particular on TCP, and no web page.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use cryfttee::access::{AccessSettings, Principal};
use cryfttee::config::Settings;
use cryfttee::listen::Role;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::Running;
use crate::support::client::{Answer, Client, ask, header};
use crate::support::signer::FakeSigner;
use crate::support::{BLS, Served, skipped, to_sign, wait_for};

const SIGN: &str = "/v1/staking/bls/sign";
const REGISTER: &str = "/v1/staking/bls/register";
const STATUS: &str = "/v1/staking/status";

/// Ids that no account of a test machine has.
const USER: u32 = 61_001;
const MEMBER: u32 = 61_002;
const GROUP: u32 = 61_007;
const STRANGER: u32 = 61_003;

fn generate() -> Value {
    json!({"action":"generate"})
}

/// Only root can become somebody else.
fn can_be_somebody_else(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skipped(test, "becoming another user needs root");
    }
    root
}

/// Opens the socket's folder and the socket to everybody, so that what refuses is the sidecar.
fn open_to_all(socket: &Path) {
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    mode(socket.parent().expect("a folder"), 0o711);
    mode(socket, 0o666);
}

/// Status and code of what curl gets as this user.
async fn as_user(uid: u32, gid: u32, groups: &str, socket: &Path, path: &str, body: Option<Value>) -> (u16, String) {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
    command.arg(if groups.is_empty() { "--clear-groups".to_owned() } else { format!("--groups={groups}") });
    command.args(["curl", "-s", "-w", "\n%{http_code}", "--unix-socket"]).arg(socket);
    if let Some(body) = body {
        command.args(["-H", "content-type: application/json", "-d", &body.to_string()]);
    }
    let output =
        command.arg(format!("http://localhost{path}")).stdin(Stdio::null()).output().await.expect("setpriv, curl");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (body, status) = text.rsplit_once('\n').expect("a status");
    let body: Value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{text} {output:?}", output = output.stderr));
    (status.parse().expect("a status"), body["code"].as_str().unwrap_or_default().to_owned())
}

async fn served(access: AccessSettings) -> (FakeSigner, Served) {
    let signer = FakeSigner::working().await;
    let served = Served::with(&signer.url, &[Role::Api, Role::Control], |settings| settings.access = access);
    open_to_all(&served.api);
    assert_eq!(ask(&served.control, "/v1/runtime/admit", "").await.status, 204);
    (signer, served)
}

fn fine(status: u16) -> (u16, String) {
    (status, String::new())
}

fn forbidden() -> (u16, String) {
    (403, "forbidden".to_owned())
}

#[tokio::test]
async fn without_lists_whoever_connects_signs_and_verifies_and_only_the_owner_makes_keys() {
    if !can_be_somebody_else("without_lists_whoever_connects_signs_and_verifies_and_only_the_owner_makes_keys") {
        return;
    }
    let (signer, mut served) = served(AccessSettings::default()).await;
    let api = served.api.clone();
    assert_eq!(as_user(STRANGER, STRANGER, "", &api, STATUS, None).await, fine(200));
    assert_eq!(as_user(STRANGER, STRANGER, "", &api, SIGN, Some(to_sign(1))).await, fine(200));
    let verify = json!({"mode":"verify","publicKey":BLS});
    assert_eq!(as_user(STRANGER, STRANGER, "", &api, REGISTER, Some(verify)).await, fine(200));
    assert_eq!(as_user(STRANGER, STRANGER, "", &api, REGISTER, Some(generate())).await, forbidden());
    assert!(signer.got().iter().all(|got| got.path != "/eth/v1/keystores"), "nothing was made");
    assert_eq!(as_user(0, 0, "", &api, REGISTER, Some(generate())).await, fine(201), "root");

    // A socket that belongs to the node's user, as the node's own set-up would make it.
    served.tell_to_stop();
    served.stopped().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api");
    let socket = std::os::unix::net::UnixListener::bind(&path).expect("bind");
    std::os::unix::fs::chown(&path, Some(USER), Some(GROUP)).expect("chown");
    let _served = Served::listening_at(&signer.url, socket);
    open_to_all(&path);
    assert_eq!(as_user(USER, USER, "", &path, REGISTER, Some(generate())).await, fine(201), "the owner");
    assert_eq!(as_user(MEMBER, GROUP, "", &path, REGISTER, Some(generate())).await, forbidden(), "a group member");
    assert_eq!(as_user(MEMBER, GROUP, "", &path, SIGN, Some(to_sign(1))).await, fine(200));
}

#[tokio::test]
async fn with_lists_everybody_else_is_denied_everything() {
    if !can_be_somebody_else("with_lists_everybody_else_is_denied_everything") {
        return;
    }
    let (_signer, served) = served(AccessSettings {
        allow_users: vec![Principal::Id(USER)],
        register_groups: vec![Principal::Id(GROUP)],
        ..Default::default()
    })
    .await;
    let api = &served.api;
    for (path, body) in [(STATUS, None), (SIGN, Some(to_sign(1))), ("/v1/runtime/attestation", None), ("/x", None)] {
        assert_eq!(as_user(STRANGER, STRANGER, "", api, path, body).await, forbidden(), "{path}");
    }
    assert_eq!(as_user(USER, USER, "", api, SIGN, Some(to_sign(1))).await, fine(200));
    assert_eq!(as_user(USER, USER, "", api, REGISTER, Some(generate())).await, forbidden());
    // A member by a supplementary group, past the first thirty-two, and one by the primary group.
    let many: Vec<String> = (62_000..62_100).chain([GROUP]).map(|gid| gid.to_string()).collect();
    assert_eq!(as_user(MEMBER, MEMBER, &many.join(","), api, REGISTER, Some(generate())).await, fine(201));
    assert_eq!(as_user(MEMBER, GROUP, "", api, SIGN, Some(to_sign(1))).await, fine(200));
    assert_eq!(ask(&served.control, REGISTER, generate()).await.status, 201, "control may do everything");
}

#[tokio::test]
async fn a_denied_client_is_told_in_the_log_with_who_it_is_and_what_it_asked() {
    if !can_be_somebody_else("a_denied_client_is_told_in_the_log_with_who_it_is_and_what_it_asked") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_cryfttee"))
        .env_clear()
        .args(["--uds-path", path.to_str().expect("UTF-8"), "--allow-users", "61001"])
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("start");
    wait_for(&path).await;
    open_to_all(&path);
    assert_eq!(as_user(STRANGER, STRANGER, "", &path, "/v1/staking/status%0a", None).await, forbidden());
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().try_into().expect("a pid")),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("it runs");
    let mut log = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().expect("piped"), &mut log).expect("UTF-8");
    child.wait().expect("it ends");
    let told: Vec<_> = log.lines().filter(|line| line.contains("denied on api")).collect();
    assert_eq!(told.len(), 1, "{log}");
    for part in ["uid=61003", "gid=61003", "pid=", "GET /v1/staking/status"] {
        assert!(told[0].contains(part), "{part}: {log}");
    }
}

async fn over_tcp(change: impl FnOnce(&mut Settings)) -> (FakeSigner, Served, std::net::SocketAddr) {
    let signer = FakeSigner::working().await;
    let (served, address) = Served::tcp(&signer.url, change);
    (signer, served, address)
}

async fn tcp_client(address: std::net::SocketAddr) -> Client<TcpStream> {
    Client::over(TcpStream::connect(address).await.expect("connect"))
}

#[tokio::test]
async fn over_tcp_keys_are_made_only_where_that_was_asked_for_and_nothing_is_where_there_are_lists() {
    let (_signer, _served, address) = over_tcp(|_| {}).await;
    let mut client = tcp_client(address).await;
    assert_eq!(client.post(SIGN, to_sign(1)).await.status, 200);
    assert_eq!(client.post(REGISTER, generate()).await.refusal(), forbidden());
    assert_eq!(client.get(STATUS).await.status, 200, "the connection goes on");

    let (_signer, _served, address) = over_tcp(|settings| settings.access.register_over_tcp = true).await;
    assert_eq!(tcp_client(address).await.post(REGISTER, generate()).await.status, 201);

    let listed = |settings: &mut Settings| {
        settings.access.allow_users = vec![Principal::Id(0)];
        settings.access.register_over_tcp = true;
    };
    let (_signer, _served, address) = over_tcp(listed).await;
    for path in [SIGN, REGISTER] {
        let answer = tcp_client(address).await.post(path, to_sign(1)).await;
        assert_eq!(answer.refusal(), forbidden());
        assert_eq!(header(&answer.head, "connection"), Some("close"));
    }
}

#[tokio::test]
async fn what_a_web_page_can_send_over_tcp_is_refused_and_reaches_no_signer() {
    let (signer, _served, address) = over_tcp(|settings| settings.http_addr = "signer.internal:8787".to_owned()).await;
    let send = async |headers: &str| -> Answer {
        let mut client = tcp_client(address).await;
        let body = to_sign(1).to_string();
        let length = body.len();
        client.send(format!("POST {SIGN} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}")).await;
        client.answer().await.expect("an answer")
    };
    for headers in [
        "host: localhost\r\norigin: http://localhost:8787\r\n",
        "host: localhost\r\norigin: null\r\n",
        "host: evil.example:8787\r\n",
        "host: 192.0.2.1\r\n",
        "",
    ] {
        assert_eq!(send(headers).await.refusal(), forbidden(), "{headers:?}");
    }
    assert_eq!(signer.got(), []);
    for host in ["localhost", "127.0.0.1:1", "[::1]:8787", "Signer.Internal:8787"] {
        assert_eq!(send(&format!("host: {host}\r\n")).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn on_a_unix_socket_no_host_and_no_origin_matters() {
    let signer = FakeSigner::working().await;
    let served = Served::api(&signer.url, cryfttee::config::Limits::default());
    let mut client = Client::connect(&served.api).await;
    client.send(format!("GET {STATUS} HTTP/1.1\r\nhost: any.example\r\norigin: http://x\r\n\r\n")).await;
    assert_eq!(client.answer().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn every_denial_is_counted_and_a_flood_of_them_on_one_connection_is_told_in_part() {
    const DENIED: usize = 50;
    let address = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("bound").to_string();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cryfttee"));
    command.env_clear().args(["--api-transport", "http", "--http-addr", &address]);
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
    while !running.line().contains("ready: serving api") {}
    let mut client = tcp_client(address.parse().expect("an address")).await;
    for _ in 0..DENIED {
        assert_eq!(client.post(REGISTER, generate()).await.refusal(), forbidden());
    }
    drop(client);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    let (code, log) = running.end().await;
    assert_eq!(code, Some(0), "{log}");
    let told = log.lines().filter(|line| line.contains("denied on api")).count();
    let untold =
        log.lines().filter_map(|line| line.split_once(" more denials")?.0.rsplit(' ').next()?.parse::<usize>().ok());
    assert_eq!(told + untold.sum::<usize>(), DENIED, "{log}");
    assert!((1..DENIED).contains(&told), "{log}");
}
