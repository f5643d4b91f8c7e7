//! `/eth/v1/keystores`: the key manager's list, import and deletion, and the making of keys.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::answer::{self, Answer, Refusal};
use crate::error_text::with_causes;
use crate::keys::Curve;
use crate::keystore::Password;
use crate::requests::{self, DeleteKeys, ImportKeys, PostKeystores};
use crate::slashing::{Interchange, SlashingError};
use crate::store::{Deleted, Imported, NewKey, Store};

/// BLS keys only: the key manager knows no others.
pub(super) fn list(store: &Store) -> Answer {
    let data = store.all_bls().into_iter().map(|loaded| {
        json!({
            "validating_pubkey": loaded.key.public(),
            "derivation_path": loaded.derivation_path,
            "readonly": false,
        })
    });
    answer::json(&json!({ "data": data.collect::<Vec<_>>() }))
}

pub(super) async fn post(store: &Arc<Store>, body: &[u8]) -> Result<Answer, Refusal> {
    match PostKeystores::parse(body)? {
        PostKeystores::Generate(curve) => generate(store, curve).await,
        PostKeystores::Import(keys) => import(store, keys).await,
    }
}

async fn generate(store: &Arc<Store>, curve: Curve) -> Result<Answer, Refusal> {
    match elsewhere(store, move |store| store.generate(curve)).await? {
        Ok(NewKey { pubkey, path }) => Ok(answer::json(&json!({ "pubkey": pubkey, "secret_path": path }))),
        Err(error) => Err(Refusal::Failed(with_causes(&error))),
    }
}

async fn import(store: &Arc<Store>, keys: ImportKeys) -> Result<Answer, Refusal> {
    // An empty text is none, as with Web3Signer.
    let signed = keys.slashing_protection.as_deref().filter(|text| !text.is_empty()).map(Interchange::parse);
    let signed = signed.transpose().map_err(|error| Refusal::malformed(with_causes(&error)))?;
    let outcome = elsewhere(store, move |store| {
        let passwords = keys.passwords.iter().map(|password| Password::new(&password.0));
        let keystores: Vec<_> = keys.keystores.iter().map(String::as_str).zip(passwords).collect();
        store.import(&keystores, signed.as_ref())
    });
    let outcome = outcome.await?.map_err(|error| match error {
        // 400, as with Web3Signer, where the interchange is to blame; nothing was imported.
        SlashingError::Refused(_) => Refusal::malformed(error.to_string()),
        error => Refusal::Failed(with_causes(&error)),
    })?;
    let data = outcome.into_iter().map(|outcome| match outcome {
        Imported::Imported => status("imported", None),
        Imported::Duplicate => status("duplicate", None),
        Imported::Error(why) => status("error", Some(why)),
    });
    Ok(answer::json(&json!({ "data": data.collect::<Vec<_>>() })))
}

pub(super) async fn delete(store: &Arc<Store>, body: &[u8]) -> Result<Answer, Refusal> {
    let DeleteKeys { pubkeys } = requests::parse(body)?;
    let (outcomes, signed) = elsewhere(store, move |store| store.delete(&pubkeys)).await?;
    let data = outcomes.into_iter().map(|outcome| match outcome {
        Deleted::Deleted => status("deleted", None),
        Deleted::NotActive => status("not_active", None),
        Deleted::NotFound => status("not_found", None),
        Deleted::Error(why) => status("error", Some(why)),
    });
    let data: Vec<_> = data.collect();
    let signed = serde_json::to_string(&signed)
        .map_err(|error| Refusal::Failed(format!("write the slashing protection data: {error}")))?;
    Ok(answer::json(&json!({ "data": data, "slashing_protection": signed })))
}

fn status(status: &str, message: Option<String>) -> Value {
    match message {
        Some(message) => json!({ "status": status, "message": message }),
        None => json!({ "status": status }),
    }
}

/// Work that waits for the disk, or takes its time, is not for a thread that serves connections.
async fn elsewhere<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || work(&store)).await.map_err(|error| Refusal::Failed(error.to_string()))
}
