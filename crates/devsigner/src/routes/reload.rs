//! `/reload`: read the keystore folder again, in the background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use serde::Serialize;

use crate::answer::{self, Answer};
use crate::error_text::with_causes;
use crate::store::Store;

/// How the last reload went.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Progress {
    /// There was none.
    #[default]
    Idle,
    /// It is under way.
    Running,
    /// The keys are those of the folder.
    Completed,
    /// The keys are those from before.
    Failed { error: String },
}

/// The reloads of one server: at most one runs, and at most one more is due after it.
#[derive(Default)]
pub(super) struct Reload(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    progress: Progress,
    /// Asked for while one was running, which may already have passed the file that was meant.
    again: bool,
}

impl Reload {
    /// 202 at once; the status tells the outcome.
    pub(super) fn start(&self, store: &Arc<Store>) -> Answer {
        let mut state = lock(&self.0);
        if matches!(state.progress, Progress::Running) {
            state.again = true;
        } else {
            state.progress = Progress::Running;
            let (shared, store) = (Arc::clone(&self.0), Arc::clone(store));
            tokio::task::spawn_blocking(move || run(&shared, &store));
        }
        answer::json_with(StatusCode::ACCEPTED, &state.progress)
    }

    pub(super) fn status(&self) -> Answer {
        answer::json(&lock(&self.0).progress)
    }
}

fn run(shared: &Mutex<State>, store: &Store) {
    loop {
        let outcome = store.reload();
        let mut state = lock(shared);
        if std::mem::take(&mut state.again) {
            continue;
        }
        state.progress = match outcome {
            Ok(()) => Progress::Completed,
            Err(error) => Progress::Failed { error: with_causes(&error) },
        };
        return;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
