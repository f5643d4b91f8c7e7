//! `journalctl -o export`: `NAME=value` lines, or for binary values the name, a length of eight bytes and the bytes; an
//! empty line ends an entry.

use std::io::{self, BufRead, Read as _};

use super::{Field, LONGEST_VALUE, ReadError, Reader, is_wanted, read_line};

/// journald allows 64 bytes of a name.
const LONGEST_NAME: usize = 256;

impl<R: BufRead> Reader<R> {
    pub(super) fn next_export(&mut self) -> Result<bool, ReadError> {
        self.number += 1;
        let mut began = false;
        loop {
            let at = self.entry.bytes.len();
            let whole = read_line(&mut self.input, &mut self.entry.bytes, LONGEST_NAME + 1 + LONGEST_VALUE)?;
            let line = &self.entry.bytes[at..];
            if line.is_empty() || line == b"\n" {
                let ended = line.is_empty();
                self.entry.bytes.truncate(at);
                match (began, ended) {
                    // The last entry, too, ends with an empty line; journalctl writes one.
                    (true, true) => return Err(ReadError::CutShort { number: self.number }),
                    (true, false) => return Ok(true),
                    (false, true) => {
                        self.number -= 1;
                        return Ok(false);
                    }
                    (false, false) => continue,
                }
            }
            began = true;
            if whole && line.last() != Some(&b'\n') {
                return Err(ReadError::CutShort { number: self.number });
            }
            let end = self.entry.bytes.len() - usize::from(whole);
            let line = &self.entry.bytes[at..end];
            let name = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
            if !is_name(&line[..name]) {
                return Err(self.not_a_journal(&String::from_utf8_lossy(&line[..line.len().min(80)])));
            }
            let (name, binary) = (at..at + name, name == line.len());
            let wanted = is_wanted(&self.entry.bytes[name.clone()]);
            if binary {
                self.entry.bytes.truncate(name.end);
                let value = self.binary(wanted)?;
                if wanted {
                    self.entry.fields.push(Field { name, value });
                    continue;
                }
            } else if wanted {
                self.entry.bytes.truncate(end);
                let value = (whole && end - name.end - 1 <= LONGEST_VALUE).then_some(name.end + 1..end);
                self.entry.fields.push(Field { name, value });
                continue;
            }
            self.entry.bytes.truncate(at);
        }
    }

    /// A length, so many bytes, and a line feed.
    fn binary(&mut self, wanted: bool) -> Result<Option<std::ops::Range<usize>>, ReadError> {
        let cut = |number| {
            move |error: io::Error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ReadError::CutShort { number },
                _ => ReadError::Io(error),
            }
        };
        let number = self.number;
        let mut length = [0; 8];
        self.input.read_exact(&mut length).map_err(cut(number))?;
        let length = u64::from_le_bytes(length);
        let at = self.entry.bytes.len();
        let kept = wanted && length <= LONGEST_VALUE as u64;
        let mut value = self.input.by_ref().take(length);
        let read = if kept {
            value.read_to_end(&mut self.entry.bytes)? as u64
        } else {
            io::copy(&mut value, &mut io::sink())?
        };
        let mut end = [0];
        if read < length {
            return Err(ReadError::CutShort { number });
        }
        self.input.read_exact(&mut end).map_err(cut(number))?;
        if end != *b"\n" {
            return Err(self.not_a_journal("a binary value does not end where its length says"));
        }
        Ok(kept.then_some(at..self.entry.bytes.len()))
    }
}

/// `__CURSOR`, `MESSAGE`, …: what journald takes for a name, and the names that it gives itself.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}
