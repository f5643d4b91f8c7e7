//! The five commands, and what a TPM may answer. Pure.

use std::fmt;

use contract::Digest;

use super::wire::{Malformed, Reader, selected, selection, sized};
use super::{TpmError, key};

/// TPM_ALG_SHA256.
pub(super) const SHA256: u16 = 0x000b;
/// TPM_RH_ENDORSEMENT. Its seed outlives a `TPM2_Clear`, and only for a key of this hierarchy does a quote say truly how
/// often the host was reset.
pub(super) const ENDORSEMENT: u32 = 0x4000_000b;
/// TPM_ALG_NULL: the scheme of the key itself.
const ALG_NULL: u16 = 0x0010;
/// The header, and the longest answer that is taken.
pub(super) const HEADER: usize = 10;
pub(super) const LONGEST: usize = 4096;

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
/// The one session: TPM_RS_PW with an empty password, preceded by its length.
const EMPTY_PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];

/// What a TPM calls an object that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle(pub(super) u32);

#[derive(Debug)]
pub(super) enum Command {
    PcrRead { pcr: u8 },
    PcrExtend { pcr: u8, digest: Digest },
    CreatePrimary,
    Quote { handle: Handle, pcr: u8, qualifying: Digest },
    FlushContext { handle: Handle },
}

impl Command {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::PcrRead { .. } => "TPM2_PCR_Read",
            Self::PcrExtend { .. } => "TPM2_PCR_Extend",
            Self::CreatePrimary => "TPM2_CreatePrimary",
            Self::Quote { .. } => "TPM2_Quote",
            Self::FlushContext { .. } => "TPM2_FlushContext",
        }
    }

    const fn code(&self) -> u32 {
        match self {
            Self::PcrRead { .. } => 0x17e,
            Self::PcrExtend { .. } => 0x182,
            Self::CreatePrimary => 0x131,
            Self::Quote { .. } => 0x158,
            Self::FlushContext { .. } => 0x165,
        }
    }

    /// Whose authorisation it needs; a handle of a PCR is its number.
    const fn authorised_by(&self) -> Option<u32> {
        match self {
            Self::PcrRead { .. } | Self::FlushContext { .. } => None,
            Self::PcrExtend { pcr, .. } => Some(*pcr as u32),
            Self::CreatePrimary => Some(ENDORSEMENT),
            Self::Quote { handle, .. } => Some(handle.0),
        }
    }

    fn parameters(&self) -> Vec<u8> {
        match self {
            Self::PcrRead { pcr } => selection(*pcr),
            // A list of one digest.
            Self::PcrExtend { digest, .. } => [&[0, 0, 0, 1][..], &SHA256.to_be_bytes(), digest.as_bytes()].concat(),
            Self::CreatePrimary => [
                // No password and no data of ours.
                sized(&[0; 4]),
                sized(&key::template()),
                // Nothing from outside, and no PCRs in the proof of its creation.
                sized(&[]),
                vec![0; 4],
            ]
            .concat(),
            Self::Quote { pcr, qualifying, .. } => {
                [sized(qualifying.as_bytes()), ALG_NULL.to_be_bytes().to_vec(), selection(*pcr)].concat()
            }
            Self::FlushContext { handle } => handle.0.to_be_bytes().to_vec(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, authorisation) = match self.authorised_by() {
            None => (NO_SESSIONS, Vec::new()),
            Some(handle) => (SESSIONS, [&handle.to_be_bytes()[..], &EMPTY_PASSWORD].concat()),
        };
        let parameters = self.parameters();
        let length = u32::try_from(HEADER + authorisation.len() + parameters.len()).expect("what is sent is short");
        [&tag.to_be_bytes()[..], &length.to_be_bytes(), &self.code().to_be_bytes(), &authorisation, &parameters]
            .concat()
    }
}

/// A code of a TPM that did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(u32);

impl Refusal {
    /// TPM_RC_YIELDED, TPM_RC_TESTING and TPM_RC_RETRY.
    pub(super) const fn may_pass(self) -> bool {
        matches!(self.0, 0x908 | 0x90a | 0x922)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of codes that name a parameter, session or handle, the number of it is left out.
        let code = if self.0 & 0x80 == 0 { self.0 } else { self.0 & 0xbf };
        let hint = match code {
            0x100 => ": it was not started up",
            0x120 => ": it is disabled",
            0x13a | 0x13b => ": it has no such command",
            0x8e | 0xa2 => ": the hierarchy has a password, and an empty one was given",
            0x85 | 0xb2 => ": the hierarchy is disabled",
            0x902 => ": it has no room for another key; without a resource manager, others must take theirs out",
            0x907 => ": this PCR is not for programs",
            0x921 => ": it is locked against guessing passwords",
            0x922 | 0x90a | 0x908 => ": it is busy",
            _ => "",
        };
        write!(f, "code {:#x}{hint}", self.0)
    }
}

