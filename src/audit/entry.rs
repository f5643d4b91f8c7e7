//! Entries of a journal as `journalctl -o export` and `-o json` print them, one at a time: the memory that reading takes
//! does not grow with the journal.

mod export;
mod json;

use std::io::{self, BufRead, Read as _};
use std::ops::Range;

/// The longest value that is kept. The verifier's own are a kilobyte at most, and a message of somebody else is of no use
/// here.
const LONGEST_VALUE: usize = 64 * 1024;
/// The longest line of JSON that is read; what is longer is passed over, and counted.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// The input cannot be read as a journal.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is the operation that failed")]
pub enum ReadError {
    #[error("read the journal")]
    Io(#[from] io::Error),
    #[error("entry {number} is in neither form of journalctl, export or json: {what}")]
    NotAJournal { number: u64, what: String },
    #[error("entry {number} is cut short")]
    CutShort { number: u64 },
}

/// One entry: those of its fields that this program looks at, as they were given.
#[derive(Debug, Default)]
pub struct Entry {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: Range<usize>,
    /// None where the value is too large, or was left out for that by journalctl.
    value: Option<Range<usize>>,
}

impl Entry {
    /// The one value of a field; none where it is not there, is there more than once, or is too large.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.fields().filter(|(found, _)| *found == name.as_bytes());
        match (found.next(), found.next()) {
            (Some((_, value)), None) => value,
            _ => None,
        }
    }

    /// The same, where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The same, where it is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Whether the field is there, in whatever way.
    pub fn has(&self, name: &str) -> bool {
        self.fields().any(|(found, _)| found == name.as_bytes())
    }

    /// Every field in the order of the input; one that is repeated comes more than once.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.fields.iter().map(|field| {
            let value = field.value.as_ref().map(|value| &self.bytes[value.clone()]);
            (&self.bytes[field.name.clone()], value)
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    /// Adds a field whose bytes are known.
    fn push(&mut self, name: &[u8], value: Option<&[u8]>) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(name);
        let name = at..self.bytes.len();
        let value = value.map(|value| {
            let at = self.bytes.len();
            self.bytes.extend_from_slice(value);
            at..self.bytes.len()
        });
        self.fields.push(Field { name, value });
    }
}

/// What is looked at: the verifier's own fields, and what the kernel and journald say about who sent them, and when.
fn is_wanted(name: &[u8]) -> bool {
    super::chain::is_covered(name)
        || matches!(
            name,
            b"AUDIT_HASH"
                | b"_UID"
                | b"_PID"
                | b"_BOOT_ID"
                | b"_HOSTNAME"
                | b"_MACHINE_ID"
                | b"_SYSTEMD_UNIT"
                | b"__CURSOR"
                | b"__REALTIME_TIMESTAMP"
        )
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Export,
    Json,
}

/// Reads entries, in the form that the input turns out to have.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    form: Option<Form>,
    entry: Entry,
    line: Vec<u8>,
    number: u64,
    passed_over: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads from here on.
    pub fn new(input: R) -> Self {
        Self { input, form: None, entry: Entry::default(), line: Vec::new(), number: 0, passed_over: 0 }
    }

    /// The input, to ask it how it ended.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// The next entry, or none at the end of the input.
    ///
    /// # Errors
    /// [`ReadError`]; nothing can be read after it.
    #[allow(clippy::should_implement_trait, reason = "what it gives is lent, which an iterator cannot do")]
    pub fn next(&mut self) -> Result<Option<&Entry>, ReadError> {
        let form = match self.form {
            Some(form) => form,
            None => match self.detect()? {
                Some(form) => *self.form.insert(form),
                None => return Ok(None),
            },
        };
        self.entry.clear();
        let found = match form {
            Form::Export => self.next_export()?,
            Form::Json => self.next_json()?,
        };
        Ok(found.then_some(&self.entry))
    }

    /// How many entries were read, those included that were passed over.
    pub const fn count(&self) -> u64 {
        self.number
    }

    /// How many entries were too large to be the verifier's, and were passed over.
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    fn detect(&mut self) -> Result<Option<Form>, ReadError> {
        loop {
            let Some(first) = self.input.fill_buf()?.first() else { return Ok(None) };
            match first {
                b'\n' | b'\r' | b' ' => self.input.consume(1),
                // RFC 7464: journalctl -o json-seq.
                b'{' | 0x1e => return Ok(Some(Form::Json)),
                _ => return Ok(Some(Form::Export)),
            }
        }
    }

    fn not_a_journal(&self, what: &str) -> ReadError {
        ReadError::NotAJournal { number: self.number, what: crate::text::sanitise_up_to(what, 100) }
    }
}

/// Reads up to the end of a line into `into`, at most `limit` bytes of it; the rest of a longer line is passed over. Says
/// whether it was whole; without the line feed, the input ended.
fn read_line(input: &mut impl BufRead, into: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    let at = into.len();
    input.by_ref().take(limit as u64).read_until(b'\n', into)?;
    if into.len() - at < limit || into.last() == Some(&b'\n') {
        return Ok(true);
    }
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (length, done) = (end.map_or(buffer.len(), |end| end + 1), end.is_some() || buffer.is_empty());
        input.consume(length);
        if done {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests;
