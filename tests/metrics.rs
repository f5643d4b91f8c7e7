//! What `cryftgo-tee metrics` serves, and that Prometheus's own tool finds nothing to say against it.

mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::Host;

fn print(host: &Host) -> String {
    let output = command(host, &["metrics", "--print"]).output().expect("run");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn command(host: &Host, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    for (flag, path) in [("--config", "cryftgo-tee.toml"), ("--state-file", "state.json"), ("--state-dir", "verifier")]
    {
        command.arg(flag).arg(host.path(path));
    }
    command
}

/// The value of the sample with this name and these labels.
fn value(page: &str, sample: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

/// A state with everything in it, as the verifier that is this process would show it.
fn full_state(host: &Host) {
    let uptime = std::fs::read_to_string("/proc/uptime").expect("uptime");
    let now = (uptime.split(' ').next().expect("a number").parse::<f64>().expect("a number") * 1e3) as u64;
    let moment = serde_json::json!({ "at": "2026-01-01T00:00:00Z", "boot_ms": now });
    let buckets = |first: u64| [vec![first, 2], vec![0; 11]].concat();
    let state = serde_json::json!({
        "format": 1,
        "boot_id": std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("boot").trim(),
        "verifier": { "pid": std::process::id(), "started_ticks": 0 },
        "version": "0",
        "started": moment,
        "state": "ready",
        "since": moment,
        "check": { "at": "x", "boot_ms": now, "took_us": 31_000, "count": 7, "interval_ms": 600_000 },
        "sidecar": { "pid": 1, "version": "1\"}\n\u{1b}", "digest": format!("sha256:{}", "11".repeat(32)), "reference": null },
        "signer": { "url": "http://x", "reachable": true },
        "disk": { "state": "upgrade-staged", "digest": null, "why": null },
        "reload": { "at": "x", "done": false, "message": "x" },
        "restarts": 3,
        "findings_total": 2,
        "requests": { "requests": [
            { "kind": "bls_sign", "codes": { "ok": 5, "slashing_protection": 1 }, "buckets": buckets(4), "sum_us": 1500 },
            { "kind": "status", "codes": { "ok": 2 }, "buckets": buckets(0), "sum_us": 700 },
        ] },
    });
    std::fs::write(host.path("state.json"), state.to_string()).expect("write");
}

fn families(page: &str) -> BTreeSet<String> {
    let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// What a program of Prometheus's says; nothing where it is not installed, which is said loudly.
fn promtool(test: &str, arguments: &[&str], input: &str) -> Option<Output> {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        support::skip(test, "promtool is not installed (Debian: prometheus)");
        return None;
    };
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("write");
    Some(child.wait_with_output().expect("end"))
}

#[test]
fn a_running_verifier_is_in_the_metrics_and_a_killed_one_is_not_up() {
    let host = Host::new();
    let page = print(&host);
    assert_eq!((value(&page, "cryftgo_tee_up"), value(&page, "cryftgo_tee_ready")), (Some(0.0), Some(0.0)), "{page}");
    assert_eq!(value(&page, "cryftgo_tee_state{state=\"unknown\"}"), Some(1.0));

    let running = host.start(host.with_fault("none"));
    let until = Instant::now() + Duration::from_secs(5);
    while value(&print(&host), "cryftgo_tee_verifications_total") < Some(2.0) {
        assert!(Instant::now() < until, "no check was shown");
    }
    let page = print(&host);
    for (sample, expected) in [
        ("cryftgo_tee_up", 1.0),
        ("cryftgo_tee_ready", 1.0),
        ("cryftgo_tee_locked", 0.0),
        ("cryftgo_tee_state{state=\"ready\"}", 1.0),
        ("cryftgo_tee_state{state=\"locked\"}", 0.0),
        ("cryftgo_tee_verification_interval_seconds", 0.1),
        ("cryftgo_tee_signer_reachable", 1.0),
        ("cryftgo_tee_disk_state{state=\"verified\"}", 1.0),
    ] {
        assert_eq!(value(&page, sample), Some(expected), "{sample}: {page}");
    }
    assert!(value(&page, "cryftgo_tee_verification_age_seconds") < Some(5.0), "{page}");

    running.signal(Signal::SIGKILL);
    running.end();
    let page = print(&host);
    assert_eq!((value(&page, "cryftgo_tee_up"), value(&page, "cryftgo_tee_ready")), (Some(0.0), Some(0.0)), "{page}");
    let age = value(&page, "cryftgo_tee_verification_age_seconds").expect("still told");
    std::thread::sleep(Duration::from_millis(50));
    assert!(value(&print(&host), "cryftgo_tee_verification_age_seconds") > Some(age), "it goes on growing");
    assert_eq!(value(&page, "cryftgo_tee_signer_reachable"), None, "nobody knows any more");
}

#[test]
fn what_the_sidecar_counted_becomes_counters_and_histograms() {
    let host = Host::new();
    full_state(&host);
    let page = print(&host);
    for (sample, expected) in [
        ("cryfttee_requests_total{kind=\"bls_sign\",code=\"slashing_protection\"}", 1.0),
        ("cryfttee_request_duration_seconds_bucket{kind=\"bls_sign\",le=\"0.00025\"}", 4.0),
        ("cryfttee_request_duration_seconds_bucket{kind=\"bls_sign\",le=\"0.0005\"}", 6.0),
        ("cryfttee_request_duration_seconds_bucket{kind=\"bls_sign\",le=\"10\"}", 6.0),
        ("cryfttee_request_duration_seconds_bucket{kind=\"bls_sign\",le=\"+Inf\"}", 6.0),
        ("cryfttee_request_duration_seconds_sum{kind=\"bls_sign\"}", 0.0015),
        ("cryfttee_request_duration_seconds_count{kind=\"bls_sign\"}", 6.0),
        ("cryftgo_tee_sidecar_restarts_total", 3.0),
        ("cryftgo_tee_findings_total", 2.0),
        ("cryftgo_tee_last_reload_success", 0.0),
        ("cryftgo_tee_verification_duration_seconds", 0.031),
    ] {
        assert_eq!(value(&page, sample), Some(expected), "{sample}: {page}");
    }
    // What a sidecar never counts is left out.
    let state = std::fs::read_to_string(host.path("state.json")).expect("read");
    std::fs::write(host.path("state.json"), state.replace("\"bls_sign\"", "\"evil\\\"} 1\\nx\"")).expect("write");
    assert!(!print(&host).contains("evil") && !print(&host).contains("cryfttee_requests_total{"));
}

#[test]
fn promtool_finds_nothing_to_say_against_the_page() {
    let host = Host::new();
    for full in [false, true] {
        if full {
            full_state(&host);
        }
        let page = print(&host);
        let Some(output) = promtool("promtool_finds_nothing_to_say", &["check", "metrics"], &page) else { return };
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}: {page}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn the_shipped_alerts_are_good_and_each_fires_where_its_test_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus");
    for arguments in [["check", "rules", "cryftgo-tee.rules.yml"], ["test", "rules", "cryftgo-tee.test.yml"]] {
        let output = Command::new("promtool").args(arguments).current_dir(&folder).output();
        let Ok(output) = output else {
            return support::skip("the_shipped_alerts_are_good", "promtool is not installed (Debian: prometheus)");
        };
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
    }
    // Each alert is tested, and each has its part of the runbook.
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let (rules, tests) =
        (read("packaging/prometheus/cryftgo-tee.rules.yml"), read("packaging/prometheus/cryftgo-tee.test.yml"));
    let runbook = read("docs/operations.md");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "no test for {alert}");
        assert!(runbook.contains(&format!("### {alert}\n")), "no runbook for {alert}");
    }
}

