//! Where Web3Signer is.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Scheme;

/// The base URL of Web3Signer: `http://host[:port][/path]`.
#[derive(Debug, Clone)]
pub struct SignerUrl {
    text: String,
    host: String,
    port: u16,
    base: String,
    authority: String,
}

/// Why a text is not the base URL of a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It does not parse, or has no host.
    #[error("not a URL of the form http://host:port")]
    Form,
    /// The scheme is `https`.
    #[error("https to Web3Signer is not in this version of cryfttee: use http on loopback or through a local tunnel")]
    NoHttps,
    /// It carries a user name, a password or a query, which would show up in the status and in logs.
    #[error("a URL of the signer may not carry a user, a password or a query")]
    Extra,
}

impl SignerUrl {
    /// Host and port to connect to.
    pub(super) fn endpoint(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The `Host` header.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// What stands before every path; empty or without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }
}

/// Two URLs are one where they lead to the same place, however they are written.
impl PartialEq for SignerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port && self.base == other.base
    }
}

impl fmt::Display for SignerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for SignerUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let uri: Uri = text.parse().map_err(|_| BadUrl::Form)?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => return Err(BadUrl::NoHttps),
            _ => return Err(BadUrl::Form),
        }
        let authority = uri.authority().ok_or(BadUrl::Form)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(BadUrl::Extra);
        }
        if authority.host().is_empty() {
            return Err(BadUrl::Form);
        }
        Ok(Self {
            text: text.to_owned(),
            // The resolver wants an IPv6 address without its brackets.
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(80),
            base: uri.path().trim_end_matches('/').to_owned(),
            authority: authority.as_str().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_base_path_are_taken_apart() {
        for (text, host, port, base) in [
            ("http://localhost:9000", "localhost", 9000, ""),
            ("http://localhost:9000/", "localhost", 9000, ""),
            ("http://signer", "signer", 80, ""),
            ("http://[::1]:9000/w3s/", "::1", 9000, "/w3s"),
        ] {
            let url: SignerUrl = text.parse().expect(text);
            assert_eq!((url.endpoint(), url.base()), ((host, port), base), "{text}");
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_plain_http_url_is_refused() {
        for (text, why) in [
            ("https://signer", BadUrl::NoHttps),
            ("http://user:secret@signer", BadUrl::Extra),
            ("http://signer/?key=secret", BadUrl::Extra),
            ("signer:9000", BadUrl::Form),
            ("ftp://signer", BadUrl::Form),
            ("/run/signer.sock", BadUrl::Form),
            ("", BadUrl::Form),
        ] {
            assert_eq!(text.parse::<SignerUrl>().err(), Some(why), "{text}");
        }
    }
}
