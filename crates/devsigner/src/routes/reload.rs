//! `/reload`: read the key files again, in the background.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::answer::{self, Answer, JSON};
use crate::store::Store;

/// How the reloads went, as `GET /reload` says it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    status: Progress,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_operation_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    /// There was none.
    #[default]
    Idle,
    /// It is under way.
    Running,
    /// Every key file was read.
    Completed,
    /// Some failed; the keys of the others are served.
    CompletedWithErrors,
}

/// The reloads of one server: at most one runs.
#[derive(Default)]
pub(super) struct Reload(Arc<Mutex<State>>);

impl Reload {
    /// 202 at once; the status has the outcome later. 409 while one is running.
    pub(super) fn start(&self, store: &Arc<Store>) -> Answer {
        let mut state = lock(&self.0);
        if state.status == Progress::Running {
            let body = json!({ "status": "error", "message": "a reload is running" });
            return answer::json_with(StatusCode::CONFLICT, JSON, &body);
        }
        state.status = Progress::Running;
        let (shared, store) = (Arc::clone(&self.0), Arc::clone(store));
        tokio::task::spawn_blocking(move || run(&shared, &store));
        answer::json_with(StatusCode::ACCEPTED, JSON, &json!({ "status": "accepted", "message": "the reload started" }))
    }

    pub(super) fn status(&self) -> Answer {
        answer::json(&*lock(&self.0))
    }
}

fn run(shared: &Mutex<State>, store: &Store) {
    let last_error = store.reload().into_iter().last();
    let status = if last_error.is_some() { Progress::CompletedWithErrors } else { Progress::Completed };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    *lock(shared) = State { status, last_operation_time: Some(utc(now)), last_error };
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time since 1970 as ISO 8601 has it, in UTC.
fn utc(since: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let (days, rest) = (since.as_secs() / DAY, since.as_secs() % DAY);
    // Years that begin in March, so that the leap day is the last of its year; eras of 400 of them, all equally long.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let of_400 = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_400 + of_400 / 4 - of_400 / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + of_400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399, "2000-02-28T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (951_868_800, "2000-03-01T00:00:00.000Z"),
        (1_735_689_599, "2024-12-31T23:59:59.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
    ] {
        assert_eq!(utc(Duration::from_secs(seconds)), text);
    }
    assert_eq!(utc(Duration::from_millis(1_700_000_000_250)), "2023-11-14T22:13:20.250Z");
}
