//! `cryftgo-tee audit show`.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::AuditError;
use crate::audit::entry::{Entry, Reader};
use crate::audit::source::Source;
use crate::text::sanitise;

pub(super) const AFTER_HELP: &str = "\
Examples:
  cryftgo-tee audit show --since today
  cryftgo-tee audit show --since 2026-11-22 trail.export
  cryftgo-tee audit show --json | jq 'select(.severity == \"critical\")'

It shows what the journal has, and does not verify it: that is cryftgo-tee audit verify. What journalctl -x says of an event
is what to do about it.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files as for audit verify; none: the journal of this host
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Nothing before this: for the journal of this host in the words of journalctl (today, -2h, 2026-11-22 19:00); for
    /// files 2026-11-22 or 2026-11-22T19:00:00Z, in UTC
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Result<ExitCode, AuditError> {
    let mut out = BufWriter::new(io::stdout().lock());
    let shown = if args.files.is_empty() {
        show(Source::live(args.since.as_deref())?, "read the journal of this host", None, args.json, &mut out)
    } else {
        let since = args.since.as_deref().map(time).transpose()?;
        args.files.iter().try_for_each(|file| {
            let of = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
            show(Source::open(file)?, &of, since, args.json, &mut out)
        })
    };
    match shown.and_then(|()| out.flush().map_err(AuditError::Print)) {
        // Whoever closed the pipe has what it wanted.
        Err(AuditError::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

/// A time that can be compared, as text, with that of an event.
pub(super) fn time(since: &str) -> Result<&str, AuditError> {
    let zero = "1970-01-01T00:00:00Z";
    let whole = zero.get(since.len()..).map(|rest| format!("{since}{rest}"));
    match whole.and_then(|whole| crate::clock::parse_utc(&whole)) {
        Some(_) => Ok(since.trim_end_matches('Z')),
        None => Err(AuditError::Usage(format!("--since {since:?}: expected 2026-11-22 or 2026-11-22T19:00:00Z"))),
    }
}

fn show(source: Source, of: &str, since: Option<&str>, json: bool, out: &mut impl io::Write) -> Result<(), AuditError> {
    let failed = |source| AuditError::Read { of: of.to_owned(), source };
    let mut reader = Reader::new(source);
    while let Some(entry) = reader.next().map_err(failed)? {
        let too_early = since.is_some_and(|since| entry.text("AUDIT_TIME").is_some_and(|time| time < since));
        if !entry.has("CRYFTTEE_EVENT") || too_early {
            continue;
        }
        let line = if json { as_json(entry) } else { as_text(entry) };
        writeln!(out, "{line}").map_err(AuditError::Print)?;
    }
    let count = reader.count();
    Ok(reader.into_inner().end(count)?)
}

/// Whatever the journal holds is text from outside here.
fn as_text(entry: &Entry) -> String {
    let text = |name| entry.get(name).map_or_else(|| "?".to_owned(), |value| sanitise(&String::from_utf8_lossy(value)));
    let host = entry.get("_HOSTNAME").map_or_else(String::new, |_| format!("{} ", text("_HOSTNAME")));
    format!("{}  {host}{:<8}  {}", text("AUDIT_TIME"), severity(entry), text("MESSAGE"))
}

fn as_json(entry: &Entry) -> String {
    let mut object = serde_json::Map::new();
    object.insert("severity".to_owned(), severity(entry).into());
    for (name, value) in entry.fields() {
        let name = String::from_utf8_lossy(name);
        let value = value.map(|value| sanitise(&String::from_utf8_lossy(value)));
        let name = match &*name {
            "MESSAGE" => "message".to_owned(),
            "AUDIT_TIME" => "time".to_owned(),
            "_HOSTNAME" => "host".to_owned(),
            "_UID" => "uid".to_owned(),
            name => match name.strip_prefix("CRYFTTEE_") {
                Some(name) => name.to_ascii_lowercase(),
                None if name.starts_with("AUDIT_") => name.to_ascii_lowercase(),
                None => continue,
            },
        };
        object.insert(name, value.into());
    }
    serde_json::Value::Object(object).to_string()
}

fn severity(entry: &Entry) -> &'static str {
    match entry.number("PRIORITY") {
        Some(0..=2) => "critical",
        Some(3) => "error",
        Some(4) => "warning",
        Some(5) => "notice",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_journal_holds_cannot_start_a_line_or_a_colour() {
        let hostile = b"AUDIT_TIME=2026-11-22T19:12:00.000001Z\nPRIORITY=2\nCRYFTTEE_EVENT=refused\n\
            MESSAGE\n\x0d\0\0\0\0\0\0\0a\n\x1b[31m\0b\xff\xe2\x80\xae\n\n";
        let mut reader = Reader::new(&hostile[..]);
        let entry = reader.next().expect("export").expect("one");
        for line in [as_text(entry), as_json(entry)] {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
        assert!(as_text(entry).starts_with("2026-11-22T19:12:00.000001Z  critical  a\\u{a}"), "{}", as_text(entry));
        assert!(as_json(entry).contains(r#""event":"refused""#), "{}", as_json(entry));
    }

    #[test]
    fn a_time_for_files_is_one_that_can_be_compared() {
        assert_eq!(time("2026-11-22").expect("a day"), "2026-11-22");
        assert_eq!(time("2026-11-22T19:00:00Z").expect("a second"), "2026-11-22T19:00:00");
        assert!(time("yesterday").is_err() && time("2026-11-22T25:00:00Z").is_err() && time("").is_ok());
    }
}
