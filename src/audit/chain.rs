//! The hash chain over the events: each entry names the hash of the one before it. What is hashed is what the journal
//! holds, so that whoever has the entries can compute it again (docs/audit.md: canonical form).

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// What a hash begins with, so that no other text of this project has the same hash.
const DOMAIN: &[u8] = b"cryftgo-tee audit entry v1\n";

/// The SHA-256 of an entry; 64 lower-case hex digits. All zeros stand before the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash([u8; 32]);

/// Which chain: a random number from when its state was made; 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId([u8; 16]);

/// The text is not so many lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} lower-case hex digits")]
pub struct NotHex(usize);

impl Hash {
    /// A hash from its 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its first eight bytes: enough to compare what was hashed already.
    pub(super) fn short(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }
}

impl ChainId {
    /// A new one.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        crate::sys::random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// One of these bytes, for tests.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// A place in a chain: how many entries there were, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The chain.
    pub chain: ChainId,
    /// The number of the last entry; they are counted from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Link {
    /// Before the first entry.
    pub fn genesis(chain: ChainId) -> Self {
        Self { chain, seq: 0, hash: Hash::default() }
    }

    /// What every checkpoint signs: three lines.
    pub fn statement(&self) -> String {
        let Self { chain, seq, hash } = self;
        format!("chain={chain}\nseq={seq}\nhash={hash}\n")
    }
}

/// When something happened, by the clocks of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The boot, as journald writes it: 32 hex digits.
    pub boot: String,
    /// Microseconds since then (`CLOCK_MONOTONIC`).
    pub monotonic: u64,
    /// Microseconds since 1970.
    pub wall: u64,
}

/// An entry that has its place in the chain, ready to be sent.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its place.
    pub link: Link,
    /// `NAME=value` lines, as journald takes them.
    pub datagram: Vec<u8>,
}

/// Gives fields their place behind `last`. Values must have no line break: they are sanitised.
pub fn seal(last: Link, moment: &Moment, fields: &[(&str, String)]) -> Sealed {
    let own = [
        ("AUDIT_CHAIN", last.chain.to_string()),
        ("AUDIT_SEQ", (last.seq + 1).to_string()),
        ("AUDIT_PREV", last.hash.to_string()),
        ("AUDIT_BOOT", moment.boot.clone()),
        ("AUDIT_MONOTONIC", moment.monotonic.to_string()),
        ("AUDIT_TIME", crate::clock::utc_micros(moment.wall)),
    ];
    let mut hasher = Hasher::default();
    let mut datagram = Vec::with_capacity(1024);
    let fields =
        fields.iter().map(|(name, value)| (*name, value)).chain(own.iter().map(|(name, value)| (*name, value)));
    let mut all: Vec<(&[u8], &[u8])> = Vec::new();
    for (name, value) in fields {
        all.push((name.as_bytes(), value.as_bytes()));
        add(&mut datagram, name, value);
    }
    let hash = hasher.hash(all.into_iter());
    add(&mut datagram, "AUDIT_HASH", &hash.to_string());
    Sealed { link: Link { seq: last.seq + 1, hash, ..last }, datagram }
}

fn add(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    datagram.push(b'=');
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

/// Whether a field is covered by the hash: those that the verifier sends, and none that journald or an operator's
/// `LogExtraFields=` adds.
pub fn is_covered(name: &[u8]) -> bool {
    matches!(name, b"MESSAGE" | b"MESSAGE_ID" | b"PRIORITY" | b"SYSLOG_IDENTIFIER")
        || name.starts_with(b"CRYFTTEE_")
        || (name.starts_with(b"AUDIT_") && name != b"AUDIT_HASH")
}

/// Computes hashes, with memory that is used again.
#[derive(Debug, Default)]
pub struct Hasher {
    text: Vec<u8>,
}

impl Hasher {
    /// The hash of an entry: the domain, then `NAME=value` and a line feed for each covered field, in the order of the
    /// bytes of the names.
    pub fn hash<'a>(&mut self, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Hash {
        // Few enough for a sort of references on the way.
        let mut covered: Vec<(&[u8], &[u8])> = fields.filter(|(name, _)| is_covered(name)).collect();
        covered.sort_unstable();
        self.text.clear();
        self.text.extend_from_slice(DOMAIN);
        for (name, value) in covered {
            self.text.extend_from_slice(name);
            self.text.push(b'=');
            self.text.extend_from_slice(value);
            self.text.push(b'\n');
        }
        Hash(Sha256::digest(&self.text).into())
    }
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(NotHex(2 * N)),
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return Err(NotHex(2 * N));
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl FromStr for Hash {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        parse_hex(text).map(Self)
    }
}

impl FromStr for ChainId {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}
