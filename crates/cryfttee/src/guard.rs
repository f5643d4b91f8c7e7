//! Keeping web pages out of a signer on TCP.
//!
//! A page in a browser on this host can send requests to loopback, and with a name of its own that resolves to loopback
//! (DNS rebinding) it can read the answers. Its requests carry an `Origin`, or a `Host` that is not ours.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::Request;
use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;

/// What a request on one TCP connection has to look like.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    /// The host of the configured address, in lower case.
    pub(crate) configured: Arc<str>,
    /// The address at which the connection arrived.
    pub(crate) arrived: Option<IpAddr>,
}

impl Guard {
    /// Why a request is refused; `None` where it is not.
    pub(crate) fn objection<B>(&self, request: &Request<B>) -> Option<&'static str> {
        if request.headers().contains_key(ORIGIN) {
            return Some("it carries an Origin, as requests of web pages do");
        }
        let mut hosts = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Some("it has not exactly one Host") };
        let text = host.to_str().ok().filter(|text| !text.contains('@'));
        let named = text.and_then(|text| text.parse::<Authority>().ok());
        let fine = named.is_some_and(|host| self.is_ours(host.host()))
            // The absolute form names a host as well, and overrides the header.
            && request.uri().authority().is_none_or(|authority| self.is_ours(authority.host()));
        (!fine).then_some("its Host is neither loopback nor the configured address")
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        if host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case(&self.configured) {
            return true;
        }
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        literal.is_ok_and(|literal| {
            let literal = literal.to_canonical();
            literal.is_loopback() || self.arrived.is_some_and(|arrived| arrived.to_canonical() == literal)
        })
    }
}

/// The host of `host:port`, as a [`Guard`] wants it.
pub(crate) fn host_of(address: &str) -> Arc<str> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&str, &str)], uri: &str) -> bool {
        let guard = Guard { configured: host_of("Signer.internal:8787"), arrived: "::ffff:10.0.0.7".parse().ok() };
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.objection(&request.body(()).expect("a request")).is_some()
    }

    #[test]
    fn a_host_that_is_loopback_or_configured_or_where_it_arrived_passes_and_no_other() {
        for host in [
            "localhost",
            "LOCALHOST:8787",
            "localhost.:1",
            "127.0.0.1:8787",
            "127.8.8.8",
            "[::1]:8787",
            "[::ffff:127.0.0.1]",
            "signer.INTERNAL:8787",
            "10.0.0.7:8787",
        ] {
            assert!(!refused(&[("host", host)], "/"), "{host}");
        }
        for host in [
            "evil.example:8787",
            "localhost.evil.example",
            "evil.localhost",
            "10.0.0.8",
            "0.0.0.0",
            "127.0.0.1.evil.example",
            "user@localhost",
            "",
            "a b",
        ] {
            assert!(refused(&[("host", host)], "/"), "{host}");
        }
    }

    #[test]
    fn an_origin_two_hosts_or_none_and_a_foreign_absolute_form_are_refused() {
        let host = ("host", "localhost");
        assert!(!refused(&[host], "/"));
        assert!(refused(&[host, ("origin", "http://localhost:8787")], "/"));
        assert!(refused(&[host, ("origin", "null")], "/"));
        assert!(refused(&[host, host], "/"));
        assert!(refused(&[], "/"));
        assert!(refused(&[host], "http://evil.example/"));
        assert!(!refused(&[host], "http://localhost:8787/"));
    }
}
