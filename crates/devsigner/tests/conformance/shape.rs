//! Whether a JSON value has a shape; the table says how shapes are written.

use serde_json::{Map, Value};

/// What does not fit, and where; none where all does.
pub(crate) fn mismatch(value: &Value, shape: &Value) -> Option<String> {
    match (shape, value) {
        (Value::String(kind), value) => (!is(value, kind)).then(|| format!("{value} is not {kind}")),
        (Value::Array(shape), Value::Array(list)) => match shape.as_slice() {
            [] if list.is_empty() => None,
            [_] if list.is_empty() => Some("an empty list".to_owned()),
            [one] => each(list, one),
            [one, any] if any == "*" => each(list, one),
            _ => Some(format!("{} in a list that should be empty", list.len())),
        },
        (Value::Object(shape), Value::Array(list)) => match shape.get("$each").and_then(Value::as_array) {
            Some(shapes) if shapes.len() == list.len() => list.iter().zip(shapes).find_map(|(v, s)| mismatch(v, s)),
            Some(shapes) => Some(format!("{} in a list of {}", list.len(), shapes.len())),
            None => Some("a list instead of an object".to_owned()),
        },
        (Value::Object(shape), Value::Object(members)) if !shape.contains_key("$json") => object(members, shape),
        (Value::Object(shape), Value::String(text)) => {
            let Some(inner) = shape.get("$json") else { return Some("a text instead of an object".to_owned()) };
            match serde_json::from_str(text) {
                Ok(value) => mismatch(&value, inner),
                Err(error) => Some(format!("no JSON in the text: {error}")),
            }
        }
        (shape, value) => Some(format!("{value} is not of the kind of {shape}")),
    }
}

fn each(list: &[Value], shape: &Value) -> Option<String> {
    list.iter().find_map(|value| mismatch(value, shape))
}

fn object(members: &Map<String, Value>, shape: &Map<String, Value>) -> Option<String> {
    for (name, shape) in shape {
        let (name, needed) = name.strip_suffix('?').map_or((name.as_str(), true), |name| (name, false));
        match members.get(name) {
            Some(value) => {
                if let Some(what) = mismatch(value, shape) {
                    return Some(format!("{name}: {what}"));
                }
            }
            None if needed => return Some(format!("no {name}")),
            None => {}
        }
    }
    let known = |name: &str| shape.contains_key(name) || shape.contains_key(&format!("{name}?"));
    members.keys().find(|name| !known(name)).map(|name| format!("{name} is too much"))
}

fn is(value: &Value, kind: &str) -> bool {
    match (kind, value) {
        ("any", _) | ("string", Value::String(_)) | ("bool", Value::Bool(_)) | ("null", Value::Null) => true,
        ("true", value) => *value == Value::Bool(true),
        ("false", value) => *value == Value::Bool(false),
        (kind, Value::Number(number)) => kind.strip_prefix('#').is_some_and(|literal| number.to_string() == literal),
        ("uint64", Value::String(text)) => {
            text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok()
        }
        (kind, Value::String(text)) => match kind.split_at_checked(1) {
            Some(("=", literal)) => text == literal,
            Some(("~", part)) => text.contains(part),
            _ => kind.strip_prefix("hex:").is_some_and(|length| is_hex(text, length.parse().expect("a length"))),
        },
        _ => false,
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| {
        digits.len() == 2 * length && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[test]
fn shapes_fit_what_they_say_and_nothing_else() {
    use serde_json::json;
    for (shape, good, bad) in [
        (json!("hex:1"), json!("0xab"), vec![json!("0xAB"), json!("ab"), json!("0xabcd"), json!(5)]),
        (json!("uint64"), json!("5"), vec![json!(5), json!("x"), json!("-5"), json!("")]),
        (json!("~not found"), json!("page not found"), vec![json!("found"), json!(null)]),
        (json!("#5"), json!(5), vec![json!(6), json!("5"), json!("#5")]),
        (json!("true"), json!(true), vec![json!(false), json!("true")]),
        (json!("null"), json!(null), vec![json!("null"), json!(0)]),
        (json!({ "$each": ["=a", "bool"] }), json!(["a", true]), vec![json!(["a"]), json!([true, "a"]), json!({})]),
        (json!("=OK"), json!("OK"), vec![json!("ok"), json!("OK ")]),
        (json!(["string"]), json!(["a", "b"]), vec![json!([]), json!(["a", 1]), json!("a")]),
        (json!([]), json!([]), vec![json!([1]), json!({})]),
        (
            json!({ "a": "bool" }),
            json!({ "a": true }),
            vec![json!({}), json!({ "a": 1 }), json!({ "a": true, "b": 1 })],
        ),
        (json!({ "$json": ["string"] }), json!("[\"a\"]"), vec![json!("[1]"), json!("["), json!(["a"])]),
    ] {
        assert_eq!(mismatch(&good, &shape), None, "{shape}");
        for bad in bad {
            assert!(mismatch(&bad, &shape).is_some(), "{shape} {bad}");
        }
    }
    assert_eq!(mismatch(&json!([]), &json!(["string", "*"])), None);
    assert_eq!(mismatch(&json!({}), &json!({ "a?": "bool" })), None);
    assert!(mismatch(&json!({ "a": 1 }), &json!({ "a?": "bool" })).is_some());
}
