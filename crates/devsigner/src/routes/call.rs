//! Which call a request is, and whether this process has it.

use hyper::http::request::Parts;

use super::accept;
use crate::answer::Refusal;
use crate::options::{Extension, Options};

/// A call, by its path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call<'p> {
    Upcheck,
    Healthcheck,
    Reload,
    Keystores,
    HighWatermark,
    BlsKeys,
    Secp256k1Keys,
    BlsSign(&'p str),
    Secp256k1Sign(&'p str),
    Extensions,
    ProvePossession(&'p str),
    SignSha256(&'p str),
    SignDigest(&'p str),
}

impl<'p> Call<'p> {
    /// The call, if this process has it and the request may be made so.
    pub(super) fn of(head: &'p Parts, options: &Options) -> Result<Self, Refusal> {
        let call = Self::find(head.uri.path()).filter(|call| call.is_served(options)).ok_or(Refusal::NoSuchPath)?;
        let methods = call.methods(options);
        let refusal = if !methods.split(", ").any(|method| method == head.method.as_str()) {
            Refusal::Method(methods)
        } else {
            match call.kind().filter(|kind| !accept::takes(&head.headers, kind)) {
                Some(kind) => Refusal::NotAcceptable(kind),
                None => return Ok(call),
            }
        };
        // `eth1` has a route for everything that no other route takes, and that one knows no such path.
        Err(if options.serves.bls() { refusal } else { Refusal::NoSuchPath })
    }

    fn find(path: &'p str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.splitn(8, '/').collect();
        Some(match segments.as_slice() {
            ["upcheck"] => Self::Upcheck,
            ["healthcheck"] => Self::Healthcheck,
            ["reload"] => Self::Reload,
            ["eth", "v1", "keystores"] => Self::Keystores,
            ["api", "v1", "eth2", "highWatermark"] => Self::HighWatermark,
            ["api", "v1", "eth2", "publicKeys"] => Self::BlsKeys,
            ["api", "v1", "eth1", "publicKeys"] => Self::Secp256k1Keys,
            ["api", "v1", "eth2", "sign", key] | ["api", "v1", "eth2", "sign", key, ""] => Self::BlsSign(key),
            ["api", "v1", "eth1", "sign", key] | ["api", "v1", "eth1", "sign", key, ""] => Self::Secp256k1Sign(key),
            ["ext", "cryft", "v1"] => Self::Extensions,
            ["ext", "cryft", "v1", "bls", key, "proof-of-possession"] => Self::ProvePossession(key),
            ["ext", "cryft", "v1", "secp256k1", key, "sign-sha256"] => Self::SignSha256(key),
            ["ext", "cryft", "v1", "secp256k1", key, "sign-digest"] => Self::SignDigest(key),
            _ => return None,
        })
    }

    fn is_served(&self, options: &Options) -> bool {
        match self {
            Self::Upcheck | Self::Healthcheck | Self::Reload => true,
            Self::Keystores => options.manages_keys() || options.has(Extension::Generate),
            Self::HighWatermark => options.protects(),
            Self::BlsKeys | Self::BlsSign(_) => options.serves.bls(),
            Self::Secp256k1Keys | Self::Secp256k1Sign(_) => options.serves.secp256k1(),
            Self::Extensions => !super::extension::functions(options).is_empty(),
            Self::ProvePossession(_) => options.serves.bls() && options.has(Extension::Proofs),
            Self::SignSha256(_) | Self::SignDigest(_) => options.serves.secp256k1() && options.has(Extension::Digest),
        }
    }

    /// The methods of the call, as the `Allow` header spells them.
    fn methods(&self, options: &Options) -> &'static str {
        match self {
            Self::Keystores if options.manages_keys() => "GET, POST, DELETE",
            // To make keys, and for nothing else: no API takes a secp256k1 key.
            Self::Keystores => "POST",
            Self::Reload => "GET, POST",
            Self::BlsSign(_) | Self::Secp256k1Sign(_) | Self::SignSha256(_) | Self::SignDigest(_) => "POST",
            Self::Upcheck
            | Self::Healthcheck
            | Self::HighWatermark
            | Self::BlsKeys
            | Self::Secp256k1Keys
            | Self::Extensions
            | Self::ProvePossession(_) => "GET",
        }
    }

    /// The one media type of the call, if stock looks at `Accept` there.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Upcheck => Some("text/plain"),
            Self::Reload | Self::BlsKeys | Self::Secp256k1Keys => Some("application/json"),
            Self::Healthcheck
            | Self::Keystores
            | Self::HighWatermark
            | Self::BlsSign(_)
            | Self::Secp256k1Sign(_)
            | Self::Extensions
            | Self::ProvePossession(_)
            | Self::SignSha256(_)
            | Self::SignDigest(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::options::Serves;

    #[test]
    fn a_path_is_one_call_or_none() {
        assert_eq!(Call::find("/upcheck"), Some(Call::Upcheck));
        assert_eq!(Call::find("/api/v1/eth2/sign/0xab"), Some(Call::BlsSign("0xab")));
        assert_eq!(Call::find("/api/v1/eth2/sign/0xab/"), Some(Call::BlsSign("0xab")));
        assert_eq!(Call::find("/ext/cryft/v1/secp256k1/ab/sign-digest"), Some(Call::SignDigest("ab")));
        for path in ["", "*", "/", "/upcheck/", "//upcheck", "/api/v1/eth2/sign", "/api/v1/eth2/sign/a/b"] {
            assert_eq!(Call::find(path), None, "{path}");
        }
        assert_eq!(Call::find(&"/a".repeat(10_000)), None);
    }

    fn asked(method: &str, path: &str, accept: &str, options: &Options) -> u16 {
        let request = Request::builder().method(method).uri(path).header("accept", accept).body(()).expect("one");
        Call::of(&request.into_parts().0, options).map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
    }

    #[test]
    fn each_process_has_its_own_paths_and_says_no_in_its_own_way() {
        for (method, path, accept, eth2, eth1) in [
            ("GET", "/upcheck", "*/*", 200, 200),
            ("GET", "/upcheck", "application/json", 406, 404),
            ("HEAD", "/upcheck", "*/*", 405, 404),
            ("GET", "/healthcheck", "text/html", 200, 200),
            ("GET", "/reload", "text/plain", 406, 404),
            ("POST", "/reload", "*/*", 200, 200),
            ("GET", "/api/v1/eth2/publicKeys", "*/*", 200, 404),
            ("GET", "/api/v1/eth2/publicKeys", "text/plain", 406, 404),
            ("GET", "/api/v1/eth1/publicKeys", "*/*", 404, 200),
            ("GET", "/api/v1/eth1/publicKeys", "text/plain", 404, 404),
            ("POST", "/api/v1/eth2/sign/ab", "text/html", 200, 404),
            ("GET", "/api/v1/eth2/sign/ab", "*/*", 405, 404),
            ("POST", "/api/v1/eth1/sign/ab", "text/html", 404, 200),
            ("GET", "/api/v1/eth2/highWatermark", "*/*", 200, 404),
            ("GET", "/eth/v1/keystores", "*/*", 404, 404),
            ("GET", "/ext/cryft/v1", "*/*", 404, 404),
        ] {
            let found = [Serves::Eth2, Serves::Eth1].map(|serves| asked(method, path, accept, &Options::stock(serves)));
            assert_eq!(found, [eth2, eth1], "{method} {path} {accept}");
        }
    }

    #[test]
    fn options_and_extensions_add_paths_where_they_belong() {
        let with = |serves, extension| Options { extensions: [extension].into(), ..Options::stock(serves) };
        let managed = Options { key_manager: true, ..Options::stock(Serves::Eth2) };
        let alone = Options { slashing_protection: false, ..Options::stock(Serves::Eth2) };
        let key_manager_of_eth1 = Options { key_manager: true, ..Options::stock(Serves::Eth1) };
        for (method, path, options, status) in [
            ("DELETE", "/eth/v1/keystores", managed, 200),
            ("GET", "/eth/v1/keystores", key_manager_of_eth1, 404),
            ("GET", "/api/v1/eth2/highWatermark", alone, 404),
            ("DELETE", "/eth/v1/keystores", with(Serves::Eth2, Extension::Generate), 200),
            ("POST", "/eth/v1/keystores", with(Serves::Eth1, Extension::Generate), 200),
            ("GET", "/eth/v1/keystores", with(Serves::Eth1, Extension::Generate), 404),
            ("GET", "/ext/cryft/v1", with(Serves::Eth2, Extension::ClearErrors), 404),
            ("GET", "/ext/cryft/v1", with(Serves::Eth2, Extension::Raw), 200),
            ("GET", "/ext/cryft/v1", with(Serves::Eth1, Extension::Digest), 200),
            ("GET", "/ext/cryft/v1/bls/ab/proof-of-possession", with(Serves::Eth2, Extension::Proofs), 200),
            ("GET", "/ext/cryft/v1/bls/ab/proof-of-possession", with(Serves::Eth1, Extension::Proofs), 404),
            ("POST", "/ext/cryft/v1/secp256k1/ab/sign-digest", with(Serves::Eth1, Extension::Digest), 200),
            ("POST", "/ext/cryft/v1/secp256k1/ab/sign-digest", with(Serves::Eth2, Extension::Digest), 404),
        ] {
            assert_eq!(asked(method, path, "*/*", &options), status, "{method} {path} {options:?}");
        }
    }
}
