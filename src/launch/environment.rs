//! The child's environment: empty, plus what it is told, plus a short allow-list.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

use contract::{BlsPublicKey, Digest, TlsPublicKey, env};

use crate::config::Settings;

/// Names that pass besides the sidecar's own `CRYFTTEE_…`. None of them can change what code runs.
const ALLOWED: [&str; 2] = ["LANG", "TZ"];
const SIDECAR_PREFIX: &str = "CRYFTTEE_";

/// What the verifier alone may set; an inherited value never passes.
const OURS: [&str; 16] = [
    env::VERIFIED_BINARY_HASH,
    env::API_TRANSPORT,
    env::UDS_PATH,
    env::HTTP_ADDR,
    env::WEB3SIGNER_URL,
    env::WEB3SIGNER_ETH1_URL,
    env::KEY_GENERATION,
    env::ALLOW_USERS,
    env::ALLOW_GROUPS,
    env::REGISTER_USERS,
    env::REGISTER_GROUPS,
    env::REGISTER_OVER_TCP,
    env::TLS_CERT,
    env::TLS_KEY,
    env::EXPECTED_BLS_PUBKEY,
    env::EXPECTED_TLS_PUBKEY,
];

/// `NAME=value` strings for exec. `LISTEN_…` is added at the spawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEnvironment(Vec<CString>);

impl ChildEnvironment {
    /// The environment for one launch. `inherited` is the verifier's own environment, `digest` what was
    /// measured, and the keys are those that this node is known by, where it is known already.
    pub fn new(
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        settings: &Settings,
        digest: &Digest,
        bls: Option<&BlsPublicKey>,
        tls: Option<&TlsPublicKey>,
    ) -> Self {
        let mut entries: Vec<CString> = inherited
            .into_iter()
            .filter(|(name, _)| passes(name))
            .filter_map(|(name, value)| entry(name, value))
            .collect();
        let mut set = |name: &str, value: &str| entries.extend(entry(name.into(), value.into()));
        set(env::VERIFIED_BINARY_HASH, &digest.to_string());
        set(env::API_TRANSPORT, settings.transport.as_str());
        set(env::UDS_PATH, &settings.socket.to_string_lossy());
        set(env::HTTP_ADDR, &settings.http_addr.to_string());
        set(env::WEB3SIGNER_URL, &settings.web3signer_url);
        for (name, value) in settings.sidecar.variables() {
            set(name, &value);
        }
        if let Some(key) = bls {
            set(env::EXPECTED_BLS_PUBKEY, &key.to_string());
        }
        if let Some(key) = tls {
            set(env::EXPECTED_TLS_PUBKEY, &key.to_string());
        }
        Self(entries)
    }

    /// The strings.
    pub fn entries(&self) -> &[CString] {
        &self.0
    }
}

fn passes(name: &OsString) -> bool {
    let Some(name) = name.to_str() else { return false };
    !OURS.contains(&name) && (name.starts_with(SIDECAR_PREFIX) || ALLOWED.contains(&name))
}

