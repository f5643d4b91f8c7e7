//! Reading the table. A member that it does not know is an error: a misspelt expectation must not pass for none.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(rename = "about")]
    _about: Vec<String>,
    pub(crate) sources: BTreeMap<String, String>,
    pub(crate) fragments: BTreeMap<String, Value>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) process: String,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) no_keys: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    pub(crate) accept: Option<String>,
    pub(crate) sends: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    pub(crate) body: Option<Value>,
    #[serde(default)]
    pub(crate) first: Vec<Step>,
    pub(crate) expect: Expect,
    pub(crate) differs: Option<Differs>,
}

/// `null` is a body, too.
fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) status: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) shape: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differs {
    pub(crate) why: String,
    pub(crate) expect: Expect,
}

impl Table {
    pub(crate) fn read() -> Self {
        serde_json::from_str(include_str!("web3signer.json")).expect("the table")
    }
}
