//! What a stock Web3Signer answers on the wire, row by row, asked of the real binary over HTTP: `web3signer.json` says
//! what is expected, and in which rows this signer knowingly differs.

#[path = "../support/mod.rs"]
mod support;

mod fresh;
mod shape;
mod table;

use fresh::Fresh;
use serde_json::{Value, json};
use support::Reply;
use table::{Expect, Row, Table};

/// What is wrong with an answer, if anything.
fn complaint(reply: &Reply, expect: &Expect) -> Option<String> {
    if reply.status != expect.status {
        return Some(format!("status {} instead of {}: {}", reply.status, expect.status, reply.body));
    }
    let found = reply.header("content-type");
    if let Some(expected) = &expect.content_type {
        let kind = if expected.contains(';') { found } else { found.split(';').next().unwrap_or_default() };
        if kind != expected {
            return Some(format!("content type {found:?} instead of {expected:?}"));
        }
    }
    let value = match found.split(';').next() {
        Some("application/json") => match serde_json::from_str(&reply.body) {
            Ok(value) => value,
            Err(error) => return Some(format!("no JSON: {error}: {}", reply.body)),
        },
        _ => Value::String(reply.body.clone()),
    };
    let shape = expect.shape.as_ref()?;
    shape::mismatch(&value, shape).map(|what| format!("{what}: {}", reply.body))
}

/// What is wrong with the answer to a row, if anything.
fn asked(table: &Table, row: &Row) -> Option<String> {
    let reply = Fresh::start(row).ask(table, row);
    let of_stock = complaint(&reply, &row.expect);
    let what = match &row.differs {
        None => of_stock,
        Some(_) if of_stock.is_none() => Some("it no longer differs: take the difference out".to_owned()),
        Some(differs) => complaint(&reply, &differs.expect),
    };
    what.map(|what| format!("{}: {what}", row.name))
}

#[test]
fn each_row_is_answered_as_stock_answers_it_or_as_it_is_said_to_differ() {
    let table = Table::read();
    let complaints: Vec<String> = table.rows.iter().filter_map(|row| asked(&table, row)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_table_names_a_source_for_each_row_and_a_reason_for_each_difference() {
    let table = Table::read();
    let mut names = std::collections::BTreeSet::new();
    for row in &table.rows {
        assert!(names.insert(&row.name), "{} is there twice", row.name);
        assert!(table.sources.contains_key(&row.source), "{}: {}", row.name, row.source);
        assert!(row.differs.as_ref().is_none_or(|differs| differs.why.len() > 20), "{}", row.name);
    }
    for source in table.sources.keys() {
        assert!(table.rows.iter().any(|row| row.source == *source), "{source} is the source of nothing");
    }
}

#[test]
fn a_wrong_answer_is_complained_about() {
    let reply = |status, kind: &str, body: &str| Reply {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.to_owned(),
    };
    let expect = Expect {
        status: 200,
        content_type: Some("application/json".to_owned()),
        shape: Some(json!({ "signature": "hex:2" })),
    };
    let json = "application/json; charset=utf-8";
    assert_eq!(complaint(&reply(200, json, r#"{"signature":"0xabcd"}"#), &expect), None);
    for (status, kind, body) in [
        (201, json, r#"{"signature":"0xabcd"}"#),
        (200, "text/plain", r#"{"signature":"0xabcd"}"#),
        (200, json, r#"{"signature":"0xab"}"#),
        (200, json, "0xabcd"),
    ] {
        assert!(complaint(&reply(status, kind, body), &expect).is_some(), "{status} {kind} {body}");
    }
}
