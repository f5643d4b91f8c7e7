//! Recognising a request to sign.

use std::mem::MaybeUninit;
use std::str::from_utf8;

use httparse::Status;

use crate::routes::Kind;

/// The most fields of a head that is looked at here. Nodes send five or six.
const MOST_FIELDS: usize = 16;

/// A request to sign.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) kind: Kind,
    pub(super) body: &'a [u8],
}

impl<'a> Asked<'a> {
    /// The request at the start of `input`, and what is behind it. `None` where it is another one, is not whole, or
    /// says anything that could change how it is to be read or answered: HTTP has too many ways of doing so to judge
    /// them twice.
    pub(super) fn read(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        let Ok(Status::Complete(head)) = request.parse_with_uninit_headers(input, &mut fields) else { return None };
        if request.method != Some("POST") || request.version != Some(1) {
            return None;
        }
        let kind = Kind::ALL.into_iter().find(|kind| request.path == Some(kind.path()))?;
        let mut length = None;
        let mut typed = false;
        for field in request.headers.iter() {
            match Field::of(field.name) {
                Field::Length => length = Some(digits(field.value).filter(|_| length.is_none())?),
                Field::Type if !typed && field.value.eq_ignore_ascii_case(b"application/json") => typed = true,
                Field::Connection if field.value.eq_ignore_ascii_case(b"keep-alive") => {}
                Field::Harmless => {}
                Field::Type | Field::Connection | Field::Other => return None,
            }
        }
        let (body, behind) = input[head..].split_at_checked(length?)?;
        Some((Self { kind, body }, behind))
    }
}

/// What a field is about.
enum Field {
    Length,
    Type,
    Connection,
    /// The sidecar's answer is the same whatever it says.
    Harmless,
    /// Anything else: a transfer coding, an expectation, an upgrade, what nobody has heard of.
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is("host") => Self::Harmless,
            6 if is("accept") => Self::Harmless,
            10 if is("connection") => Self::Connection,
            10 if is("user-agent") => Self::Harmless,
            12 if is("content-type") => Self::Type,
            14 if is("content-length") => Self::Length,
            15 if is("accept-encoding") || is("accept-language") => Self::Harmless,
            _ => Self::Other,
        }
    }
}

/// Digits and nothing else; a number that no request here can reach is none.
fn digits(value: &[u8]) -> Option<usize> {
    let fine = (1..=6).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    from_utf8(value).ok().filter(|_| fine)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "POST /v1/staking/bls/sign HTTP/1.1\r\nHost: unix\r\nUser-Agent: Go-http-client/1.1\r\n\
                        Content-Length: 2\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n{}";

    fn is_read(request: &str) -> bool {
        Asked::read(request.as_bytes()).is_some()
    }

    #[test]
    fn a_nodes_request_is_read_and_what_is_behind_it_is_left() {
        let asked = Asked { kind: Kind::Bls, body: b"{}" };
        assert_eq!(Asked::read(NODE.as_bytes()), Some((asked, &b""[..])));
        let (tls, bls) = (NODE.replace("bls", "tls"), NODE);
        let asked = Asked { kind: Kind::Tls, body: b"{}" };
        assert_eq!(Asked::read(format!("{tls}{bls}").as_bytes()), Some((asked, bls.as_bytes())));
        assert!(is_read(&NODE.replace("Content-Length", "content-LENGTH")));
        assert!(is_read("POST /v1/staking/tls/sign HTTP/1.1\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n\r\n"));
    }

    #[test]
    fn no_part_of_a_request_is_taken_for_a_whole_one() {
        for length in 0..NODE.len() {
            assert!(!is_read(&NODE[..length]), "{length}");
        }
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_is_left_to_hyper() {
        let with = |line: &str| NODE.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
        assert!(is_read(&with("Accept: */*")));
        for line in [
            "Content-Length: 2",
            "Content-Length: 3",
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "transfer-encoding : chunked",
            "Expect: 100-continue",
            "Connection: close",
            "Connection: upgrade",
            "Connection: keep-alive, upgrade",
            "Upgrade: h2c",
            "Trailer: X",
            "TE: trailers",
            "Origin: http://evil.example",
            "X: y",
            " folded: x",
        ] {
            assert!(!is_read(&with(line)), "{line}");
        }
        for (from, to) in [
            ("POST", "GET"),
            ("POST", "post"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("/sign", "/sign?x"),
            ("/sign", "/sign/"),
            ("/sign", "/register"),
            ("/v1", "http://unix/v1"),
            ("Length: 2", "Length: 02000000000000000000002"),
            ("Length: 2", "Length: +2"),
            ("Length: 2", "Length: 2,2"),
            ("Length: 2", "Length: 0x2"),
            ("Length: 2", "Length:"),
            ("Length: 2", "Length: 2 2"),
            ("Length: 2", "Length: 3"),
            ("Content-Length: 2\r\n", ""),
            ("application/json", "application/json; charset=utf-8"),
            ("application/json", "text/plain"),
        ] {
            assert!(!is_read(&NODE.replacen(from, to, 1)), "{from} as {to}");
        }
    }
}
