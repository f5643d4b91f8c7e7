use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn load(text: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Settings, ConfigError> {
    let file = file(text);
    let command_line = CommandLine {
        file: Some(file.path().to_owned()),
        flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect::<BTreeMap<_, _>>(),
    };
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Settings::load_with(&command_line, |name| Ok(variables.get(name).map(|value| (*value).to_owned())))
}

fn refusal(text: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    load(text, variables, flags).expect_err("refused").to_string()
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = load("", &[], &[]).expect("good");
    assert!(!settings.signer);
    assert_eq!(settings.transport, Transport::Uds);
    assert_eq!(settings.socket, Path::new("/var/run/cryfttee.sock"));
    assert_eq!(settings.http_addr.to_string(), "127.0.0.1:8787");
    assert_eq!(settings.binary, Path::new("/usr/local/bin/cryfttee"));
    assert_eq!(settings.web3signer_url, "http://localhost:9000");
    assert_eq!(settings.request_timeout, Duration::from_secs(30));
    assert_eq!(settings.startup_timeout, contract::defaults::STARTUP_TIMEOUT);
    assert_eq!(settings.signer_startup_timeout, contract::defaults::SIGNER_STARTUP_TIMEOUT);
    assert_eq!(settings.signer_reload, SignerReload::WhenEmpty);
    assert_eq!(settings.chosen_keys, crate::identity::Chosen::default());
    assert_eq!(settings.watch_interval, Duration::from_secs(10));
    assert_eq!(settings.identity_dir, Path::new("/var/lib/cryftgo"));
    assert_eq!(settings.state_dir, Path::new("/var/lib/cryftgo-tee"));
    assert_eq!(settings.control_socket, Path::new("/run/cryftgo-tee/control.sock"));
}

#[test]
fn the_names_of_the_contract_are_flags_and_variables() {
    for (flag, variable) in [
        ("cryfttee-transport", "CRYFTGO_CRYFTTEE_TRANSPORT"),
        ("cryfttee-socket", "CRYFTGO_CRYFTTEE_SOCKET"),
        ("cryfttee-http-addr", "CRYFTGO_CRYFTTEE_HTTP_ADDR"),
        ("cryfttee-signer", "CRYFTGO_CRYFTTEE_SIGNER"),
        ("cryfttee-binary", "CRYFTGO_CRYFTTEE_BINARY"),
        ("web3signer-url", "CRYFTGO_WEB3SIGNER_URL"),
        ("cryfttee-tls-ca", "CRYFTGO_CRYFTTEE_TLS_CA"),
        ("web3signer-eth1-url", "CRYFTGO_WEB3SIGNER_ETH1_URL"),
        ("web3signer-startup-timeout", "CRYFTGO_WEB3SIGNER_STARTUP_TIMEOUT"),
        ("web3signer-reload", "CRYFTGO_WEB3SIGNER_RELOAD"),
        ("identity-bls-pubkey", "CRYFTGO_IDENTITY_BLS_PUBKEY"),
        ("identity-tls-pubkey", "CRYFTGO_IDENTITY_TLS_PUBKEY"),
    ] {
        assert!(keys::KEYS.iter().any(|key| key.flag() == flag && key.variable() == variable), "{flag}");
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let text = "[watch]\ninterval = \"1s\"\n[web3signer]\nurl = \"http://file:1\"\n[cryfttee]\nsigner = true\n";
    let variables = [("CRYFTGO_WATCH_INTERVAL", "2s"), ("CRYFTGO_WEB3SIGNER_URL", "http://environment:1")];
    let settings = load(text, &variables, &[("watch.interval", "3s")]).expect("good");
    assert_eq!(settings.watch_interval, Duration::from_secs(3));
    assert_eq!(settings.web3signer_url, "http://environment:1");
    assert!(settings.signer);
}

#[test]
fn a_value_that_looks_like_a_number_stays_text() {
    let settings = load("", &[("CRYFTGO_LAUNCH_USER", "12345678")], &[]).expect("good");
    assert_eq!(settings.user.as_deref(), Some("12345678"));
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    for (text, key) in [
        ("[cryfttee]\nsockte = \"/x\"\n", "cryfttee.sockte"),
        ("bogus = 1\n", "bogus"),
        ("[watch.restart]\nmaxx = 1\n", "watch.restart.maxx"),
        ("[watch.interval]\nx = 1\n", "watch.interval"),
    ] {
        let message = refusal(text, &[], &[]);
        assert!(message.contains(key), "{message}");
    }
    let message = refusal("cryfttee_socket = \"/x\"\n", &[], &[]);
    assert!(message.contains("/tmp") && message.contains("did you mean \"cryfttee.socket\"?"), "{message}");
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_origin() {
    for (message, parts) in [
        (refusal("[cryfttee]\ntransport = \"tcp\"\n", &[], &[]), ["cryfttee.transport", "uds, http, https"]),
        (
            refusal("[cryfttee]\ntransport = \"https\"\n", &[], &[]),
            ["cryfttee.tls_cert", "the transport https needs it"],
        ),
        (refusal("", &[("CRYFTGO_WATCH_INTERVAL", "soon")], &[]), ["CRYFTGO_WATCH_INTERVAL", "10s"]),
        (refusal("", &[("CRYFTGO_WATCH_INTERVAL", "0s")], &[]), ["CRYFTGO_WATCH_INTERVAL", "10s"]),
        (refusal("", &[], &[("cryfttee.signer", "maybe")]), ["--cryfttee-signer", "true or false"]),
        (refusal("[cryfttee]\nsigner = \"yes\"\n", &[], &[]), ["cryfttee.signer", "bool"]),
        (refusal("", &[("CRYFTGO_CRYFTTEE_BINARY", "cryfttee")], &[]), ["CRYFTGO_CRYFTTEE_BINARY", "absolute"]),
        (refusal("", &[("CRYFTGO_TRUST_PINS", "abc")], &[]), ["CRYFTGO_TRUST_PINS", "not a digest"]),
        (refusal("", &[("CRYFTGO_WEB3SIGNER_URL", "localhost")], &[]), ["CRYFTGO_WEB3SIGNER_URL", "http://"]),
        (refusal("", &[("CRYFTGO_WEB3SIGNER_ETH1_URL", "x")], &[]), ["CRYFTGO_WEB3SIGNER_ETH1_URL", "http://"]),
        (refusal("[web3signer]\nkey_generation = \"on\"\n", &[], &[]), ["key_generation", "signer, import, off"]),
        (refusal("[watch\n", &[], &[]), ["parse", "/tmp"]),
    ] {
        for part in parts {
            assert!(message.contains(part), "{part:?} in {message:?}");
        }
    }
}

#[test]
fn times_are_read_as_people_write_them() {
    for (text, milliseconds) in [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000)] {
        assert_eq!(parse_time(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "10", "s", "-1s", "1.5s", "1d", "99999999999999999999s", "18446744073709551615h", "1000000h", "é"]
    {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn https_needs_a_certificate_and_a_key_and_they_are_for_https_alone() {
    let https = "[cryfttee]\ntransport = \"https\"\n";
    let (cert, key) = (("cryfttee.tls_cert", "/cert.pem"), ("cryfttee.tls_key", "/key.pem"));
    let settings = load(https, &[], &[cert, key, ("cryfttee.tls_ca", "/ca.pem")]).expect("good");
    assert_eq!(settings.transport, Transport::Https);
    assert_eq!(settings.sidecar.tls, Some(("/cert.pem".into(), "/key.pem".into())));
    assert_eq!(settings.tls_ca.as_deref(), Some(Path::new("/ca.pem")));
    for (message, parts) in [
        (refusal(https, &[], &[key]), ["cryfttee.tls_cert", "the transport https needs it"]),
        (refusal(https, &[], &[cert]), ["cryfttee.tls_key", "the transport https needs it"]),
        (refusal("", &[], &[cert, key]), ["cryfttee.tls_cert", "cryfttee.transport is uds"]),
        (refusal("", &[], &[("cryfttee.transport", "http"), key]), ["cryfttee.tls_key", "cryfttee.transport is http"]),
        (refusal(https, &[], &[key, ("cryfttee.tls_cert", "cert.pem")]), ["cryfttee.tls_cert", "absolute path"]),
    ] {
        for part in parts {
            assert!(message.contains(part), "{part:?} in {message:?}");
        }
    }
}

#[test]
fn an_item_that_would_lift_a_restriction_by_a_slip_is_refused() {
    for (text, flags) in [
        ("", &[("cryfttee.allow_users", ",")][..]),
        ("", &[("cryfttee.allow_groups", "a,")]),
        ("[cryfttee]\nregister_users = [\"\"]\n", &[]),
        ("[cryfttee]\nregister_groups = [\"a,b\"]\n", &[]),
        ("[cryfttee]\nallow_users = [\"a b\"]\n", &[]),
    ] {
        let message = refusal(text, &[], flags);
        assert!(message.contains("allow-") || message.contains("cryfttee."), "{message}");
    }
    let settings = load("[cryfttee]\nallow_users = [\"a\", \"1001\"]\n", &[], &[("cryfttee.allow_groups", "")]);
    let settings = settings.expect("good");
    assert_eq!(settings.sidecar.allow_users, ["a", "1001"]);
    assert!(settings.sidecar.allow_groups.is_empty());
}

#[test]
fn the_packaged_file_has_every_key_with_its_default_and_none_twice() {
    let text = include_str!("../../systemd/cryftgo-tee.toml");
    let (mut table, mut comment, mut seen) = (String::new(), String::new(), BTreeMap::new());
    for line in text.lines() {
        let bare = line.trim_start_matches('#');
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, value)) = bare.split_once(" = ")
            && !bare.starts_with(' ')
        {
            let was = seen.insert(format!("{table}{key}"), (line.starts_with('#'), value.to_owned(), comment.clone()));
            assert!(was.is_none(), "{table}{key} stands there twice");
        } else {
            line.clone_into(&mut comment);
        }
    }
    for key in keys::KEYS {
        let (commented, value, comment) = seen.remove(key.path).unwrap_or_else(|| panic!("{} is not there", key.path));
        let default = match key.kind {
            keys::Kind::Text | keys::Kind::Time => format!("{:?}", key.default),
            keys::Kind::Switch | keys::Kind::Number => key.default.to_owned(),
            keys::Kind::List => {
                format!("{:?}", key.default.split(',').filter(|item| !item.is_empty()).collect::<Vec<_>>())
            }
        };
        if commented {
            assert_eq!(value, default, "{}", key.path);
        } else {
            assert!(comment.ends_with(&format!("Default: {default}")), "{}: {comment:?}, not {default}", key.path);
        }
    }
    assert!(seen.is_empty(), "{seen:?} are no keys");
    load(text, &[], &[]).expect("the packaged file is taken");
    // What it shows as a default, set: taken as well.
    let set: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    load(&set, &[], &[]).expect("its defaults are taken");
}

#[test]
fn the_nodes_keys_are_read_in_every_spelling_and_rubbish_is_refused_by_name() {
    const TLS: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    const UNCOMPRESSED: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
    for text in
        [TLS.to_owned(), format!("0x{}", TLS.to_uppercase()), format!("0x{UNCOMPRESSED}"), format!(" 0x{TLS}\n")]
    {
        let settings = load("", &[], &[("identity.tls_pubkey", &text)]).expect("good");
        assert_eq!(settings.chosen_keys.tls.expect("a key").to_string(), format!("0x{TLS}"), "{text}");
    }
    for key in ["identity.bls_pubkey", "identity.tls_pubkey"] {
        for text in ["rubbish", "0x00", &"f".repeat(96), &"f".repeat(66)] {
            let refused = refusal("", &[], &[(key, text)]);
            assert!(refused.starts_with(key) && refused.contains("hex digits"), "{refused}");
        }
        assert!(load("", &[], &[(key, "")]).is_ok(), "empty is none");
    }
    assert!(refusal("", &[], &[("web3signer.reload", "always")]).contains("when-empty, never"));
}
