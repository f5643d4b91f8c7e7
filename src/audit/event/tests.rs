use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::chain::{ChainId, Link, Moment, seal};
use super::*;

/// One of each kind, and more where the severity depends on more.
fn samples() -> Vec<Event> {
    let digest = Digest::new([0xab; 32]);
    let (text, path) = ("x".to_owned(), PathBuf::from("/x"));
    let pid = 7;
    let refused = |exit_code| Event::Refused { step: "x", reason: text.clone(), exit_code };
    let finding = |action| Event::Finding { pid, what: text.clone(), action };
    let opened = |clean, new| Event::TrailOpened { after: 1, clean, settled: 1, new };
    vec![
        Event::SignerDisabled,
        Event::Measured { path: path.clone(), digest, size: 1, took: Duration::ZERO, sealed: true },
        Event::PathUnchecked { path: path.clone() },
        Event::Appraised { digest, reference: text.clone() },
        Event::Unreferenced { digest, enforced: true },
        Event::TpmExtended { digest, pcr: 13, value: digest, unaccounted: None },
        Event::TpmExtended { digest, pcr: 13, value: digest, unaccounted: Some("x") },
        Event::TpmFailed { device: path.clone(), why: text.clone() },
        Event::Launched { pid, digest, user: None },
        Event::SharedUser { pid },
        Event::Ungated { pid },
        Event::Remeasured { pid, digest },
        Event::Attested { pid, digest, version: text.clone() },
        Event::WaitingForSigner { url: text.clone(), why: text.clone() },
        Event::EventsLost { count: 1 },
        Event::EventsDelayed { count: 1, longest: Duration::ZERO },
        opened(true, None),
        opened(false, Some(text.clone())),
        Event::TrailClosed,
        Event::Checkpoint {
            seq: 1,
            hash: Hash::default(),
            time: text.clone(),
            signature: text.clone(),
            pubkey: text.clone(),
        },
        Event::ClientDenied { count: 1, asked: text.clone(), uid: Some(1) },
        Event::CheckpointFailed { seq: 1, why: text.clone() },
        Event::SignerReady { url: text.clone(), bls_keys: 1, tls_keys: 1 },
        Event::KeyGenerated { kind: "BLS", pubkey: text.clone() },
        Event::KeyAdopted { kind: "BLS", pubkey: text.clone(), how: Adopted::TheOnly },
        Event::KeyAdopted { kind: "BLS", pubkey: text.clone(), how: Adopted::Chosen },
        Event::KeyAdopted { kind: "BLS", pubkey: text.clone(), how: Adopted::First { others: 1, rest: text.clone() } },
        Event::KeyKnown { kind: "BLS", pubkey: text.clone() },
        Event::Possession { pubkey: text.clone(), proved: true },
        Event::Possession { pubkey: text.clone(), proved: false },
        Event::Ready { node_id: node_id(), digest, pid },
        Event::SidecarEnded { pid, how: text.clone() },
        Event::Restarting { attempt: 1, after: Duration::ZERO },
        Event::Stopping,
        Event::Stopped { how: text.clone() },
        Event::Locked { reason: text.clone() },
        Event::LockFailed { reason: text.clone() },
        Event::Unlocked { reason: text.clone(), finding: text.clone() },
        refused(contract::exit::INTEGRITY),
        refused(contract::exit::IO),
        Event::LibraryMapped { pid, path: path.clone(), digest },
        Event::LibraryReplaced { path: path.clone() },
        Event::VerifiedAgain { digest },
        Event::UpgradeStaged { digest, reference: text.clone() },
        Event::TamperPending { digest, running: digest, why: text.clone() },
        Event::ReferenceWithdrawn { digest, why: text.clone() },
        Event::DiskUnusable { path: path.clone(), why: text.clone() },
        Event::Mounted { path: path.clone(), mounts: Vec::new() },
        finding(Action::Kill),
        finding(Action::Restart),
        finding(Action::Alert),
        finding(Action::Report),
        Event::Quarantined { folder: path },
        Event::QuarantineFailed { reason: text.clone() },
        Event::Degraded { why: text.clone() },
        Event::Recovered,
        Event::SidecarHung { pid, why: text.clone() },
        Event::ReloadAsked,
        Event::Reloaded { digest, what: text.clone() },
        Event::ReloadRefused { step: "x", reason: text.clone() },
        Event::Drained { pid, how: text },
    ]
}

fn node_id() -> NodeId {
    "NodeID-0f715baf5d4c2ed329785cef29e562f73488c8a2".parse().expect("a node ID")
}

/// Name and id of each kind, as the source has them.
fn kinds() -> BTreeMap<&'static str, &'static str> {
    let source = include_str!("../event.rs");
    let pairs = source.match_indices("(\"").filter_map(|(at, _)| {
        let mut words = source[at + 2..].split('"');
        let (name, between, id) = (words.next()?, words.next()?, words.next()?);
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        (between.trim() == "," && is_id).then_some((name, id))
    });
    pairs.collect()
}

