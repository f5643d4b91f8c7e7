//! What the sidecar says about itself.

use std::fs::File;
use std::io::{self, Read as _};
use std::time::{SystemTime, UNIX_EPOCH};

use contract::Digest;
use contract::wire::attestation::HashSource;
use contract::wire::{Attestation, v04};
use sha2::{Digest as _, Sha256};

/// The version of the sidecar and of everything built into it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The one module there is; it is built in.
pub(crate) const MODULE: &str = "web3signer";

/// What the module can do, in the words of 0.4.
pub(crate) const MODULE_CAPABILITIES: [&str; 4] = ["bls_register", "bls_sign", "tls_register", "tls_sign"];

/// The part of the attestation that does not change while the process runs.
#[derive(Debug, Clone, Copy)]
pub struct Evidence {
    hash: Digest,
    source: HashSource,
    manifest: Digest,
}

/// The sidecar could not read its own executable.
#[derive(Debug, thiserror::Error)]
#[error("hash the running executable")]
pub struct HashSelf(#[source] io::Error);

impl Evidence {
    /// Evidence with the hash that the verifier measured, or, where there is none, with one of our own making,
    /// which proves nothing and says so.
    ///
    /// # Errors
    /// [`HashSelf`] where the executable has to be read and cannot be.
    pub fn gather(verified: Option<Digest>) -> Result<Self, HashSelf> {
        let manifest = Digest::new(Sha256::digest(manifest()).into());
        match verified {
            Some(hash) => Ok(Self { hash, source: HashSource::Verified, manifest }),
            None => {
                let hash = hash_self().map_err(HashSelf)?;
                Ok(Self { hash, source: HashSource::SelfReported, manifest })
            }
        }
    }

    /// Where the hash is from.
    pub fn source(&self) -> HashSource {
        self.source
    }

    /// The answer to a request for attestation, with the nonce that it carried.
    pub(crate) fn attest(&self, nonce: Option<String>) -> v04::Both<Attestation, v04::Attestation> {
        // A clock before 1970 is not worth a refusal: the nonce, not the time, is what makes the answer fresh.
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        v04::Both {
            contract: Attestation {
                core_binary_hash: self.hash,
                hash_source: self.source,
                cryfttee_version: VERSION.to_owned(),
                manifest_hash: self.manifest,
                loaded_modules: vec![MODULE.to_owned()],
                pid: std::process::id(),
                nonce,
                timestamp,
            },
            v04: v04::Attestation {
                modules: vec![v04::AttestedModule {
                    id: MODULE.to_owned(),
                    version: VERSION.to_owned(),
                    hash: self.hash.to_string(),
                    loaded: true,
                    trusted: true,
                    compatible: true,
                    enabled: true,
                    capabilities: MODULE_CAPABILITIES.map(str::to_owned).to_vec(),
                }],
                receipt: None,
            },
        }
    }
}

/// The list of built-in modules as canonical JSON: keys in order, no white space. All of it is ASCII without
/// quotes or backslashes, so nothing needs escaping.
fn manifest() -> String {
    let capabilities = MODULE_CAPABILITIES.map(|capability| format!("\"{capability}\"")).join(",");
    format!("[{{\"capabilities\":[{capabilities}],\"id\":\"{MODULE}\",\"version\":\"{VERSION}\"}}]")
}

fn hash_self() -> io::Result<Digest> {
    // The link, not the path it shows: the file at that path may have been replaced since the start.
    let mut file = File::open("/proc/self/exe")?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::new(hash.finalize().into())),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verified_hash_is_echoed_and_an_own_one_says_so() {
        let given = Digest::new([7; 32]);
        let answer = Evidence::gather(Some(given)).expect("nothing to read").attest(None).contract;
        assert_eq!((answer.core_binary_hash, answer.hash_source), (given, HashSource::Verified));

        let answer = Evidence::gather(None).expect("readable").attest(None).contract;
        let executable = std::fs::read(std::env::current_exe().expect("a path")).expect("readable");
        assert_eq!(answer.core_binary_hash, Digest::new(Sha256::digest(executable).into()));
        assert_eq!(answer.hash_source, HashSource::SelfReported);
    }

    #[test]
    fn the_manifest_is_canonical_json() {
        let value: serde_json::Value = serde_json::from_str(&manifest()).expect("JSON");
        // serde_json keeps objects sorted and writes no white space: writing it again must change nothing.
        assert_eq!(value.to_string(), manifest());
    }
}
