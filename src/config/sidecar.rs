//! Settings that the verifier only passes on: the sidecar's own.

use std::path::{Path, PathBuf};

use contract::env;

use super::ConfigError;
use super::settings::{Transport, User};
use super::values::Values;
use crate::identity::KeyGeneration;

/// What the sidecar is told and the verifier has no use for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is a key of config::keys::KEYS, which has the sentence")]
pub struct SidecarSettings {
    pub web3signer_eth1_url: Option<String>,
    pub key_generation: KeyGeneration,
    pub allow_users: Vec<String>,
    pub allow_groups: Vec<String>,
    pub register_users: Vec<String>,
    pub register_groups: Vec<String>,
    pub register_over_tcp: bool,
    /// Certificate chain and key; both are there for the transport `https`, and for no other.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl SidecarSettings {
    pub(super) fn read(values: &Values<'_>, transport: Transport, user: User) -> Result<Self, ConfigError> {
        const ETH1: &str = "web3signer.eth1_url";
        Ok(Self {
            web3signer_eth1_url: if values.text(ETH1)?.is_empty() { None } else { Some(values.url(ETH1)?) },
            key_generation: values.word(
                "web3signer.key_generation",
                &[KeyGeneration::Signer, KeyGeneration::Import, KeyGeneration::Off].map(|who| (who.as_str(), who)),
            )?,
            allow_users: values.names("cryfttee.allow_users")?,
            allow_groups: values.names("cryfttee.allow_groups")?,
            register_users: values.names("cryfttee.register_users")?,
            register_groups: values.names("cryfttee.register_groups")?,
            register_over_tcp: values.get("cryfttee.register_over_tcp")?,
            tls: tls(values, transport, user)?,
        })
    }

    /// The variables, without those whose value is empty.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: Option<&Path>| path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let (cert, key) = self.tls.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path())).unzip();
        let variables = [
            (env::WEB3SIGNER_ETH1_URL, self.web3signer_eth1_url.clone().unwrap_or_default()),
            (env::KEY_GENERATION, self.key_generation.as_str().to_owned()),
            (env::ALLOW_USERS, self.allow_users.join(",")),
            (env::ALLOW_GROUPS, self.allow_groups.join(",")),
            (env::REGISTER_USERS, self.register_users.join(",")),
            (env::REGISTER_GROUPS, self.register_groups.join(",")),
            (env::REGISTER_OVER_TCP, self.register_over_tcp.to_string()),
            (env::TLS_CERT, path(cert)),
            (env::TLS_KEY, path(key)),
        ];
        variables.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

fn tls(values: &Values<'_>, transport: Transport, user: User) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    const CERT: &str = "cryfttee.tls_cert";
    const KEY: &str = "cryfttee.tls_key";
    let files = (values.file(CERT)?, values.file(KEY)?);
    match (transport, files) {
        (Transport::Https, (Some(cert), Some(key))) => Ok(Some((cert, key))),
        // The server's files may well be on another host.
        (Transport::Https, _) if user == User::Client => Ok(None),
        (Transport::Https, (None, _)) => Err(values.wrong(CERT, "the transport https needs it: a PEM file")),
        (Transport::Https, (_, None)) => Err(values.wrong(KEY, "the transport https needs it: a PEM file")),
        (Transport::Uds | Transport::Http, (None, None)) => Ok(None),
        // Its author believes that the connection is encrypted.
        (Transport::Uds | Transport::Http, (cert, _)) => {
            let reason = format!("is for the transport https; cryfttee.transport is {}", transport.as_str());
            Err(values.wrong(if cert.is_some() { CERT } else { KEY }, reason))
        }
    }
}
