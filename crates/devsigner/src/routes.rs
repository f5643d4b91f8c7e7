//! From a request to an answer: which call it is, whether it may be made so, and who makes it.

mod accept;
mod body;
mod call;
mod eth1;
mod eth2;
pub mod extension;
mod front;
mod keystores;
mod reload;
mod status;

use std::sync::Arc;

use hyper::body::Body;
use hyper::{Method, Request};

use crate::answer::{Answer, Refusal};
use crate::options::{Extension, Options};
use crate::store::Store;
use call::Call;
use reload::Reload;

/// What the routes share.
pub struct App {
    store: Arc<Store>,
    options: Options,
    reload: Reload,
}

/// The rest of a request did not arrive: the connection ends without an answer, as with stock.
#[derive(Debug, thiserror::Error)]
#[error("the body stopped arriving")]
pub struct Idle;

/// Why there is no good answer.
enum Ended {
    Refused(Refusal),
    Idle,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl App {
    /// An app that signs with the keys of `store`.
    pub fn new(store: Store, options: Options) -> Self {
        Self { store: Arc::new(store), options, reload: Reload::default() }
    }

    /// Answers one request. A refusal is an answer too.
    ///
    /// # Errors
    /// [`Idle`], if the request stopped arriving.
    pub async fn answer<B>(&self, request: Request<B>) -> Result<Answer, Idle>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self.call(request).await {
            Ok(answer) => Ok(answer),
            Err(Ended::Refused(refusal)) => {
                // The client gets no more than the status, so this is where a fault of the signer can be read.
                if let Refusal::Failed(why) = &refusal {
                    eprintln!("cryfttee-devsigner: ERROR: {why}");
                }
                Ok(refusal.into_answer(self.options.has(Extension::ClearErrors)))
            }
            Err(Ended::Idle) => Err(Idle),
        }
    }

    async fn call<B>(&self, request: Request<B>) -> Result<Answer, Ended>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        front::check(&head, &self.options.allowed_hosts)?;
        let call = Call::of(&head, &self.options)?;
        let post = head.method == Method::POST;
        let read = || body::read(&head.headers, body);
        let answer = match call {
            Call::Upcheck => Ok(status::upcheck()),
            Call::Healthcheck => Ok(status::healthcheck(&self.store, &self.options)),
            Call::Reload if post => Ok(self.reload.start(&self.store)),
            Call::Reload => Ok(self.reload.status()),
            Call::Keystores if post => keystores::post(self, &read().await?).await,
            Call::Keystores if head.method == Method::DELETE => keystores::delete(&self.store, &read().await?).await,
            Call::Keystores => Ok(keystores::list(&self.store)),
            Call::HighWatermark => Ok(status::high_watermark()),
            Call::BlsKeys => Ok(eth2::public_keys(&self.store)),
            Call::Secp256k1Keys => Ok(eth1::public_keys(&self.store)),
            Call::BlsSign(key) => eth2::sign(self, key, &head.headers, &read().await?).await,
            Call::Secp256k1Sign(key) => eth1::sign(&self.store, key, &read().await?),
            Call::Extensions => Ok(extension::list(&self.options)),
            Call::ProvePossession(key) => extension::prove_possession(&self.store, key),
            Call::SignSha256(key) => extension::sign_sha256(&self.store, key, &read().await?),
            Call::SignDigest(key) => extension::sign_digest(&self.store, key, &read().await?),
        };
        Ok(answer?)
    }
}
