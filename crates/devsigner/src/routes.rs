//! From a request to an answer: which call it is, whether it may be made so, and who makes it.

mod body;
mod eth1;
mod eth2;
pub mod extension;
mod host;
mod keystores;
mod reload;
mod status;

use std::sync::Arc;

use hyper::body::Body;
use hyper::{Method, Request};

use crate::answer::{Answer, Refusal};
use crate::store::Store;
use crate::typed::Network;
use reload::Reload;

/// What the routes share.
pub struct App {
    store: Arc<Store>,
    network: Network,
    reload: Reload,
}

/// A call, by its path.
#[derive(Debug, PartialEq, Eq)]
enum Call<'p> {
    Upcheck,
    Healthcheck,
    Reload,
    Keystores,
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
    fn find(path: &'p str) -> Result<Self, Refusal> {
        let segments: Vec<&str> = path.strip_prefix('/').ok_or(Refusal::NoSuchPath)?.splitn(8, '/').collect();
        Ok(match segments.as_slice() {
            ["upcheck"] => Self::Upcheck,
            ["healthcheck"] => Self::Healthcheck,
            ["reload"] => Self::Reload,
            ["eth", "v1", "keystores"] => Self::Keystores,
            ["api", "v1", "eth2", "publicKeys"] => Self::BlsKeys,
            ["api", "v1", "eth1", "publicKeys"] => Self::Secp256k1Keys,
            ["api", "v1", "eth2", "sign", key] => Self::BlsSign(key),
            ["api", "v1", "eth1", "sign", key] => Self::Secp256k1Sign(key),
            ["ext", "cryft", "v1"] => Self::Extensions,
            ["ext", "cryft", "v1", "bls", key, "proof-of-possession"] => Self::ProvePossession(key),
            ["ext", "cryft", "v1", "secp256k1", key, "sign-sha256"] => Self::SignSha256(key),
            ["ext", "cryft", "v1", "secp256k1", key, "sign-digest"] => Self::SignDigest(key),
            _ => return Err(Refusal::NoSuchPath),
        })
    }

    /// The methods of the call, as the `Allow` header spells them.
    fn methods(&self) -> &'static str {
        match self {
            Self::Keystores => "GET, POST, DELETE",
            Self::Reload => "GET, POST",
            Self::BlsSign(_) | Self::Secp256k1Sign(_) | Self::SignSha256(_) | Self::SignDigest(_) => "POST",
            Self::Upcheck
            | Self::Healthcheck
            | Self::BlsKeys
            | Self::Secp256k1Keys
            | Self::Extensions
            | Self::ProvePossession(_) => "GET",
        }
    }
}

impl App {
    /// An app that signs with the keys of `store`, on `network`.
    pub fn new(store: Store, network: Network) -> Self {
        Self { store: Arc::new(store), network, reload: Reload::default() }
    }

    /// Answers one request. A refusal is an answer too.
    pub async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.call(request).await.unwrap_or_else(Answer::from)
    }

    async fn call<B>(&self, request: Request<B>) -> Result<Answer, Refusal>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        host::check(&request)?;
        let (head, body) = request.into_parts();
        let call = Call::find(head.uri.path())?;
        let post = head.method == Method::POST;
        if !call.methods().split(", ").any(|method| method == head.method.as_str()) {
            return Err(Refusal::Method(call.methods()));
        }
        let read = || body::read(&head.headers, body);
        match call {
            Call::Upcheck => Ok(status::upcheck()),
            Call::Healthcheck => Ok(status::healthcheck(&self.store)),
            Call::Reload if post => Ok(self.reload.start(&self.store)),
            Call::Reload => Ok(self.reload.status()),
            Call::Keystores if post => keystores::post(&self.store, &read().await?).await,
            Call::Keystores if head.method == Method::DELETE => keystores::delete(&self.store, &read().await?).await,
            Call::Keystores => Ok(keystores::list(&self.store)),
            Call::BlsKeys => Ok(eth2::public_keys(&self.store)),
            Call::Secp256k1Keys => Ok(eth1::public_keys(&self.store)),
            Call::BlsSign(key) => eth2::sign(self, key, &head.headers, &read().await?).await,
            Call::Secp256k1Sign(key) => eth1::sign(&self.store, key, &read().await?),
            Call::Extensions => Ok(extension::list()),
            Call::ProvePossession(key) => extension::prove_possession(&self.store, key),
            Call::SignSha256(key) => extension::sign_sha256(&self.store, key, &read().await?),
            Call::SignDigest(key) => extension::sign_digest(&self.store, key, &read().await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_call_or_none() {
        assert_eq!(Call::find("/upcheck"), Ok(Call::Upcheck));
        assert_eq!(Call::find("/api/v1/eth2/sign/0xab"), Ok(Call::BlsSign("0xab")));
        assert_eq!(Call::find("/ext/cryft/v1/secp256k1/ab/sign-digest"), Ok(Call::SignDigest("ab")));
        for path in ["", "*", "/", "/upcheck/", "//upcheck", "/api/v1/eth2/sign", "/api/v1/eth2/sign/a/b"] {
            assert_eq!(Call::find(path), Err(Refusal::NoSuchPath), "{path}");
        }
        assert_eq!(Call::find(&"/a".repeat(10_000)), Err(Refusal::NoSuchPath));
    }
}