#[test]
fn the_dashboard_and_the_alerts_use_only_metrics_that_there_are() {
    let host = Host::new();
    full_state(&host);
    let there = families(&print(&host));
    let used = |text: &str| -> BTreeSet<String> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let names =
            text.split(|c| !word(c)).filter(|name| name.starts_with("cryftgo_tee_") || name.starts_with("cryfttee_re"));
        names
            .map(|name| {
                let family =
                    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
                if there.contains(name) { name.to_owned() } else { family.to_owned() }
            })
            .collect()
    };
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let dashboard = read("packaging/grafana/cryftgo-tee.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() >= 8), "panels");
    for text in [
        &dashboard,
        &read("packaging/prometheus/cryftgo-tee.rules.yml"),
        &read("packaging/prometheus/cryftgo-tee.test.yml"),
    ] {
        let unknown: Vec<String> = used(text).difference(&there).cloned().collect();
        assert!(unknown.is_empty() && !used(text).is_empty(), "{unknown:?} are not in {there:?}");
    }
    let documented = read("docs/operations.md");
    let missing: Vec<&String> = there.iter().filter(|name| !documented.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
}

#[test]
fn the_page_is_served_on_an_inherited_socket_whatever_other_clients_do() {
    let host = Host::new();
    full_state(&host);
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("address");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "LISTEN_PID=$$; export LISTEN_PID; exec \"$@\" 3<&0 </dev/null", "sh"])
        .arg(env!("CARGO_BIN_EXE_cryftgo-tee"))
        .args(["metrics", "--config"])
        .arg(host.path("cryftgo-tee.toml"))
        .arg("--state-file")
        .arg(host.path("state.json"))
        .env_clear()
        .env("LISTEN_FDS", "1")
        .stdin(OwnedFd::from(listener));
    let mut server = shell.spawn().expect("spawn");
    // Fewer than there are places; more would wait for the five seconds that each may take.
    let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(address).expect("connect")).collect();
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(4))).expect("timeout");
        stream.write_all(request.as_bytes()).expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for _ in 0..20 {
        let answer = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("cryftgo_tee_ready 1\n"), "{answer}");
    }
    assert!(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    drop(idle);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id()).expect("a pid"));
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("signal");
    assert!(server.wait().expect("end").success());
}

#[test]
fn without_a_socket_it_says_what_to_do() {
    let host = Host::new();
    let output = command(&host, &["metrics"]).output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(78) && said.contains("cryftgo-tee-metrics.socket"), "{said}");
}
