//! What is refused, and how it is said.

use clap::Parser as _;

use super::*;

fn read(flags: &[&str], hash: Option<&str>) -> Result<Settings, ConfigError> {
    let cli = Cli::try_parse_from(std::iter::once(&"cryfttee").chain(flags)).expect("known flags");
    Settings::read(&cli, hash)
}

#[test]
fn an_unknown_transport_is_an_error_that_names_the_three() {
    let error = read(&["--api-transport", "tcp"], None).expect_err("refused").to_string();
    assert!(["\"tcp\"", "uds", "http", "https"].iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn there_are_never_more_clients_than_files_for_them() {
    for (open_files, clients) in [(0, 1), (1024, 432), (524_288, 1024), (u64::MAX, 1024)] {
        let mut limits = Limits::default();
        limits.fit_open_files(open_files);
        assert_eq!(limits.api_connections, clients, "{open_files}");
    }
}

#[test]
fn https_needs_a_certificate_and_a_key_by_name() {
    let https = ["--api-transport", "https"];
    assert!(matches!(read(&https, None), Err(ConfigError::NoTlsFile(env::TLS_CERT))));
    let flags = [&https[..], &["--tls-cert", "c.pem", "--tls-key", ""]].concat();
    assert!(matches!(read(&flags, None), Err(ConfigError::NoTlsFile(env::TLS_KEY))));
    let flags = [&https[..], &["--tls-cert", "c.pem", "--tls-key", "k.pem"]].concat();
    assert!(matches!(read(&flags, None).expect("good").transport, Transport::Https { .. }));
}

#[test]
fn a_list_with_an_empty_item_is_refused_because_it_might_lift_a_restriction() {
    for flag in ["--allow-users", "--allow-groups", "--register-users", "--register-groups"] {
        assert!(matches!(read(&[flag, ","], None), Err(ConfigError::List(_))), "{flag}");
        assert!(read(&[flag, "root,12"], None).is_ok(), "{flag}");
    }
    assert!(read(&["--register-over-tcp"], None).expect("good").access.register_over_tcp);
    assert!(matches!(read(&["--register-over-tcp=yes"], None), Err(ConfigError::Bool(..))));
}

#[test]
fn a_signer_over_https_is_refused_and_says_so() {
    assert!(matches!(read(&["--web3signer-url", "https://s"], None), Err(ConfigError::SignerUrl(_, BadUrl::NoHttps))));
}

#[test]
fn a_second_url_that_is_the_first_one_again_is_one_signer() {
    for (eth1, apart) in [
        ("", false),
        ("http://s:9000", false),
        ("http://s:9000/", false),
        ("http://S:9000", false),
        ("http://s:9001", true),
        ("http://s:9000/eth1", true),
    ] {
        let settings = read(&["--web3signer-url", "http://s:9000", "--web3signer-eth1-url", eth1], None);
        assert_eq!(settings.expect("good").signer_eth1.is_some(), apart, "{eth1}");
    }
    let error = read(&["--web3signer-eth1-url", "s"], None).expect_err("refused").to_string();
    assert!(error.contains(env::WEB3SIGNER_ETH1_URL), "{error}");
}

#[test]
fn every_key_generation_that_an_error_names_is_one() {
    for name in defaults::KEY_GENERATIONS {
        assert!(read(&["--key-generation", name], None).is_ok(), "{name}");
    }
    let error = read(&["--key-generation", "vault"], None).expect_err("refused").to_string();
    assert!(error.contains("signer, import, off"), "{error}");
}

#[test]
fn a_malformed_verified_hash_is_refused_and_an_empty_one_is_none() {
    let good = format!("sha256:{}", "ab".repeat(32));
    assert!(read(&[], Some(&good)).expect("good").verified_hash.is_some());
    assert!(read(&[], Some("")).expect("none").verified_hash.is_none());
    for bad in ["sha256:", "ab", &good.to_uppercase()] {
        assert!(matches!(read(&[], Some(bad)), Err(ConfigError::VerifiedHash(_))), "{bad}");
    }
}

#[test]
fn a_malformed_expected_key_is_refused_by_its_name() {
    let error = read(&["--expected-tls-pubkey", "0x02"], None).expect_err("refused").to_string();
    assert!(error.contains(env::EXPECTED_TLS_PUBKEY), "{error}");
}
