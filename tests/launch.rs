//! What the sidecar is given, what it is not, and what becomes of its words.

mod support;

use std::collections::BTreeMap;

use support::Host;

struct Dump {
    environment: BTreeMap<String, String>,
    descriptors: Vec<String>,
    rest: String,
}

impl Dump {
    fn of(host: &Host, variables: &[(&str, &str)]) -> Self {
        let mut command = host.with_fault("");
        command.env("CRYFTTEE_DUMP", host.path("dump")).envs(variables.iter().copied());
        let running = host.start(command);
        let sidecar = running.sidecar();
        assert_eq!(running.stop().code, Some(0));
        let text = std::fs::read_to_string(host.path("dump")).expect("the sidecar ran");
        let lines = |start: &'static str| text.lines().filter_map(move |line| line.strip_prefix(start));
        let environment =
            lines("env ").filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let dump = Self { environment, descriptors: lines("fd ").map(str::to_owned).collect(), rest: text.clone() };
        assert!(text.contains(&format!("pid {sidecar}\n")), "another process wrote the dump");
        dump
    }

    fn status(&self, field: &str) -> String {
        let line = self.rest.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field}")).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn the_loader_and_systemds_own_variables_are_absent_in_the_child() {
    let host = Host::new();
    let hostile = ["LD_LIBRARY_PATH", "GLIBC_TUNABLES", "LISTEN_PIDFDID", "INVOCATION_ID", "MAINPID", "PATH", "HOME"];
    let given = hostile.map(|name| (name, "/nonexistent"));
    let dump = Dump::of(&host, &[&given[..], &[("WATCHDOG_USEC", "60000000"), ("JOURNAL_STREAM", "1:1")]].concat());
    // The notify socket is there in every run of this harness.
    for name in hostile.into_iter().chain(["NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"]) {
        assert!(!dump.environment.contains_key(name), "{name}");
    }
    let allowed = |name: &str| name.starts_with("CRYFTTEE_") || name.starts_with("LISTEN_");
    assert!(dump.environment.keys().all(|name| allowed(name)), "{:?}", dump.environment);
}

