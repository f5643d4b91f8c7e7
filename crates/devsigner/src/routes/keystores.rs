//! `/eth/v1/keystores`: the key manager's list, import and deletion, and the making of keys.

use std::sync::Arc;

use serde_json::{Value, json};

use super::App;
use crate::answer::{self, Answer, Refusal};
use crate::error_text::with_causes;
use crate::keys::Curve;
use crate::options::{Extension, Options};
use crate::requests::{self, DeleteKeys, ImportKeys, PostKeystores};
use crate::slashing::{Interchange, SlashingError};
use crate::store::{Deleted, ForeignKeystore, Imported, NewKey, Store};

/// All that stock says of a keystore that it could not take.
const NOT_IMPORTED: &str = "Error importing keystore: Unable to add validator";

/// BLS keys only, in order: the key manager knows no others.
pub(super) fn list(store: &Store) -> Answer {
    let data = store.all_bls().into_iter().map(|loaded| {
        json!({
            "validating_pubkey": loaded.key.public(),
            "derivation_path": Some(&loaded.derivation_path).filter(|path| !path.is_empty()),
            "readonly": loaded.readonly,
        })
    });
    answer::json(&json!({ "data": data.collect::<Vec<_>>() }))
}

pub(super) async fn post(app: &App, body: &[u8]) -> Result<Answer, Refusal> {
    let options = &app.options;
    match PostKeystores::parse(body)? {
        PostKeystores::Generate(curve) if options.has(Extension::Generate) && serves(options, curve) => {
            generate(&app.store, curve).await
        }
        PostKeystores::Generate(_) => Err(Refusal::malformed("no key of this kind is made here")),
        PostKeystores::Import(keys) if options.manages_keys() => {
            import(&app.store, keys, options.has(Extension::ClearErrors)).await
        }
        PostKeystores::Import(_) => Err(Refusal::malformed("no secp256k1 key is imported")),
    }
}

fn serves(options: &Options, curve: Curve) -> bool {
    match curve {
        Curve::Bls => options.serves.bls(),
        Curve::Secp256k1 => options.serves.secp256k1(),
    }
}

async fn generate(store: &Arc<Store>, curve: Curve) -> Result<Answer, Refusal> {
    match elsewhere(store, move |store| store.generate(curve)).await? {
        Ok(NewKey { pubkey, path }) => Ok(answer::json(&json!({ "pubkey": pubkey, "secret_path": path }))),
        Err(error) => Err(Refusal::Failed(with_causes(&error))),
    }
}

async fn import(store: &Arc<Store>, keys: ImportKeys, clear: bool) -> Result<Answer, Refusal> {
    // An empty text is none, as with Web3Signer.
    let signed = keys.slashing_protection.as_deref().filter(|text| !text.is_empty()).map(Interchange::parse);
    let signed = signed.transpose().map_err(|error| Refusal::malformed(with_causes(&error)))?;
    let outcome = elsewhere(store, move |store| {
        let pairs = keys.keystores.iter().zip(&keys.passwords);
        let keystores: Vec<_> = pairs.map(|(json, password)| ForeignKeystore { json, password: &password.0 }).collect();
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
        Imported::Error(why) if clear => status("error", Some(&why)),
        Imported::Error(_) => status("error", Some(NOT_IMPORTED)),
    });
    Ok(answer::json(&json!({ "data": data.collect::<Vec<_>>() })))
}

pub(super) async fn delete(store: &Arc<Store>, body: &[u8]) -> Result<Answer, Refusal> {
    let DeleteKeys { pubkeys } = requests::parse(body)?;
    let (outcomes, signed) = elsewhere(store, move |store| store.delete(&pubkeys)).await?;
    let data = outcomes.into_iter().map(|outcome| match outcome {
        Deleted::Deleted => status("deleted", Some("")),
        Deleted::NotActive => status("not_active", Some("")),
        Deleted::NotFound => status("not_found", Some("")),
        Deleted::Error(why) => status("error", Some(&why)),
    });
    let data: Vec<_> = data.collect();
    let signed = serde_json::to_string(&signed)
        .map_err(|error| Refusal::Failed(format!("write the slashing protection data: {error}")))?;
    Ok(answer::json(&json!({ "data": data, "slashing_protection": signed })))
}

/// There is always a message, and of an import that went well it is `null`.
fn status(status: &str, message: Option<&str>) -> Value {
    json!({ "status": status, "message": message })
}

/// Work that waits for the disk, or takes its time, is not for a thread that serves connections.
async fn elsewhere<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || work(&store)).await.map_err(|error| Refusal::Failed(error.to_string()))
}
