//! Reading the signer's answers: HTTP/1.1 as far as a signer needs it, strictly and within bounds.
//!
//! hyper's client did this before. It took a third of the time that a signature costs here, and it kept what it sent in
//! buffers of its own, where the password of an import must not stay. What no signer sends (trailers, upgrades, codings
//! other than chunked) is not read: it is an error, and ends the connection.

use std::mem::MaybeUninit;

use httparse::ParserConfig;

use super::error::SignerError;

/// The longest head, the interim ones before it included. Heads of answers are a few hundred bytes.
const MOST_HEAD: usize = 16 * 1024;
/// The most fields in one.
const MOST_FIELDS: usize = 64;
/// The longest line with the size of a chunk.
const MOST_SIZE_LINE: usize = 256;
/// The start of an error's text that is kept.
const ERROR_TEXT: usize = 4 * 1024;

const NOT_HTTP: SignerError = SignerError::Nonsense("an answer in HTTP/1.1");

/// An answer, read to its end or as far as it is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the connection may carry another request: the signer did not say otherwise, the answer was read to its
    /// end, and nothing came behind it.
    pub(super) reusable: bool,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        matches!(self.status, 200 | 201)
    }
}

/// Where in an answer the reading is.
#[derive(Debug, Clone, Copy)]
enum At {
    Head,
    /// So many bytes of a body, or of its chunk, are to come.
    Sized(u64),
    Chunk(u64),
    ChunkSize,
    ChunkEnd,
    /// Behind the last chunk, where no trailer may stand.
    LastEnd,
    /// A body that ends with the connection.
    Open,
}

/// Reads one answer out of bytes that arrive in whatever pieces.
#[derive(Debug)]
pub(super) struct Reading {
    at: At,
    status: u16,
    keep: bool,
    body: Vec<u8>,
    limit: usize,
    /// Bytes of heads so far.
    heads: usize,
}

