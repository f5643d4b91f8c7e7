//! Writing the answer to a request to sign, as hyper writes it.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use tokio::time::Instant;

use crate::problem::Problem;

/// Puts the whole answer into `output`, in the place of the one before it.
pub(super) fn write(output: &mut Vec<u8>, outcome: Result<String, Problem>, now: Instant, last: bool) {
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        // The body is a struct of texts: writing it cannot fail.
        Err(problem) => (problem.code.status(), serde_json::to_string(&problem.body()).unwrap_or_default()),
    };
    output.clear();
    output.extend_from_slice(b"HTTP/1.1 ");
    output.extend_from_slice(status.as_str().as_bytes());
    output.push(b' ');
    output.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    output.extend_from_slice(b"\r\ncontent-type: application/json\r\n");
    if last {
        output.extend_from_slice(b"connection: close\r\n");
    }
    // Writing to memory cannot fail.
    let _ = write!(output, "content-length: {}\r\ndate: ", body.len());
    date(now, |date| output.extend_from_slice(date.as_bytes()));
    output.extend_from_slice(b"\r\n\r\n");
    output.extend_from_slice(body.as_bytes());
}

/// The date at `now`, in the form of HTTP; written anew once its second is over.
fn date(now: Instant, then: impl FnOnce(&str)) {
    thread_local! {
        static WRITTEN: RefCell<Option<(Instant, String)>> = const { RefCell::new(None) };
    }
    WRITTEN.with_borrow_mut(|written| {
        let (_, text) = match written {
            Some(good) if now < good.0 => good,
            old => {
                // A clock before 1970 is one that is not set.
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(since.subsec_nanos().into()));
                old.insert((now + left, httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)))
            }
        };
        then(text);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn written(outcome: Result<String, Problem>, last: bool) -> (String, String) {
        let mut output = b"the answer before".to_vec();
        write(&mut output, outcome, Instant::now(), last);
        let text = String::from_utf8(output).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let (lines, date): (Vec<_>, Vec<_>) = head.split("\r\n").partition(|line| !line.starts_with("date: "));
        let read = httpdate::parse_http_date(&date[0]["date: ".len()..]).expect("a date of HTTP");
        assert!(SystemTime::now().duration_since(read).expect("not ahead") < Duration::from_secs(2));
        (lines.join("|"), body.to_owned())
    }

    #[test]
    fn an_answer_has_the_fields_that_hyper_writes() {
        assert_eq!(
            written(Ok("{}".to_owned()), false),
            ("HTTP/1.1 200 OK|content-type: application/json|content-length: 2".to_owned(), "{}".to_owned())
        );
        let (head, body) = written(Err(Problem::new(Code::SlashingProtection, "no")), true);
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 412 Precondition Failed|content-type: application/json|connection: close|content-length: {}",
                body.len()
            )
        );
        assert_eq!(body, r#"{"error":"no","code":"slashing_protection","details":""}"#);
    }
}