fn entry(name: OsString, value: OsString) -> Option<CString> {
    let mut bytes = name.into_vec();
    bytes.push(b'=');
    bytes.extend(value.into_vec());
    // An environment cannot hold a NUL, and the settings were checked not to: a path with one never opens.
    CString::new(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CommandLine;

    fn names_and_values(inherited: &[(&str, &str)]) -> Vec<String> {
        told(&[], inherited)
    }

    fn told(flags: &[(&'static str, &str)], inherited: &[(&str, &str)]) -> Vec<String> {
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let command_line = CommandLine { file: Some("/dev/null".into()), flags };
        let settings = Settings::load_with(&command_line, |_| Ok(None)).expect("good settings");
        let inherited = inherited.iter().map(|(name, value)| (name.into(), value.into()));
        let environment = ChildEnvironment::new(inherited, &settings, &Digest::new([7; 32]), None, None);
        environment.entries().iter().map(|entry| entry.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn nothing_that_steers_the_loader_or_systemd_passes() {
        let hostile = [
            "LD_PRELOAD",
            "LD_AUDIT",
            "LD_LIBRARY_PATH",
            "GLIBC_TUNABLES",
            "NOTIFY_SOCKET",
            "WATCHDOG_PID",
            "WATCHDOG_USEC",
            "LISTEN_PID",
            "LISTEN_FDS",
            "LISTEN_FDNAMES",
            "LISTEN_PIDFDID",
            "CREDENTIALS_DIRECTORY",
            "JOURNAL_STREAM",
            "INVOCATION_ID",
            "MAINPID",
            "PATH",
            "HOME",
            "RUST_BACKTRACE",
            "MALLOC_ARENA_MAX",
            "CRYFTGO_CRYFTTEE_BINARY",
        ];
        let entries = names_and_values(&hostile.map(|name| (name, "x")));
        for name in hostile {
            assert!(!entries.iter().any(|entry| entry.starts_with(&format!("{name}="))), "{name}");
        }
    }

    #[test]
    fn the_sidecars_own_settings_pass_but_never_the_verifiers() {
        let entries = names_and_values(&[
            ("CRYFTTEE_LOG_LEVEL", "debug"),
            ("TZ", "UTC"),
            ("CRYFTTEE_VERIFIED_BINARY_HASH", "sha256:forged"),
            ("CRYFTTEE_EXPECTED_BLS_PUBKEY", "0xforged"),
            ("CRYFTTEE_UDS_PATH", "/forged"),
            ("CRYFTTEE_HTTP_ADDR", "forged"),
        ]);
        assert!(entries.contains(&"CRYFTTEE_LOG_LEVEL=debug".to_owned()));
        assert!(entries.contains(&"TZ=UTC".to_owned()));
        assert!(entries.contains(&format!("CRYFTTEE_VERIFIED_BINARY_HASH={}", Digest::new([7; 32]))));
        assert!(entries.contains(&"CRYFTTEE_UDS_PATH=/var/run/cryfttee.sock".to_owned()));
        assert!(!entries.iter().any(|entry| entry.contains("forged")), "{entries:?}");
    }

    #[test]
    fn an_inherited_value_of_a_setting_passes_neither_beside_ours_nor_where_we_set_none() {
        for name in OURS {
            let entries = names_and_values(&[(name, "forged")]);
            assert!(!entries.iter().any(|entry| entry.contains("forged")), "{name}: {entries:?}");
        }
    }

    #[test]
    fn each_setting_of_the_sidecar_reaches_it_under_the_sidecars_name() {
        let entries = told(
            &[
                ("cryfttee.transport", "https"),
                ("cryfttee.tls_cert", "/cert.pem"),
                ("cryfttee.tls_key", "/key.pem"),
                ("cryfttee.allow_users", "validator,1001"),
                ("cryfttee.allow_groups", "cryftgo"),
                ("cryfttee.register_users", "node"),
                ("cryfttee.register_groups", "7"),
                ("cryfttee.register_over_tcp", "true"),
                ("web3signer.eth1_url", "http://localhost:9001"),
                ("web3signer.key_generation", "import"),
            ],
            &[],
        );
        for expected in [
            "CRYFTTEE_API_TRANSPORT=https",
            "CRYFTTEE_TLS_CERT=/cert.pem",
            "CRYFTTEE_TLS_KEY=/key.pem",
            "CRYFTTEE_ALLOW_USERS=validator,1001",
            "CRYFTTEE_ALLOW_GROUPS=cryftgo",
            "CRYFTTEE_REGISTER_USERS=node",
            "CRYFTTEE_REGISTER_GROUPS=7",
            "CRYFTTEE_REGISTER_OVER_TCP=true",
            "CRYFTTEE_WEB3SIGNER_ETH1_URL=http://localhost:9001",
            "CRYFTTEE_KEY_GENERATION=import",
        ] {
            assert!(entries.iter().any(|entry| entry == expected), "{expected} in {entries:?}");
        }
    }
}