#[test]
fn the_child_sees_its_own_listen_variables_and_the_settings() {
    let host = Host::new();
    let dump = Dump::of(&host, &[]);
    let pid = dump.rest.lines().find_map(|line| line.strip_prefix("pid ")).expect("pid");
    let expected = [
        ("LISTEN_PID", pid.to_owned()),
        ("LISTEN_FDS", "2".to_owned()),
        ("LISTEN_FDNAMES", "api:control".to_owned()),
        ("CRYFTTEE_API_TRANSPORT", "uds".to_owned()),
        ("CRYFTTEE_UDS_PATH", host.path("api.sock").display().to_string()),
        ("CRYFTTEE_WEB3SIGNER_URL", "http://localhost:9000".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(dump.environment.get(name), Some(&value), "{name}");
    }
    assert!(dump.environment["CRYFTTEE_VERIFIED_BINARY_HASH"].starts_with("sha256:"));
    assert!(!dump.environment.contains_key("CRYFTTEE_EXPECTED_BLS_PUBKEY"), "at the first start no key is known");
}

#[test]
fn a_restart_tells_the_child_which_keys_are_expected() {
    let host = Host::new();
    let _first = Dump::of(&host, &[]);
    let second = Dump::of(&host, &[("CRYFTTEE_EXPECTED_TLS_PUBKEY", "0xforged")]);
    for (variable, file) in
        [("CRYFTTEE_EXPECTED_BLS_PUBKEY", "bls_pubkey"), ("CRYFTTEE_EXPECTED_TLS_PUBKEY", "tls_pubkey")]
    {
        let saved = std::fs::read_to_string(host.path("state/staking").join(file)).expect("saved");
        assert_eq!(second.environment[variable], saved.trim(), "{variable}");
    }
}

#[test]
fn the_child_has_exactly_the_standard_streams_and_the_two_sockets() {
    let host = Host::new();
    let dump = Dump::of(&host, &[]);
    let numbers: Vec<&str> = dump.descriptors.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"], "{:?}", dump.descriptors);
    assert!(dump.descriptors[0].ends_with("/dev/null"), "{:?}", dump.descriptors);
    assert!(dump.descriptors[3].contains("socket:") && dump.descriptors[4].contains("socket:"));
}

#[test]
fn the_child_holds_no_capability_and_can_gain_no_privilege() {
    let host = Host::new();
    let dump = Dump::of(&host, &[]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(dump.status(set), "0000000000000000", "{set}");
    }
    assert_eq!(dump.status("NoNewPrivs"), "1");
    // Rust's runtime, in the bad sidecar too, ignores SIGPIPE (bit 12); nothing else is ignored or blocked.
    assert_eq!(dump.status("SigIgn"), "0000000000001000");
    assert_eq!(dump.status("SigBlk"), "0000000000000000");
}

#[test]
fn as_root_the_child_runs_as_the_configured_user_and_no_group_stays() {
    if !nix::unistd::geteuid().is_root() {
        support::skip("as_root_the_child_runs_as_the_configured_user_and_no_group_stays", "needs root");
        return;
    }
    let host = Host::new();
    let nobody = nix::unistd::User::from_name("nobody").expect("look up").expect("nobody");
    // The dump is written by that user.
    std::fs::write(host.path("dump"), "").expect("file");
    nix::unistd::chown(&host.path("dump"), Some(nobody.uid), None).expect("chown");
    nix::unistd::chown(&host.path(""), Some(nobody.uid), None).expect("chown");
    let mut command = host.with_fault("");
    command.env("CRYFTTEE_DUMP", host.path("dump")).args(["--launch-user", "nobody"]);
    let running = host.start(command);
    assert_eq!(running.stop().code, Some(0));
    let rest = std::fs::read_to_string(host.path("dump")).expect("dump");
    let dump = Dump { environment: BTreeMap::new(), descriptors: Vec::new(), rest };
    let (uid, gid) = (nobody.uid.to_string(), nobody.gid.to_string());
    assert_eq!(dump.status("Uid"), [uid.as_str(); 4].join(" "));
    assert_eq!(dump.status("Gid"), [gid.as_str(); 4].join(" "));
    assert_eq!(dump.status("Groups"), "");
    assert_eq!(dump.status("CapEff"), "0000000000000000");
}

#[test]
fn an_unknown_user_is_a_configuration_error() {
    let host = Host::new();
    let mut command = host.with_fault("");
    command.args(["--launch-user", "no-such-user"]);
    let ended = host.run(command);
    assert_eq!(ended.code, Some(i32::from(contract::exit::CONFIG)), "{ended:?}");
    assert!(ended.refusal().contains("no-such-user"), "{ended:?}");
}

#[test]
fn inherit_plain_hands_over_the_public_socket_alone_and_attests_on_it() {
    let host = Host::new();
    let mut command = host.with_fault("");
    command.args(["--handoff", "inherit-plain"]).env("CRYFTTEE_DUMP", host.path("dump"));
    let ended = host.start(command).stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("may answer clients before it is attested"), "{ended:?}");
    let dump = std::fs::read_to_string(host.path("dump")).expect("the sidecar ran");
    assert!(dump.contains("env LISTEN_FDS=1\n") && dump.contains("env LISTEN_FDNAMES=api\n"), "{dump}");
    assert_eq!(dump.lines().filter(|line| line.starts_with("fd ")).count(), 4, "{dump}");
    assert!(!host.path("private").exists());
}

#[test]
fn with_inherit_plain_too_an_answer_from_another_process_is_a_forgery() {
    let host = Host::new();
    let mut command = host.with_fault("worker-answers");
    // A look at the processes would find the worker itself first.
    command.args(["--handoff", "inherit-plain", "--watch-mappings", "off"]);
    let ended = host.run(command);
    assert_eq!(ended.code, Some(i32::from(contract::exit::INTEGRITY)), "{ended:?}");
    assert!(ended.refusal().contains("answered in place of the sidecar"), "{ended:?}");
}

