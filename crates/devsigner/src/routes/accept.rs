//! `Accept`, as stock reads it.

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// The media ranges that a client names, without their parameters; none if it names none.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    ranges.map(|range| range.split_once(';').map_or(range, |(kind, _)| kind).trim()).filter(|range| !range.is_empty())
}

/// Whether a path that has `kind` alone answers: if the client named nothing, or anything that covers it.
pub(super) fn takes(headers: &HeaderMap, kind: &str) -> bool {
    let whole = kind.split_once('/').map_or(kind, |(whole, _)| whole);
    let covers = |range: &str| {
        let of_whole = range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(whole));
        range == "*/*" || of_whole || range.eq_ignore_ascii_case(kind)
    };
    ranges(headers).next().is_none() || ranges(headers).any(covers)
}

/// Whether a signature goes out as JSON: if the client names JSON or anything at all, whatever else it names. Nothing
/// named is text, and so is `application/*`.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    ranges(headers).any(|range| range == "*/*" || range.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn accept(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (ACCEPT, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_path_with_one_kind_answers_who_takes_it() {
        for (values, text, json) in [
            (&[][..], true, true),
            (&[""], true, true),
            (&["*/*"], true, true),
            (&["text/plain"], true, false),
            (&["text/*"], true, false),
            (&["application/json"], false, true),
            (&["APPLICATION/JSON; charset=utf-8"], false, true),
            (&["text/html"], false, false),
            (&["text/html, */*;q=0.1"], true, true),
            (&["text/html", "text/plain"], true, false),
        ] {
            let headers = accept(values);
            assert_eq!(
                (takes(&headers, "text/plain"), takes(&headers, "application/json")),
                (text, json),
                "{values:?}"
            );
        }
    }

    #[test]
    fn a_signature_is_json_for_who_names_json_or_anything() {
        for value in ["application/json", "Application/JSON;q=0", "text/plain, application/json;q=0.1", "*/*"] {
            assert!(wants_json(&accept(&[value])), "{value}");
        }
        for value in ["", "text/plain", "text/*", "application/*", "text/html", "application/json-seq"] {
            assert!(!wants_json(&accept(&[value])), "{value}");
        }
        assert!(!wants_json(&accept(&[])));
    }
}
