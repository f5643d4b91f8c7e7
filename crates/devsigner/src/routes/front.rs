//! What is refused before the path is looked at: by length, by `Host`, by `Origin`.

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Uri, Version};

use crate::answer::Refusal;

/// The longest request line.
const MAX_LINE: usize = 4 * 1024;
/// The longest headers, all together.
const MAX_HEADERS: usize = 8 * 1024;

pub(super) fn check(head: &Parts, allowed_hosts: &[String]) -> Result<(), Refusal> {
    if line_length(head) > MAX_LINE {
        return Err(Refusal::LongLine);
    }
    if headers_length(&head.headers) > MAX_HEADERS {
        return Err(Refusal::LongHeaders);
    }
    check_host(head.version, &head.headers, allowed_hosts)?;
    // Stock allows no origin unless it is told some, its own neither.
    if head.headers.contains_key(ORIGIN) { Err(Refusal::Origin) } else { Ok(()) }
}

/// As it came over the wire, but for the line's end.
fn line_length(head: &Parts) -> usize {
    let target = |uri: &Uri| {
        let origin = uri.path_and_query().map_or(0, |path| path.as_str().len());
        let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
        scheme + uri.authority().map_or(0, |authority| authority.as_str().len()) + origin
    };
    head.method.as_str().len() + target(&head.uri) + "  HTTP/1.1".len()
}

fn headers_length(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len()).sum()
}

/// Refuses a request that is addressed to a name that is not allowed, as stock does: a page in a browser whose name
/// resolves to loopback would otherwise be able to ask for signatures. The first header counts, the port does not.
fn check_host(version: Version, headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let Some(value) = headers.get(HOST) else {
        return Err(if version < Version::HTTP_11 { Refusal::ForeignHost } else { Refusal::BadHost });
    };
    let text = value.to_str().map_err(|_| Refusal::BadHost)?;
    if text.is_empty() {
        return Err(Refusal::ForeignHost);
    }
    // A user before the host belongs into a URL: the name after it is not what the client was told to ask.
    let authority: Authority = text.parse().ok().filter(|_| !text.contains('@')).ok_or(Refusal::BadHost)?;
    let host = bare_host(authority.host());
    if allowed.iter().any(|allowed| bare_host(allowed).eq_ignore_ascii_case(host)) {
        Ok(())
    } else {
        Err(Refusal::ForeignHost)
    }
}

/// An IPv6 address without its brackets, whichever way the list spells it.
fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::options::DEFAULT_HOSTS;

    fn checked(headers: &[(&str, &str)], version: Version, allowed: &[&str]) -> Result<(), Refusal> {
        let mut request = Request::builder().uri("/upcheck").version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let allowed: Vec<String> = allowed.iter().map(|&host| host.to_owned()).collect();
        check(&request.body(()).expect("a request").into_parts().0, &allowed)
    }

    fn of_host(host: &str, allowed: &[&str]) -> Result<(), Refusal> {
        checked(&[("host", host)], Version::HTTP_11, allowed)
    }

    #[test]
    fn only_names_of_the_list_are_answered() {
        for host in ["localhost", "LocalHost:9000", "127.0.0.1", "127.0.0.1:9000"] {
            assert_eq!(of_host(host, &DEFAULT_HOSTS), Ok(()), "{host}");
        }
        for host in ["", "signer.example", "localhost.", "localhost.example", "127.0.0.2", "[::1]", "[::1]:9000"] {
            assert_eq!(of_host(host, &DEFAULT_HOSTS), Err(Refusal::ForeignHost), "{host}");
        }
        for host in ["a b", "local host", "localhost:9000 ", "signer.example@localhost"] {
            assert_eq!(of_host(host, &DEFAULT_HOSTS), Err(Refusal::BadHost), "{host}");
        }
        for (host, allowed) in [("[::1]:9000", "[::1]"), ("[::1]", "::1"), ("Signer.example:1", "signer.EXAMPLE")] {
            assert_eq!(of_host(host, &[allowed]), Ok(()), "{host}");
        }
        assert_eq!(of_host("localhost", &["signer.example"]), Err(Refusal::ForeignHost));
    }

    #[test]
    fn without_a_host_the_version_decides_and_of_two_the_first() {
        assert_eq!(checked(&[], Version::HTTP_11, &DEFAULT_HOSTS), Err(Refusal::BadHost));
        assert_eq!(checked(&[], Version::HTTP_10, &DEFAULT_HOSTS), Err(Refusal::ForeignHost));
        let both = |first, second| checked(&[("host", first), ("host", second)], Version::HTTP_11, &DEFAULT_HOSTS);
        assert_eq!(both("localhost", "signer.example"), Ok(()));
        assert_eq!(both("signer.example", "localhost"), Err(Refusal::ForeignHost));
    }

    #[test]
    fn any_origin_is_refused() {
        for origin in ["http://localhost:9000", "https://signer.example", "null", ""] {
            let outcome = checked(&[("host", "localhost"), ("origin", origin)], Version::HTTP_11, &DEFAULT_HOSTS);
            assert_eq!(outcome, Err(Refusal::Origin), "{origin}");
        }
    }
}