/// An answer whose frame is good.
#[derive(Debug)]
pub(super) struct Answer {
    command: &'static str,
    has_handle: bool,
    has_session: bool,
    code: u32,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn read(command: &Command, bytes: Vec<u8>) -> Result<Self, TpmError> {
        let malformed = |_| TpmError::Malformed(command.name());
        let (tag, code, body) = frame(&bytes).map_err(malformed)?;
        let has_session = command.authorised_by().is_some();
        let expected = if has_session && code == 0 { SESSIONS } else { NO_SESSIONS };
        // A refusal has nothing but its code.
        if tag != expected || (code != 0 && !body.is_empty()) {
            return Err(malformed(Malformed));
        }
        let has_handle = matches!(command, Command::CreatePrimary);
        Ok(Self { command: command.name(), has_handle, has_session, code, body: body.to_vec() })
    }

    pub(super) const fn refusal(&self) -> Option<Refusal> {
        if self.code == 0 { None } else { Some(Refusal(self.code)) }
    }

    fn parse<T>(
        &self,
        parameters: impl FnOnce(Handle, &mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, TpmError> {
        let parse = || {
            let mut reader = Reader(&self.body);
            let handle = Handle(if self.has_handle { reader.u32()? } else { 0 });
            if !self.has_session {
                let found = parameters(handle, &mut reader)?;
                return reader.end().map(|()| found);
            }
            let length = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
            let mut own = Reader(reader.take(length)?);
            let found = parameters(handle, &mut own)?;
            own.end()?;
            // What the session of the empty password is answered: no nonce, its attributes, no HMAC.
            reader.sized()?;
            reader.u8()?;
            reader.sized()?;
            reader.end().map(|()| found)
        };
        parse().map_err(|_| TpmError::Malformed(self.command))
    }

    pub(super) fn nothing(&self) -> Result<(), TpmError> {
        self.parse(|_, _| Ok(()))
    }

    /// The value of the one PCR that was asked for.
    pub(super) fn pcr(&self, pcr: u8) -> Result<Digest, TpmError> {
        let (selected, values) = self.parse(|_, reader| {
            // How often any PCR was changed.
            reader.u32()?;
            let selected = selected(reader)?;
            let count = reader.u32()?;
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(reader.sized()?.to_vec());
            }
            Ok((selected, values))
        })?;
        if selected.is_empty() && values.is_empty() {
            return Err(TpmError::NoBank);
        }
        match (&selected[..], &values[..]) {
            ([found], [value]) if *found == pcr => {
                let value = value.as_slice().try_into().map_err(|_| TpmError::Malformed(self.command))?;
                Ok(Digest::new(value))
            }
            _ => Err(TpmError::Malformed(self.command)),
        }
    }

    /// The handle of the key, and its TPM2B_PUBLIC. What else is said of its creation is of no use here.
    pub(super) fn created(&self) -> Result<(Handle, Vec<u8>), TpmError> {
        self.parse(|handle, reader| {
            let key = sized(reader.sized()?);
            // TPM2B_CREATION_DATA, the digest of it, and a ticket: a tag, a hierarchy and an HMAC; then the name.
            reader.sized()?;
            reader.sized()?;
            reader.take(6)?;
            reader.sized()?;
            reader.sized()?;
            Ok((handle, key))
        })
    }

    /// TPMS_ATTEST and TPMT_SIGNATURE. What is in them is looked at where they are verified.
    pub(super) fn quoted(self) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
        self.parse(|_, reader| {
            let attest = reader.sized()?.to_vec();
            let signature = reader.take(reader.0.len())?.to_vec();
            Ok((attest, signature))
        })
    }
}

/// Tag, code and body of an answer that is as long as it says.
fn frame(bytes: &[u8]) -> Result<(u16, u32, &[u8]), Malformed> {
    let mut reader = Reader(bytes);
    let (tag, length, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
    if usize::try_from(length) == Ok(bytes.len()) { Ok((tag, code, reader.0)) } else { Err(Malformed) }
}

/// How long an answer is, by its first ten bytes.
pub(super) fn length(header: [u8; HEADER]) -> Option<usize> {
    let mut reader = Reader(&header[2..]);
    let length = usize::try_from(reader.u32().ok()?).ok()?;
    (HEADER..=LONGEST).contains(&length).then_some(length)
}
