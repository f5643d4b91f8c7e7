//! `cryftgo-tee sign bls` and `cryftgo-tee sign tls`.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use contract::keys::NotAKey;
use contract::wire::StakingStatus;
use contract::{BlsPublicKey, Bytes, TlsPublicKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{CallError, ask, json};
use super::node::{self, Found, Node};
use super::settings::SettingArgs;
use super::{fail, print};
use crate::config::Settings;
use crate::durable;
use crate::sidecar::Data;

const BLS_HELP: &str = "\
Examples:
  $ cryftgo-tee sign bls --data attestation.json
  $ printf 0x68656c6c6f | cryftgo-tee sign bls --type ATTESTATION --hex
  0x8d41…

Data that is a JSON object is the typed body of a consensus duty: it goes to the signer as it is, which judges it by
its slashing protection. Anything else is bytes, which need --type, and which only a development signer signs.

Exit codes: 0 signed; 64 usage; 65 bad data; 69 the sidecar or its signer refused, slashing protection among it, or does
not answer; 74 the data cannot be read; 78 configuration.";

const TLS_HELP: &str = "\
Example:
  $ cryftgo-tee sign tls --data request.der
  0x5ac1…

The signature is r, s and v over the Keccak-256 of the data.

Exit codes: 0 signed; 64 usage; 65 bad data; 69 the sidecar or its signer refused or does not answer; 74 the data cannot
be read; 78 configuration.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign with the node's BLS key
    #[command(after_help = BLS_HELP)]
    Bls(Bls),
    /// Sign with the node's TLS key
    #[command(after_help = TLS_HELP)]
    Tls(Tls),
}

