//! minisign signatures: which of the trusted keys signed this?

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use minisign_verify::{PublicKey, Signature};

use crate::durable;

/// A signature file holds four lines.
const MAX_SIGNATURE: u64 = 16 * 1024;
const CHUNK: usize = 128 * 1024;

/// A minisign public key, written as its one base64 line.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedKey {
    text: String,
    key: PublicKey,
}

impl TrustedKey {
    /// The Ed25519 key itself, behind the algorithm and the key id: two spellings with the same one are one key.
    fn material(&self) -> Vec<u8> {
        let decoded: contract::Bytes = self.text.parse().unwrap_or_default();
        decoded.0.get(10..).map(<[u8]>::to_vec).unwrap_or_default()
    }
}

impl FromStr for TrustedKey {
    type Err = minisign_verify::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.to_owned(), key: PublicKey::from_base64(text)? })
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What became of one signature file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The file.
    pub path: PathBuf,
    /// The key that made it, or why it does not count.
    pub outcome: Result<String, NoCount>,
}

/// Why a signature file does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCount {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It holds something else.
    #[error("it is not a minisign signature")]
    NotASignature,
    /// Somebody else made it.
    #[error("no trusted key has its key id")]
    Stranger,
    /// An old form, which signs the content itself and not its hash.
    #[error("it is a legacy signature; sign again with minisign 0.6 or later")]
    Legacy,
    /// It names a trusted key, but not over this content: one of the two was changed.
    #[error("it has the key id of {0}, but does not verify")]
    Broken(String),
}

/// The signature files of `signed`: `NAME.minisig`, and `NAME.*.minisig` where several people sign.
///
/// # Errors
/// What listing the folder reports; that there is none is no error.
fn files_for(signed: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (signed.parent(), signed.file_name()) else { return Ok(Vec::new()) };
    // A file named without a folder stands in the current one.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let start = format!("{}.", name.to_string_lossy());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&start) && name.ends_with(".minisig") {
            files.push(folder.join(&*name));
        }
    }
    files.sort();
    Ok(files)
}

/// Looks at every signature of `signed`, whose content is `content`. A file that does not count is no error:
/// it is told, and the others decide.
///
/// # Errors
/// What listing or reading reports.
pub(super) fn examine(signed: &Path, content: &File, keys: &[TrustedKey]) -> io::Result<Vec<Examined>> {
    let mut examined = Vec::new();
    for path in files_for(signed)? {
        let bytes = match durable::read(&path, MAX_SIGNATURE) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => {
                examined.push(Examined { path, outcome: Err(NoCount::Unreadable(error.to_string())) });
                continue;
            }
        };
        let outcome = match std::str::from_utf8(&bytes).ok().and_then(|text| Signature::decode(text).ok()) {
            None => Err(NoCount::NotASignature),
            Some(signature) => check(content, &signature, keys)?,
        };
        examined.push(Examined { path, outcome });
    }
    Ok(examined)
}

/// How many different keys signed.
pub(super) fn signers(examined: &[Examined], keys: &[TrustedKey]) -> usize {
    let signed = |key: &&TrustedKey| examined.iter().any(|one| one.outcome.as_ref() == Ok(&key.text));
    let mut material: Vec<Vec<u8>> = keys.iter().filter(signed).map(TrustedKey::material).collect();
    material.sort();
    material.dedup();
    material.len()
}

fn check(content: &File, signature: &Signature, keys: &[TrustedKey]) -> io::Result<Result<String, NoCount>> {
    let mut reason = NoCount::Stranger;
    for trusted in keys {
        let mut verifier = match trusted.key.verify_stream(signature) {
            Ok(verifier) => verifier,
            Err(minisign_verify::Error::UnexpectedKeyId) => continue,
            Err(minisign_verify::Error::UnsupportedLegacyMode) => {
                reason = NoCount::Legacy;
                continue;
            }
            Err(_) => {
                reason = NoCount::NotASignature;
                continue;
            }
        };
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        loop {
            match content.read_at(&mut chunk, at) {
                Ok(0) => break,
                Ok(count) => {
                    verifier.update(&chunk[..count]);
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match verifier.finalize() {
            Ok(()) => return Ok(Ok(trusted.text.clone())),
            Err(_) => reason = NoCount::Broken(trusted.text.clone()),
        }
    }
    Ok(Err(reason))
}
