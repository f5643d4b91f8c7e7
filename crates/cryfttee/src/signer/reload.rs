//! Having processes that list no key read their key files again.

use std::collections::BTreeMap;

use contract::wire::SignerRole;
use hyper::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::calls::post;
use super::error::SignerError;
use super::process::Process;
use super::route::Route;

/// What became of it. Roles are `eth2`, `eth1`, `both`.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Reloads {
    /// The processes that are reading their key files again.
    pub(crate) reloaded: Vec<SignerRole>,
    /// Of the others, why they were not asked or do not; of the ones above, whether they did so already.
    pub(crate) why: BTreeMap<&'static str, String>,
}

enum Outcome {
    Reloads,
    ReloadsAlready,
    No(String),
}

impl Reloads {
    pub(super) async fn of(processes: impl Iterator<Item = &Process>, deadline: Instant) -> Self {
        let mut reloads = Self::default();
        for process in processes {
            let why = match reload(process, deadline).await {
                Outcome::Reloads => None,
                Outcome::ReloadsAlready => Some("already running".to_owned()),
                Outcome::No(why) => {
                    reloads.why.insert(name(process.role), why);
                    continue;
                }
            };
            reloads.reloaded.push(process.role);
            reloads.why.extend(why.map(|why| (name(process.role), why)));
        }
        reloads
    }
}

const fn name(role: SignerRole) -> &'static str {
    match role {
        SignerRole::Eth2 => "eth2",
        SignerRole::Eth1 => "eth1",
        SignerRole::Both => "both",
    }
}

/// Asks the process, if it lists nothing. While others are listed, a key file that fails in the reload would be dropped,
/// and with it a key that signs.
async fn reload(process: &Process, deadline: Instant) -> Outcome {
    let lists = match process.lists(deadline.min(process.deadline())).await {
        Ok(lists) => lists,
        Err(trouble) => return Outcome::No(trouble.why),
    };
    if !lists.are_served() {
        return Outcome::No("it serves no list of keys".to_owned());
    }
    match lists.count() {
        0 => {}
        1 => return Outcome::No("it lists 1 key".to_owned()),
        listed => return Outcome::No(format!("it lists {listed} keys")),
    }
    match post(&process.client, Route::Reload, &[], deadline).await {
        // Before 25.12 it is 200.
        Ok(_) | Err(SignerError::Status(StatusCode::ACCEPTED, _)) => {
            tracing::info!("asked {} to read its key files again, since it lists none", process.client.url());
            Outcome::Reloads
        }
        Err(SignerError::Status(StatusCode::CONFLICT, _)) => Outcome::ReloadsAlready,
        Err(error) => Outcome::No(process.trouble_of(&error, "POST /reload").why),
    }
}
