//! What a quote says, for whoever gets one. Pure, and nothing in it is trusted before its signature was verified.

use contract::Digest;
use sha2::{Digest as _, Sha256};

use super::Key;
use super::wire::{Malformed, Reader, selected};

/// TPM_GENERATED_VALUE: only the TPM itself signs what begins like this with a restricted key.
const GENERATED: u32 = 0xff54_4347;
/// TPM_ST_ATTEST_QUOTE.
const QUOTE: u16 = 0x8018;

/// Why a quote is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is what its text says")]
pub enum NotQuoted {
    #[error("it is no statement of a TPM (TPM_GENERATED is missing)")]
    NotGenerated,
    #[error("it is a statement of a TPM, but no quote")]
    NotAQuote,
    #[error("it is cut short, or not as the specification has it")]
    Malformed,
    #[error("the signature is by another key, or over something else")]
    Signature,
    #[error("it names another key than the one in the document")]
    OtherSigner,
    #[error("it was made for another statement: another nonce, digest or process")]
    OtherStatement,
}

impl From<Malformed> for NotQuoted {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What is of use of a TPMS_ATTEST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// In the bank for SHA-256.
    pub pcrs: Vec<u8>,
    /// Over their values.
    pub digest: Vec<u8>,
    /// How often the host was reset.
    pub resets: u32,
    qualifying: Vec<u8>,
    signer: Vec<u8>,
}

impl Quote {
    /// Reads a TPMS_ATTEST.
    ///
    /// # Errors
    /// [`NotQuoted`].
    pub fn read(attest: &[u8]) -> Result<Self, NotQuoted> {
        let mut reader = Reader(attest);
        if reader.u32()? != GENERATED {
            return Err(NotQuoted::NotGenerated);
        }
        if reader.u16()? != QUOTE {
            return Err(NotQuoted::NotAQuote);
        }
        let (signer, qualifying) = (reader.sized()?.to_vec(), reader.sized()?.to_vec());
        let _clock = reader.u64()?;
        let (resets, _restarts) = (reader.u32()?, reader.u32()?);
        let (_safe, _firmware) = (reader.u8()?, reader.u64()?);
        let (pcrs, digest) = (selected(&mut reader)?, reader.sized()?.to_vec());
        reader.end()?;
        Ok(Self { pcrs, digest, resets, qualifying, signer })
    }

    /// Whether it is of this PCR alone, with this value.
    pub fn is_of(&self, pcr: u8, value: Digest) -> bool {
        self.pcrs == [pcr] && self.digest == Sha256::digest(value.as_bytes()).as_slice()
    }
}

/// Verifies that a key of a TPM made a quote for a statement, and says what is in it.
///
/// # Errors
/// [`NotQuoted`].
pub fn verify(key: &Key, attest: &[u8], signature: &[u8], qualifying: Digest) -> Result<Quote, NotQuoted> {
    let quote = Quote::read(attest)?;
    if !key.signed(attest, signature) {
        return Err(NotQuoted::Signature);
    }
    if quote.signer != key.qualified_name() {
        return Err(NotQuoted::OtherSigner);
    }
    if quote.qualifying != qualifying.as_bytes() {
        return Err(NotQuoted::OtherStatement);
    }
    Ok(quote)
}
