//! `cryftgo-tee audit report`.

use std::path::PathBuf;
use std::process::ExitCode;

use contract::exit;

use super::super::print;
use super::verify::{Input, Outcome};
use super::{AuditError, show};
use crate::audit::report::{Story, html};
use crate::{clock, durable};

pub(super) const AFTER_HELP: &str = "\
Examples:
  cryftgo-tee audit report --html report.html                       the journal of this host (as root)
  cryftgo-tee audit report --html report.html --node-id NodeID-… trail.export

One page without a script and without anything from elsewhere: who the node is, its state, a timeline, refusals and findings,
and whether the trail is whole. It is written also where the trail is not whole, and says so.

Exit codes: as audit verify; 74 the page cannot be written.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write the page to this file
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// Show nothing before this, 2026-11-22 or 2026-11-22T19:00:00Z, in UTC; all of it is verified
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    input: Input,
}

pub(super) fn main(args: &Args) -> Result<ExitCode, AuditError> {
    let since = args.since.as_deref().map(show::time).transpose()?;
    let mut story = Story::default();
    let Outcome { verdict, .. } = args.input.read(&mut |entry| {
        if since.is_none_or(|since| entry.text("AUDIT_TIME").is_some_and(|time| time >= since)) {
            story.add(entry);
        }
    })?;
    let page = html(&story, &verdict, clock::now());
    durable::write(&args.html, page.as_bytes()).map_err(AuditError::Print)?;
    Ok(if !verdict.is_good() {
        eprintln!("cryftgo-tee: the trail is not whole; the page says what is wrong");
        ExitCode::from(exit::INTEGRITY)
    } else if verdict.entries() == 0 {
        eprintln!("cryftgo-tee: there is no event of the audit trail");
        ExitCode::from(exit::DATA)
    } else {
        print(&format!("{} entries, whole: {}", verdict.entries(), args.html.display()))
    })
}
