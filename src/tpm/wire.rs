//! The TPM's bytes: numbers are big-endian, and what varies in length has its length in front.

/// What came is shorter, longer or other than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads from the front; never beyond the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A TPM2B: two bytes of length, and then so many.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// These bytes and no others.
    pub(super) fn expect(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err(Malformed) }
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// A TPM2B with these bytes. None of ours is longer than a hundred.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("what is sent is short");
    [&length.to_be_bytes(), bytes].concat()
}

/// A number of a curve of 256 bits. Zeros in front may have been left out.
pub(super) fn number(bytes: &[u8]) -> Result<[u8; 32], Malformed> {
    let mut number = [0; 32];
    let start = number.len().checked_sub(bytes.len()).ok_or(Malformed)?;
    number[start..].copy_from_slice(bytes);
    Ok(number)
}

/// TPML_PCR_SELECTION of one PCR in the bank for SHA-256.
pub(super) fn selection(pcr: u8) -> Vec<u8> {
    let bit = 1_u32.checked_shl(pcr.into()).unwrap_or_default().to_le_bytes();
    [&1_u32.to_be_bytes()[..], &super::command::SHA256.to_be_bytes(), &[3], &bit[..3]].concat()
}

/// The PCRs of a TPML_PCR_SELECTION, which must be of the bank for SHA-256 alone. None selected is none.
pub(super) fn selected(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let mut selected = Vec::new();
    let (count, hash) = (reader.u32()?, reader.u16()?);
    if count != 1 || hash != super::command::SHA256 {
        return Err(Malformed);
    }
    let length = reader.u8()?;
    // Thirty-two PCRs are more than any TPM has.
    for (octet, bits) in reader.take(length.into())?.iter().take(4).enumerate() {
        selected.extend((0..8).filter(|bit| bits >> bit & 1 == 1).map(|bit| octet as u8 * 8 + bit));
    }
    if length <= 4 { Ok(selected) } else { Err(Malformed) }
}
