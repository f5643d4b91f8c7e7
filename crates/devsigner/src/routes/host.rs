//! Who the client believes it is talking to.

use std::net::IpAddr;

use hyper::Request;
use hyper::header::HOST;
use hyper::http::uri::Authority;

use crate::answer::Refusal;

/// Refuses a request that is addressed to anything but this machine, as Web3Signer does: a page in a browser
/// whose name resolves to loopback would otherwise be able to ask for signatures.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let authority = header.and_then(|text| text.parse::<Authority>().ok()).ok_or(Refusal::ForeignHost)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if loopback || host.eq_ignore_ascii_case("localhost") { Ok(()) } else { Err(Refusal::ForeignHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(host: Option<&str>) -> Result<(), Refusal> {
        let request = Request::builder();
        let request = match host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        check(&request.body(()).expect("a request"))
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["localhost", "LocalHost:9000", "127.0.0.1", "127.0.0.1:9000", "127.1.2.3:1", "[::1]:9000"] {
            assert_eq!(checked(Some(host)), Ok(()), "{host}");
        }
        for host in ["", "example.org", "example.org:9000", "localhost.example.org", "10.0.0.1", "[::2]"] {
            assert_eq!(checked(Some(host)), Err(Refusal::ForeignHost), "{host}");
        }
        assert_eq!(checked(None), Err(Refusal::ForeignHost));
    }
}
