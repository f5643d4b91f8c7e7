//! `/healthcheck`, as a stock Web3Signer nests it.

use contract::wire::status::SignerHealth;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::error::SignerError;

/// What a process says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) status: SignerHealth,
    /// Key files that it could not load.
    pub(crate) failed_keys: u64,
}

#[derive(Deserialize)]
struct Check {
    #[serde(default)]
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    checks: Vec<Check>,
}

impl Check {
    fn errors(&self) -> u64 {
        let own = self.data.get("error-count").and_then(Value::as_u64).unwrap_or_default();
        self.checks.iter().map(Self::errors).fold(own, u64::saturating_add)
    }
}

impl Health {
    /// What an answer means. 503 is one: it says that something is wrong, and what, in the same form as 200.
    ///
    /// # Errors
    /// Where the process was not heard. A process without the call is heard: it says nothing.
    pub(super) fn of(answer: Result<Vec<u8>, SignerError>) -> Result<Self, SignerError> {
        match answer {
            Ok(body) => Ok(Self::parse(&body, SignerHealth::Unknown)),
            Err(SignerError::Status(StatusCode::SERVICE_UNAVAILABLE, text)) => {
                Ok(Self::parse(text.as_bytes(), SignerHealth::Down))
            }
            Err(error) if error.is_no_such_call() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// What status says of a process that was not heard: never that all is well.
    pub(super) const UNHEARD: Self = Self { status: SignerHealth::Unheard, failed_keys: 0 };

    /// `unread`: what it is when its body says nothing.
    fn parse(body: &[u8], unread: SignerHealth) -> Self {
        let Ok(check) = serde_json::from_slice::<Check>(body) else { return Self { status: unread, failed_keys: 0 } };
        let status = match check.status.as_str() {
            "UP" => SignerHealth::Up,
            "DOWN" => SignerHealth::Down,
            _ => unread,
        };
        Self { status, failed_keys: check.errors() }
    }

    /// Why no key may be made now: one that is only not loaded would be replaced by another.
    pub(crate) fn objection(self) -> Option<String> {
        match (self.failed_keys, self.status) {
            (0, SignerHealth::Up | SignerHealth::Unknown) => None,
            (0, SignerHealth::Down) => Some("Web3Signer's /healthcheck says DOWN".to_owned()),
            (0, SignerHealth::Unheard) => Some("Web3Signer does not answer GET /healthcheck".to_owned()),
            (1, _) => Some("1 key file of Web3Signer failed to load".to_owned()),
            (failed, _) => Some(format!("{failed} key files of Web3Signer failed to load")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: &str = r#"{"status":"UP","checks":[{"id":"default-check","status":"UP"},{"id":"keys-check","status":"UP","checks":[{"id":"config-files-loading","status":"UP","data":{"keys-loaded":10,"error-count":0}}]}],"outcome":"UP"}"#;
    const DOWN: &str = r#"{"status":"DOWN","checks":[{"id":"keys-check","status":"DOWN","checks":[{"id":"config-files-loading","status":"DOWN","data":{"keys-loaded":7,"error-count":3}}]}],"outcome":"DOWN"}"#;

    fn refused(status: u16, text: &str) -> Result<Vec<u8>, SignerError> {
        Err(SignerError::Status(StatusCode::from_u16(status).expect("a status"), text.to_owned()))
    }

    #[test]
    fn the_count_of_failed_key_files_is_found_where_stock_nests_it() {
        let up = Health::of(Ok(UP.into())).expect("heard");
        assert_eq!(up, Health { status: SignerHealth::Up, failed_keys: 0 });
        assert_eq!(up.objection(), None);
        let down = Health::of(refused(503, DOWN)).expect("heard");
        assert_eq!(down, Health { status: SignerHealth::Down, failed_keys: 3 });
        assert!(down.objection().is_some_and(|why| why.contains("3 key files")));
    }

    #[test]
    fn a_503_is_down_whatever_it_says_and_what_says_nothing_is_unknown() {
        for (answer, status) in [
            (refused(503, "<html>"), SignerHealth::Down),
            (refused(503, "{}"), SignerHealth::Down),
            (refused(404, "Resource not found"), SignerHealth::Unknown),
            (refused(405, ""), SignerHealth::Unknown),
            (Ok(b"OK".to_vec()), SignerHealth::Unknown),
            (Ok(br#"{"status":"MAYBE"}"#.to_vec()), SignerHealth::Unknown),
        ] {
            assert_eq!(Health::of(answer).expect("heard").status, status);
        }
        for failure in [refused(406, ""), refused(500, ""), Err(SignerError::TimedOut)] {
            assert!(Health::of(failure).is_err(), "what was not heard is not healthy");
        }
    }

    #[test]
    fn down_and_a_single_failed_file_both_forbid_a_new_key() {
        let health = |status, failed_keys| Health { status, failed_keys };
        assert!(health(SignerHealth::Down, 0).objection().is_some());
        assert!(health(SignerHealth::Up, 1).objection().is_some());
        assert!(health(SignerHealth::Unknown, 1).objection().is_some());
        assert!(health(SignerHealth::Unknown, 0).objection().is_none());
        assert!(Health::UNHEARD.objection().is_some());
    }
}
