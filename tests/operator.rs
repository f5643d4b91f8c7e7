//! The commands that look at the installation: config, doctor, completion, version.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output().expect("run")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write");
    path
}

#[test]
fn config_check_has_a_line_for_each_problem_and_the_exit_code_of_the_contract() {
    let folder = tempfile::tempdir().expect("folder");
    let bad = write(folder.path(), "bad.toml", "[watch]\ninterval = \"soon\"\nbogus = 1\n");
    let output = run(&["config", "check", bad.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(78));
    let lines: Vec<String> = text(&output).lines().map(str::to_owned).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("bad.toml")), "{lines:?}");
    let good = write(folder.path(), "good.toml", "[watch]\ninterval = \"2s\"\n");
    for arguments in [
        &["config", "check", good.to_str().expect("text")][..],
        &["config", "check", "--config", good.to_str().expect("text")],
    ] {
        let output = run(arguments);
        assert_eq!((output.status.code(), text(&output)), (Some(0), format!("ok {}\n", good.display())));
    }
    // The system's files are checked alone where files are named: a flag with another value does not hide what is wrong.
    let output = run(&["config", "check", bad.to_str().expect("text"), "--watch-interval", "1s"]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn every_configuration_file_of_this_repository_passes_the_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("systemd/cryftgo-tee.toml");
    let output = run(&["config", "check", file.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn config_show_says_what_counts_and_why_and_can_be_read_back() {
    let folder = tempfile::tempdir().expect("folder");
    let file = write(folder.path(), "a.toml", "[watch]\ninterval = \"2s\"\n[web3signer]\nurl = \"http://a\"\n");
    let file = file.to_str().expect("text");
    let with_flag = ["config", "show", "--config", file, "--watch-interval", "3s"];
    let shown = text(&run(&[&with_flag[..], &["--origin"]].concat()));
    for line in [
        "watch.interval = \"3s\"  # flag --watch-interval".to_owned(),
        format!("web3signer.url = \"http://a\"  # {file}"),
        "on_mismatch = \"kill\"  # default".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&run(&[&with_flag[..], &["--json"]].concat()).stdout).expect("JSON");
    assert_eq!(json["watch.interval"]["value"], "3s");
    assert_eq!(json["web3signer.url"]["origin"], file);
    // What was printed is a configuration with the same values.
    let again = write(folder.path(), "again.toml", &text(&run(&with_flag)));
    let shown_again = text(&run(&["config", "show", "--config", again.to_str().expect("text")]));
    assert_eq!(shown_again, text(&run(&with_flag)));

    let bad = write(folder.path(), "bad.toml", "bogus = 1\n");
    let output = run(&["config", "show", "--config", bad.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(78) && said.contains("bogus") && text(&output).contains("watch.interval"));
}

#[test]
fn the_version_names_the_very_bytes_that_run() {
    let binary = env!("CARGO_BIN_EXE_cryftgo-tee");
    let long = text(&run(&["--version"]));
    let measured = text(&run(&["measure", binary]));
    let digest = measured.split_whitespace().next().expect("a digest").trim_start_matches("sha256:").to_owned();
    assert!(long.starts_with(&format!("cryftgo-tee {}\ncommit ", env!("CARGO_PKG_VERSION"))), "{long}");
    assert!(long.contains(&format!("digest sha256:{digest}")), "{long} {measured}");
    assert_eq!(text(&run(&["-V"])), format!("cryftgo-tee {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn each_shell_gets_completions_for_every_subcommand() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0));
        for word in ["status", "healthcheck", "doctor", "completion", "watch-interval"] {
            assert!(text(&output).contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().expect("folder");
    let script = write(folder.path(), "bash", &text(&run(&["completion", "bash"])));
    let checked = Command::new("bash").arg("-n").arg(script).status();
    assert!(checked.expect("bash").success(), "bash cannot read it");
    assert_eq!(run(&["completion", "csh"]).status.code(), Some(64));
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_how_to_mend_it() {
    let folder = tempfile::tempdir().expect("folder");
    let file = write(folder.path(), "a.toml", "");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("open")).expect("folder");
    let output = run(&[
        "doctor",
        "--json",
        "--config",
        file.to_str().expect("text"),
        "--cryfttee-binary",
        &path("none"),
        "--cryfttee-socket",
        &path("none.sock"),
        "--state-dir",
        &path("open"),
        "--identity-state-dir",
        &path("new"),
        "--web3signer-url",
        "http://user:secret@127.0.0.1:1",
        "--launch-user",
        "nobody-of-this-name",
    ]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(!text(&output).contains("secret"), "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks");
    let of = |name: &str| {
        let found = checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {report}"))
    };
    for name in ["binary", "signer", "users", "state folder"] {
        let wrong = checks.iter().find(|check| check["name"] == name && check["outcome"] == "wrong");
        assert!(wrong.is_some_and(|check| check["fix"].is_string()), "{name}: {report}");
    }
    assert_eq!((&of("configuration")["outcome"], &report["ok"]), (&"ok".into(), &false.into()));
    if !Path::new("/run/systemd/system").exists() {
        assert_eq!(of("unit")["outcome"], "warning", "{report}");
    }
    let output = run(&["doctor", "--config", &path("no-such-file")]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("WRONG") && text(&output).contains("→"), "{}", text(&output));
}