impl Reading {
    /// `limit`: the longest body that makes sense, in bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { at: At::Head, status: 0, keep: true, body: Vec::new(), limit, heads: 0 }
    }

    /// Takes what has arrived. What it leaves in `input` is the start of something that it has not seen whole; to be
    /// called again once there is more behind it.
    pub(super) fn feed(&mut self, input: &mut Vec<u8>) -> Result<Option<Reply>, SignerError> {
        let mut used = 0;
        let outcome = self.advance(input, &mut used);
        if used == input.len() {
            input.clear();
        } else {
            input.drain(..used);
        }
        Ok(if outcome? { Some(self.finish(input.is_empty())) } else { None })
    }

    /// The signer has closed the connection.
    pub(super) fn end(&mut self) -> Option<Reply> {
        self.keep = false;
        matches!(self.at, At::Open).then(|| self.finish(true))
    }

    /// What is there of an answer that says no, where the rest of it does not arrive: the status says enough.
    pub(super) fn refusal(&mut self) -> Option<Reply> {
        self.keep = false;
        (!matches!(self.at, At::Head) && !self.is_success()).then(|| self.finish(true))
    }

    fn is_success(&self) -> bool {
        matches!(self.status, 200 | 201)
    }

    fn finish(&mut self, nothing_behind: bool) -> Reply {
        let body = std::mem::take(&mut self.body);
        Reply { status: self.status, body, reusable: self.keep && nothing_behind }
    }

    /// Whether the answer is whole.
    fn advance(&mut self, input: &[u8], used: &mut usize) -> Result<bool, SignerError> {
        loop {
            let rest = &input[*used..];
            match self.at {
                At::Head => match self.head(rest)? {
                    None => return Ok(false),
                    Some(length) => *used += length,
                },
                At::Sized(0) => return Ok(true),
                At::Chunk(0) => self.at = At::ChunkEnd,
                At::Open | At::Sized(_) | At::Chunk(_) if rest.is_empty() => return Ok(false),
                At::Sized(left) | At::Chunk(left) => {
                    let (taken, enough) = self.take(rest, left)?;
                    *used += taken;
                    let left = left - taken as u64;
                    self.at = if matches!(self.at, At::Sized(_)) { At::Sized(left) } else { At::Chunk(left) };
                    if enough {
                        return Ok(true);
                    }
                }
                At::Open => {
                    let (taken, enough) = self.take(rest, u64::MAX)?;
                    *used += taken;
                    if enough {
                        return Ok(true);
                    }
                }
                At::ChunkSize => match httparse::parse_chunk_size(rest).map_err(|_| NOT_HTTP)? {
                    httparse::Status::Complete((length, size)) if length <= MOST_SIZE_LINE => {
                        *used += length;
                        if self.is_success() && size > (self.limit - self.body.len()) as u64 {
                            return Err(SignerError::TooLong(self.limit));
                        }
                        self.at = if size > 0 { At::Chunk(size) } else { At::LastEnd };
                    }
                    httparse::Status::Partial if rest.len() <= MOST_SIZE_LINE => return Ok(false),
                    _ => return Err(NOT_HTTP),
                },
                At::ChunkEnd | At::LastEnd => {
                    if !line_end(rest)? {
                        return Ok(false);
                    }
                    *used += 2;
                    if matches!(self.at, At::LastEnd) {
                        return Ok(true);
                    }
                    self.at = At::ChunkSize;
                }
            }
        }
    }

    /// Takes at most `left` bytes of a body. How many it took, and whether no more of the answer is wanted.
    fn take(&mut self, rest: &[u8], left: u64) -> Result<(usize, bool), SignerError> {
        let count = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        if self.is_success() {
            if count > self.limit - self.body.len() {
                return Err(SignerError::TooLong(self.limit));
            }
            self.body.extend_from_slice(&rest[..count]);
            return Ok((count, false));
        }
        let wanted = ERROR_TEXT - self.body.len();
        self.body.extend_from_slice(&rest[..count.min(wanted)]);
        // The rest is still to come on this connection, which therefore cannot be used again.
        let enough = count > wanted;
        self.keep &= !enough;
        Ok((count, enough))
    }

    /// Reads a head, and says how long it is; `None` where it has not arrived whole.
    fn head(&mut self, rest: &[u8]) -> Result<Option<usize>, SignerError> {
        // Not filled beforehand: that would be two kilobytes for every answer.
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, rest, &mut fields);
        let length = match parsed.map_err(|_| NOT_HTTP)? {
            httparse::Status::Complete(length) if self.heads + length <= MOST_HEAD => length,
            httparse::Status::Partial if self.heads + rest.len() <= MOST_HEAD => return Ok(None),
            _ => return Err(NOT_HTTP),
        };
        self.heads += length;
        let (status, version) = (response.code.unwrap_or_default(), response.version.unwrap_or_default());
        match status {
            // Nothing was asked that changes the protocol.
            0..=99 | 101 => return Err(NOT_HTTP),
            // An interim answer; the one that counts is behind it.
            100..=199 => return Ok(Some(length)),
            _ => self.status = status,
        }
        let framing = Framing::of(response.headers, version)?;
        self.keep = framing.keep;
        self.at = match (status, framing.length, framing.chunked) {
            (204 | 304, ..) => At::Sized(0),
            (_, Some(_), true) => return Err(NOT_HTTP),
            (_, Some(length), false) => {
                if self.is_success() && length > self.limit as u64 {
                    return Err(SignerError::TooLong(self.limit));
                }
                self.body.reserve_exact(usize::try_from(length).unwrap_or(ERROR_TEXT).min(MOST_HEAD));
                At::Sized(length)
            }
            (_, None, true) => At::ChunkSize,
            (_, None, false) => {
                self.keep = false;
                At::Open
            }
        };
        Ok(Some(length))
    }
}

/// What a head says of the body and of the connection.
struct Framing {
    length: Option<u64>,
    chunked: bool,
    keep: bool,
}

impl Framing {
    fn of(fields: &[httparse::Header<'_>], version: u8) -> Result<Self, SignerError> {
        // HTTP/1.0 closes, whatever else it says.
        let mut framing = Self { length: None, chunked: false, keep: version == 1 };
        for field in fields {
            if field.name.eq_ignore_ascii_case("content-length") {
                // Twice, even the same: two readers could take two of them.
                let digits = !field.value.is_empty() && field.value.iter().all(u8::is_ascii_digit);
                let text = std::str::from_utf8(field.value).ok().filter(|_| digits && framing.length.is_none());
                framing.length = Some(text.and_then(|text| text.parse().ok()).ok_or(NOT_HTTP)?);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                if framing.chunked || version != 1 || !field.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(NOT_HTTP);
                }
                framing.chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                let mut words = field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                framing.keep &= words.all(|word| word.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        Ok(framing)
    }
}

/// Whether the line ends here; an error where something else stands here.
fn line_end(rest: &[u8]) -> Result<bool, SignerError> {
    match rest {
        [b'\r', b'\n', ..] => Ok(true),
        [] | [b'\r'] => Ok(false),
        _ => Err(NOT_HTTP),
    }
}

#[cfg(test)]
mod tests;