#[test]
fn every_kind_has_a_name_an_id_and_a_sample_of_its_own() {
    let kinds = kinds();
    let ids: BTreeSet<_> = kinds.values().collect();
    assert_eq!(ids.len(), kinds.len(), "an id is there twice");
    let sampled: BTreeMap<_, _> = samples().iter().map(|event| (event.name(), event.id())).collect();
    assert_eq!(sampled, kinds);
}

#[test]
fn the_catalog_explains_every_kind_and_none_that_there_is_not() {
    let catalog = include_str!("../../../systemd/cryftgo-tee.catalog");
    let mut explained = BTreeMap::new();
    for entry in catalog.split("\n-- ").skip(1) {
        let (id, rest) = entry.split_once('\n').expect("an id");
        let (head, text) = rest.split_once("\n\n").expect("a text");
        assert!(head.starts_with("Subject: ") && head.contains("\nDefined-By: cryftgo-tee"), "{id}");
        assert!(text.trim().len() > 20, "{id}: {text}");
        explained.insert(id, text);
    }
    let kinds = kinds();
    assert_eq!(explained.keys().collect::<BTreeSet<_>>(), kinds.values().collect::<BTreeSet<_>>());
    // What an explanation names is a field of its kind.
    for event in samples() {
        let fields: BTreeSet<_> = event.fields().into_iter().map(|(name, _)| name).collect();
        for named in explained[event.id()].split('@').skip(1).step_by(2) {
            assert!(fields.contains(named), "{}: {named}", event.name());
        }
    }
}

/// The table of docs/audit.md.
fn table() -> String {
    let mut rows: BTreeMap<&str, (BTreeSet<Severity>, Vec<&str>, &str)> = BTreeMap::new();
    for event in samples() {
        let row = rows.entry(event.name()).or_insert_with(|| (BTreeSet::new(), Vec::new(), event.id()));
        row.0.insert(event.severity());
        for (name, _) in event.fields().into_iter().skip(1) {
            if !row.1.contains(&name) {
                row.1.push(name);
            }
        }
    }
    let mut table =
        "| `CRYFTTEE_EVENT` | severity | fields `CRYFTTEE_…` | `MESSAGE_ID` |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, (severities, fields, id)) in rows {
        let severities: Vec<_> = severities.iter().map(|severity| format!("{severity:?}").to_lowercase()).collect();
        let fields: Vec<_> =
            fields.iter().map(|name| format!("`{}`", name.strip_prefix("CRYFTTEE_").expect("the prefix"))).collect();
        let _ = writeln!(table, "| `{name}` | {} | {} | `{id}` |", severities.join(", "), fields.join(" "));
    }
    table
}

fn vector() -> String {
    let moment = Moment { boot: "b".repeat(32), monotonic: 12_345_678, wall: 1_795_374_720_000_001 };
    let last = Link { chain: ChainId::new([0x5a; 16]), seq: 41, hash: Hash::new([0x11; 32]) };
    let fields = super::super::record::happened(Some(4), &Event::SharedUser { pid: 7 }, moment.clone()).fields;
    let sealed = seal(last, &moment, &fields);
    let sent = String::from_utf8(sealed.datagram).expect("text");
    let mut lines: Vec<&str> = sent.lines().filter(|line| !line.starts_with("AUDIT_HASH=")).collect();
    lines.sort_unstable();
    format!(
        "```text\ncryftgo-tee audit entry v1\n{}\n```\n\nIts SHA-256, and so `AUDIT_HASH`, is\n`{}`.\n",
        lines.join("\n"),
        sealed.link.hash
    )
}

#[test]
fn the_table_and_the_vector_in_docs_are_made_from_the_code_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md");
    let found = std::fs::read_to_string(path).expect("docs/audit.md");
    let mut made = found.clone();
    for (name, text) in [("events", table()), ("vector", vector())] {
        let (begin, end) = (format!("<!-- {name}: made by a test -->\n"), format!("<!-- end of {name} -->"));
        let (before, rest) = made.split_once(&begin).expect("where it begins");
        let (_, after) = rest.split_once(&end).expect("where it ends");
        made = format!("{before}{begin}{text}{end}{after}");
    }
    if std::env::var_os("CRYFTGO_DRAW").is_some() {
        std::fs::write(path, &made).expect("write docs/audit.md");
        return;
    }
    assert!(found == made, "docs/audit.md is old; make it again: CRYFTGO_DRAW=1 cargo test the_table");
}

/// The text of the vector is what a program without our code would hash.
#[test]
fn the_vector_in_docs_hashes_to_what_it_says() {
    use sha2::Digest as _;
    let docs = include_str!("../../../docs/audit.md");
    let (_, rest) = docs.split_once("<!-- vector: made by a test -->\n```text\n").expect("the vector");
    let (text, rest) = rest.split_once("```").expect("its end");
    let hash = Hash::new(sha2::Sha256::digest(text.as_bytes()).into());
    assert!(rest.contains(&format!("`{hash}`")), "{hash}");
}