#[derive(Debug, clap::Args)]
struct Bls {
    /// What is signed: ATTESTATION, BLOCK, SYNC_COMMITTEE, …; typed data may say it itself
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Sign the data as bytes, even where it looks like JSON
    #[arg(long, conflicts_with = "hex")]
    raw: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Tls {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The key to sign with; without it, this node's own
    #[arg(long, value_name = "0x…")]
    pubkey: Option<String>,
    /// What to sign; - or nothing: standard input
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The data is text, 0x and hex digits, and stands for the bytes
    #[arg(long)]
    hex: bool,
    /// Print {"signature", "pubkey", "type"} instead of the signature alone
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn main(args: &Args) -> ExitCode {
    let signed = match &args.command {
        Command::Bls(args) => bls(args),
        Command::Tls(args) => tls(args),
    };
    match signed {
        Ok(text) => print(&text),
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn bls(args: &Bls) -> Result<String, CallError> {
    let settings = Settings::load_for_client(args.common.settings.command_line())?;
    let content = args.common.content()?;
    let typed = if args.common.hex || args.raw { None } else { typed(&content)? };
    let data = match typed {
        Some(body) => Data::Typed(body),
        None => Data::Bytes(args.common.bytes(&content)?),
    };
    let within = typed.map(kind_within).transpose()?.flatten();
    // The signer gets the type that stands in typed data; the sidecar refuses one beside it that differs.
    let kind = args.kind.clone().or(within).ok_or_else(|| {
        CallError::Usage("what kind of message is it? --type ATTESTATION, BLOCK, SYNC_COMMITTEE, …".to_owned())
    })?;
    let key =
        args.common.key("BLS", &settings, BlsPublicKey::normalise, |node| node.bls_pubkey, |all| all.bls_pubkeys)?;
    let signature = ask(&settings, async |client| client.sign_bls(&key, data, &kind).await)?;
    Ok(args.common.show(&signature, &key, Some(&kind)))
}

fn tls(args: &Tls) -> Result<String, CallError> {
    let settings = Settings::load_for_client(args.common.settings.command_line())?;
    let data = args.common.bytes(&args.common.content()?)?;
    let key =
        args.common.key("TLS", &settings, TlsPublicKey::normalise, |node| node.tls_pubkey, |all| all.tls_pubkeys)?;
    let signature = ask(&settings, async |client| client.sign_tls(&key, data).await)?;
    Ok(args.common.show(&signature, &key, None))
}

impl Common {
    /// The key of the command line, else this node's own, else the only one that the signer has.
    fn key<K: std::fmt::Display>(
        &self,
        name: &str,
        settings: &Settings,
        parse: impl Fn(&str) -> Result<K, NotAKey>,
        own: impl Fn(&Node) -> Option<K>,
        all: impl Fn(StakingStatus) -> Vec<K>,
    ) -> Result<K, CallError> {
        if let Some(text) = &self.pubkey {
            return parse(text).map_err(|error| CallError::Usage(format!("--pubkey: {error}")));
        }
        if let Found::Node(node, _) = node::read(settings)?
            && let Some(key) = own(&node)
        {
            return Ok(key);
        }
        let mut keys = all(ask(settings, async |client| client.status().await)?);
        match (keys.pop(), keys.len()) {
            (None, _) => Err(CallError::NotThere(format!("the signer has no {name} key"))),
            (Some(key), 0) => Ok(key),
            (Some(_), more) => {
                let why = format!("the signer has {} {name} keys, and this node's own is not known here", more + 1);
                Err(CallError::Usage(format!("{why}: which one? --pubkey; cryftgo-tee status lists them")))
            }
        }
    }

    /// What is to be signed, as it was given. Nothing is no message: whatever should have written it has failed.
    fn content(&self) -> Result<Vec<u8>, CallError> {
        let content = self.read()?;
        if content.is_empty() {
            return Err(CallError::Data("there is nothing to sign: the data is empty".to_owned()));
        }
        Ok(content)
    }

    fn read(&self) -> Result<Vec<u8>, CallError> {
        /// As much as the sidecar reads; in hex it is twice that, and the sidecar says so.
        const MAX: u64 = contract::defaults::MAX_BODY as u64;
        if let Some(path) = self.data.as_deref().filter(|path| *path != Path::new("-")) {
            let failed = |source| CallError::Read { what: path.display().to_string(), source };
            return durable::read(path, MAX)
                .and_then(|bytes| bytes.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .map_err(failed);
        }
        let input = io::stdin();
        if self.data.is_none() && input.is_terminal() {
            return Err(CallError::Usage("what is to be signed? --data FILE, or on standard input".to_owned()));
        }
        let failed = |source| CallError::Read { what: "standard input".to_owned(), source };
        let mut bytes = Vec::new();
        input.take(MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX {
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX} bytes"))));
        }
        Ok(bytes)
    }

    fn bytes(&self, content: &[u8]) -> Result<Bytes, CallError> {
        if !self.hex {
            return Ok(Bytes(content.to_vec()));
        }
        let text = std::str::from_utf8(content).unwrap_or_default().trim();
        // Not base64, which `Bytes` reads too: its digits may look like hex, and something else would be signed.
        let bytes = text.starts_with("0x").then(|| text.parse().ok()).flatten();
        bytes
            .filter(|bytes: &Bytes| bytes.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| CallError::Data("the data is not 0x and an even number of hex digits".to_owned()))
    }

    fn show(&self, signature: &Bytes, key: &impl std::fmt::Display, kind: Option<&str>) -> String {
        if !self.json {
            return signature.to_string();
        }
        let mut answer = serde_json::json!({ "signature": signature, "pubkey": key.to_string() });
        if let Some(kind) = kind {
            answer["type"] = kind.into();
        }
        json(&answer)
    }
}

/// The JSON object that the data is, if it is one. Text that starts like one and is none is no message that anybody
/// wants to have signed as bytes, past the slashing protection.
fn typed(content: &[u8]) -> Result<Option<&RawValue>, CallError> {
    let Ok(text) = std::str::from_utf8(content) else { return Ok(None) };
    let text = text.trim();
    if !text.starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|error| {
        CallError::Data(format!("the data starts like a JSON object and is none: {error}; --raw signs it as bytes"))
    })
}

/// The type that stands in typed data.
fn kind_within(body: &RawValue) -> Result<Option<String>, CallError> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    let kind: Result<Kind, _> = serde_json::from_str(body.get());
    kind.map(|kind| kind.kind).map_err(|error| CallError::Data(format!("the data's type cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_json_object_is_typed_and_a_broken_one_is_never_bytes() {
        let found = |content: &[u8]| typed(content).map(|body| body.map(|body| body.get().to_owned()));
        assert_eq!(found(b" {\"n\": 1e2 }\n").ok(), Some(Some("{\"n\": 1e2 }".to_owned())), "byte for byte");
        for bytes in [&b"hello"[..], b"", b"[1]", b"\"{}\"", b"{\xff}", b"0x7b7d"] {
            assert_eq!(found(bytes).ok(), Some(None), "{bytes:?}");
        }
        for broken in [&b"{"[..], b"{\"type\":\"BLOCK\"", b"{} {}", b"{a:1}"] {
            assert_eq!(found(broken).expect_err("broken").exit_code(), contract::exit::DATA, "{broken:?}");
        }
    }

    #[test]
    fn the_type_within_is_found_and_two_are_refused() {
        let within = |text: &str| kind_within(serde_json::from_str(text).expect("JSON"));
        assert_eq!(within(r#"{"a":1,"type":"BLOCK_V2"}"#).ok(), Some(Some("BLOCK_V2".to_owned())));
        assert_eq!(within("{}").ok(), Some(None));
        assert!(within(r#"{"type":"BLOCK","type":"ATTESTATION"}"#).is_err());
        assert!(within(r#"{"type":7}"#).is_err());
    }
}
