//! `cryftgo-tee audit`, on trails that never saw a journal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use contract::exit;
use cryftgo_tee::audit::chain::{ChainId, Link, Moment, seal};

/// A trail as `journalctl -o export` prints it, entry by entry.
fn trail(chain: u8, count: u64) -> Vec<String> {
    let mut last = Link::genesis(ChainId::new([chain; 16]));
    let entry = |number| {
        let wall = 1_795_374_720_000_000 + number * 1_000_000;
        let moment = Moment { boot: "b".repeat(32), monotonic: number, wall };
        let fields = [("MESSAGE", format!("it is number {number}")), ("CRYFTTEE_EVENT", "degraded".to_owned())];
        let sealed = seal(last, &moment, &fields);
        last = sealed.link;
        let text = String::from_utf8(sealed.datagram).expect("text");
        format!("__REALTIME_TIMESTAMP={wall}\n_UID=99{chain}\n_HOSTNAME=host-{chain}\n{text}PRIORITY_OF_OTHERS=1\n\n")
    };
    (1..=count).map(entry).collect()
}

/// The same as `journalctl -o json` prints it.
fn as_json(entries: &[String]) -> String {
    entries.iter().fold(String::new(), |mut all, entry| {
        let fields: serde_json::Map<_, _> = entry
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let _ = writeln!(all, "{}", serde_json::Value::Object(fields));
        all
    })
}

fn audit(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cryftgo-tee"));
    command.arg("audit").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("spawn");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    // It may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("written");
    output
}

fn code(output: &Output) -> u8 {
    u8::try_from(output.status.code().expect("a code")).expect("a byte")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn both_forms_are_verified_and_the_first_bad_entry_is_named() {
    let entries = trail(1, 50);
    for form in [entries.concat(), as_json(&entries)] {
        let output = audit(&["verify", "-"], &form);
        assert_eq!(code(&output), exit::OK, "{}", said(&output));
        assert!(said(&output).contains("50 entries, 1 to 50"), "{}", said(&output));
    }
    let mut changed = entries.clone();
    changed[20] = changed[20].replace("number 21", "number 22");
    changed.remove(30);
    for form in [changed.concat(), as_json(&changed)] {
        let output = audit(&["verify", "-"], &form);
        assert_eq!(code(&output), exit::INTEGRITY, "{}", said(&output));
        let text = said(&output);
        let wrong: Vec<_> = text.lines().filter(|line| line.starts_with("WRONG")).collect();
        assert!(wrong[0].contains("entry 21 of chain 0101") && wrong[0].contains("2026-11-22T19:12:21"), "{text}");
        assert!(wrong[1].contains("entry 31 of chain") && wrong[1].contains("missing"), "{text}");
        let output = audit(&["verify", "--json", "-"], &form);
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
        assert_eq!((&object["good"], &object["findings"][0]["seq"]), (&false.into(), &21.into()), "{object}");
    }
}

#[test]
fn files_of_many_hosts_are_verified_each_for_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let (one, two) = (trail(1, 30), trail(2, 30));
    let both: String = one.iter().zip(&two).flat_map(|(one, two)| [one.as_str(), two]).collect();
    let mut cut = two.clone();
    cut.remove(9);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write");
        path.display().to_string()
    };
    let (both, late, cut) = (write("both", &both), write("late", &one[20..].concat()), write("cut", &cut.concat()));
    let output = audit(&["verify", &late, &both], "");
    assert_eq!(code(&output), exit::OK, "{}", said(&output));
    assert!(said(&output).contains("host-1: 30") && said(&output).contains("host-2: 30"), "{}", said(&output));
    assert!(said(&output).contains("10 entries are there more than once"), "{}", said(&output));
    let output = audit(&["verify", &late, &cut], "");
    assert_eq!(code(&output), exit::INTEGRITY, "{}", said(&output));
    assert!(said(&output).contains("entry 10 of chain 0202"), "{}", said(&output));
    assert!(said(&output).contains("begins at entry 21"), "{}", said(&output));
}

#[test]
fn what_is_no_trail_is_not_called_good() {
    for (input, expected) in [
        ("", exit::DATA),
        ("Nov 25 19:12:01 host kernel: hello\n", exit::DATA),
        ("MESSAGE=a journal without a trail\n\n", exit::DATA),
        ("{\"MESSAGE\":\"cut", exit::DATA),
    ] {
        let output = audit(&["verify", "-"], input);
        assert_eq!(code(&output), expected, "{input:?}: {}", said(&output));
        assert!(!said(&output).is_empty());
    }
    assert_eq!(code(&audit(&["verify", "/not/there"], "")), exit::IO);
    assert_eq!(code(&audit(&["verify", "--what"], "")), exit::USAGE);
    assert_eq!(code(&audit(&["show", "--since", "yesterday", "-"], "")), exit::USAGE);
}

#[test]
fn show_prints_one_event_a_line_from_a_time_on() {
    let entries = trail(1, 30);
    let output = audit(&["show", "--since", "2026-11-22T19:12:21Z", "-"], &entries.concat());
    let text = said(&output);
    assert_eq!((code(&output), text.lines().count()), (exit::OK, 10), "{text}");
    assert!(text.starts_with("2026-11-22T19:12:21.000000Z  host-1 ") && text.contains("it is number 21"), "{text}");
    let output = audit(&["show", "--json", "-"], &as_json(&entries));
    let first: serde_json::Value = serde_json::from_str(said(&output).lines().next().expect("a line")).expect("json");
    assert_eq!((&first["event"], &first["host"]), (&"degraded".into(), &"host-1".into()), "{first}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let entries = trail(1, 3000).concat();
    let mut command = Command::new("bash");
    let program = env!("CARGO_BIN_EXE_cryftgo-tee");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("trail");
    std::fs::write(&file, entries).expect("write");
    let pipe = |file: &Path| format!("set -o pipefail; {program} audit show {} | head -n 1", file.display());
    let output = command.args(["-c", &pipe(&file)]).output().expect("run");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
}