#[test]
fn where_memfds_may_not_be_executed_the_start_says_so_and_the_opened_file_is_the_declared_fallback() {
    let test = "where_memfds_may_not_be_executed_the_start_says_so_and_the_opened_file_is_the_declared_fallback";
    // The setting belongs to a pid namespace, so one is made for it.
    let in_namespace = |command: &std::process::Command| {
        let mut outer = std::process::Command::new("unshare");
        let script = "echo 2 >/proc/sys/vm/memfd_noexec || exit 111; exec \"$@\"";
        outer.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"]);
        outer.arg(command.get_program()).args(command.get_args()).env_clear();
        outer.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
        outer.env("PATH", "/usr/bin:/bin");
        outer
    };
    let host = Host::new();
    let mut sealed = in_namespace(&host.with_fault(""));
    host.wire(&mut sealed);
    let ended = host.run(sealed);
    if ended.stderr.starts_with("unshare:") || ended.code == Some(111) {
        support::skip(test, "needs root and Linux 6.3 or later");
        return;
    }
    assert_eq!(ended.code, Some(i32::from(contract::exit::OS)), "{ended:?}");
    assert!(ended.refusal().contains("vm.memfd_noexec=2") && ended.refusal().contains("launch.image"), "{ended:?}");

    let mut command = host.with_fault("signer-away");
    command.args(["--launch-image", "fd"]);
    let mut fallback = in_namespace(&command);
    host.wire(&mut fallback);
    let ended = host.run(fallback);
    assert_eq!(ended.code, Some(i32::from(contract::exit::UNAVAILABLE)), "{ended:?}");
    assert!(ended.stderr.contains("the file itself: launch.image = \"fd\""), "{ended:?}");
    assert!(ended.stderr.contains("Attested: "), "{ended:?}");
}

#[test]
fn a_copy_that_does_not_fit_is_refused_and_nothing_runs() {
    let host = Host::new();
    let command = host.with_fault("");
    // A bound on the size of written files stands in for a full memory; the ignored signal makes it an error.
    let mut bounded = std::process::Command::new("/bin/sh");
    bounded.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"]).arg(command.get_program());
    bounded.args(command.get_args()).env_clear();
    bounded.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    bounded.env("CRYFTTEE_DUMP", host.path("ran"));
    host.wire(&mut bounded);
    let ended = host.run(bounded);
    assert_eq!(ended.code, Some(i32::from(contract::exit::OS)), "{ended:?}");
    assert!(ended.refusal().contains("copy") && ended.refusal().contains("to memory"), "{ended:?}");
    assert!(!host.path("ran").exists());
}

#[test]
fn where_no_process_may_be_made_the_start_is_refused_as_the_systems_word() {
    let test = "where_no_process_may_be_made_the_start_is_refused_as_the_systems_word";
    if !nix::unistd::geteuid().is_root() {
        support::skip(test, "needs root, to become a user whose processes are counted");
        return;
    }
    let host = Host::new();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(host.path(""), everybody).expect("mode");
    let binary = host.path("cryfttee");
    std::fs::copy(support::bad_sidecar(), &binary).expect("copy");
    let verifier = host.path("cryftgo-tee");
    std::fs::copy(env!("CARGO_BIN_EXE_cryftgo-tee"), &verifier).expect("copy");
    let command = host.command(&binary);
    let mut limited = std::process::Command::new("setpriv");
    // A uid that nothing else here has: the limit counts all processes of a user.
    limited.args(["--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=1"]);
    limited.arg(command.get_program()).args(command.get_args().map(|argument| {
        let own = argument == env!("CARGO_BIN_EXE_cryftgo-tee");
        if own { verifier.as_os_str() } else { argument }
    }));
    limited.env_clear().env("PATH", "/usr/bin:/bin");
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    host.wire(&mut limited);
    let ended = host.run(limited);
    assert_eq!(ended.code, Some(i32::from(contract::exit::OS)), "{ended:?}");
    assert!(ended.refusal().contains("Resource temporarily unavailable"), "{ended:?}");
}

/// A verifier with a transport on TCP and certificates, which the bad sidecar does not read.
fn https(host: &Host, addr: std::net::SocketAddr) -> std::process::Command {
    let mut command = host.with_fault("");
    command.args(["--cryfttee-transport", "https", "--cryfttee-http-addr", &addr.to_string()]);
    command.args(["--cryfttee-tls-cert", "/cert.pem", "--cryfttee-tls-key", "/key.pem"]);
    command.env("CRYFTTEE_DUMP", host.path("dump"));
    command
}

#[test]
fn a_tcp_listener_of_systemds_is_handed_on_for_https() {
    let host = Host::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = listener.local_addr().expect("address");
    let mut command = https(&host, addr);
    command.stdin(std::os::fd::OwnedFd::from(listener));
    let running = host.start(command);
    // The command, and with it this test's own descriptor, is gone by now: whoever is reached is the sidecar.
    std::net::TcpStream::connect(addr).expect("somebody listens");
    assert_eq!(running.stop().code, Some(0));
    let dump = std::fs::read_to_string(host.path("dump")).expect("the sidecar ran");
    for expected in ["env CRYFTTEE_API_TRANSPORT=https", "env CRYFTTEE_TLS_CERT=/cert.pem", "env LISTEN_FDS=2"] {
        assert!(dump.lines().any(|line| line == expected), "{expected} in {dump}");
    }
    assert!(std::net::TcpStream::connect(addr).is_err(), "nobody listens after the stop");
}

#[test]
fn without_a_listener_of_systemds_the_address_is_bound_and_one_in_use_is_refused() {
    let host = Host::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let addr = taken.local_addr().expect("address");
    let alone = |host: &Host| {
        let mut command = https(host, addr);
        command.env_remove("LISTEN_FDS").env_remove("LISTEN_FDNAMES");
        command
    };
    let ended = host.run(alone(&host));
    assert_eq!(ended.code, Some(i32::from(contract::exit::IO)), "{ended:?}");
    assert!(ended.refusal().contains(&format!("listen on {addr}")), "{ended:?}");
    drop(taken);
    let running = host.start(alone(&host));
    std::net::TcpStream::connect(addr).expect("somebody listens");
    assert_eq!(running.stop().code, Some(0));
}

#[test]
fn a_unix_socket_does_not_fit_https_and_the_refusal_says_what_does() {
    let host = Host::new();
    let ended = host.run(https(&host, "127.0.0.1:1".parse().expect("address")));
    assert_eq!(ended.code, Some(i32::from(contract::exit::CONFIG)), "{ended:?}");
    assert!(ended.refusal().contains("ListenStream=") && ended.refusal().contains("https"), "{ended:?}");
}

#[test]
fn hostile_lines_of_the_sidecar_forge_nothing() {
    let host = Host::new();
    let running = host.start(host.with_fault("hostile-lines"));
    running.wait_for_line("MESSAGE=all is well");
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\r') && !ended.stderr.contains('\0'));
    assert!(ended.stderr.contains("\\u{1b}[2J"), "{ended:?}");
    assert!(ended.stderr.lines().all(|line| line.len() < 8 * 1024), "a line of a megabyte came through");
    let ready = ended.notified.iter().filter(|message| message.lines().any(|line| line == "READY=1")).count();
    assert_eq!(ready, 1, "{ended:?}");
}

#[test]
fn the_words_of_a_sidecar_that_dies_at_once_are_not_lost() {
    let host = Host::new();
    let ended = host.run(host.with_fault("say-and-exit"));
    assert!(ended.stderr.contains("these were my last words"), "{ended:?}");
    assert!(ended.refusal().contains("exit code 4"), "{ended:?}");
}
