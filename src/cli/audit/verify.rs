//! `cryftgo-tee audit verify`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use contract::{NodeId, TlsPublicKey, exit};
use serde_json::json;

use super::super::error::CommandError;
use super::super::print;
use super::super::settings::SettingArgs;
use super::AuditError;
use crate::audit::checkpoint;
use crate::audit::entry::{Entry, Reader};
use crate::audit::kept::{self, Found, Seen};
use crate::audit::source::Source;
use crate::audit::verify::{ChainReport, CheckSignature, Checkpoint, Verdict, Verification};
use crate::config::Settings;
use crate::state;

pub(super) const AFTER_HELP: &str = "\
Examples:
  cryftgo-tee audit verify                             the journal of this host, and its head on disk (as root)
  journalctl -o export | cryftgo-tee audit verify -    what journalctl prints, export or json
  cryftgo-tee audit verify /var/log/journal/remote     files of many hosts, each chain for itself

Exit codes: 0 every chain is whole; 77 something is missing, moved, changed or inserted, and the first such entry is
named; 65 there is no journal in the input, or no event in the journal. docs/audit.md says what can be found, and what not.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    input: Input,
}

/// What is verified, and by what.
#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// Files: of journald, folders of them, or what journalctl -o export or -o json printed; - is standard input.
    /// None: the journal of this host
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The user id of the service, whose entries count beside root's; may be given again. Without it: on this host the one
    /// that the state of the trail belongs to, for files the first one of each chain
    #[arg(long, value_name = "UID")]
    uid: Vec<u64>,
    /// Verify the signatures of checkpoints, which have to be by this node; may be given again
    #[arg(long, value_name = "NODE-ID")]
    node_id: Vec<NodeId>,
    /// The same, by this TLS key
    #[arg(long, value_name = "KEY")]
    pubkey: Vec<TlsPublicKey>,
    #[command(flatten)]
    settings: SettingArgs,
}

/// What was read, and from where.
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    /// Why the head of this host was not compared.
    no_head: Option<String>,
    passed_over: u64,
}

pub(super) fn main(args: &Args) -> Result<ExitCode, AuditError> {
    let outcome = args.input.read(&mut |_| ())?;
    let verdict = &outcome.verdict;
    let printed = if args.json { print(&as_json(&outcome).to_string()) } else { print(&as_text(&outcome)) };
    Ok(if !verdict.is_good() {
        ExitCode::from(exit::INTEGRITY)
    } else if verdict.entries() == 0 {
        // To have verified nothing must not look like success.
        eprintln!(
            "cryftgo-tee: there is no event of the audit trail; root and the group systemd-journal see all of a journal"
        );
        ExitCode::from(exit::DATA)
    } else {
        printed
    })
}

impl Input {
    /// Verifies all of it, and shows each entry of the trail once.
    pub(super) fn read(&self, each: &mut dyn FnMut(&Entry)) -> Result<Outcome, AuditError> {
        let live = self.files.is_empty().then(|| self.look()).transpose()?;
        let mut uids = (!self.uid.is_empty()).then(|| self.uid.clone());
        let (mut seen, mut no_head) = (None, None);
        match live {
            Some(Ok((found, boot))) => {
                uids = uids.or_else(|| Some(vec![u64::from(found.uid)]));
                if found.head == Found::Damaged {
                    no_head = Some("it cannot be read as one".to_owned());
                }
                seen = Some((found, boot));
            }
            Some(Err(error)) => no_head = Some(error.to_string()),
            None => {}
        }
        let signed = |point: &Checkpoint<'_>| checkpoint::verify(point, &self.node_id, &self.pubkey);
        let by_whom = !(self.node_id.is_empty() && self.pubkey.is_empty());
        let mut verification = Verification::new(uids, by_whom.then_some(&signed as &CheckSignature<'_>));
        let mut passed_over = 0;
        let mut add = |source: Source, of: &str| {
            passed_over += add_all(source, of, &mut verification, each)?;
            verification.next_input();
            Ok::<_, AuditError>(())
        };
        if self.files.is_empty() {
            add(Source::live(None)?, "read the journal of this host")?;
        }
        for file in &self.files {
            let of = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
            add(Source::open(file)?, &of)?;
        }
        let verdict = verification.finish(seen.as_ref().map(|(seen, boot)| (seen, boot.as_str())));
        Ok(Outcome { verdict, no_head, passed_over })
    }

    /// The state on this host, before the journal is read: what comes later is no tail that is gone. And which boot this is.
    fn look(&self) -> Result<io::Result<(Seen, String)>, AuditError> {
        let settings = Settings::load(self.settings.command_line()).map_err(CommandError::from)?;
        let boot = state::this_boot(settings.state_file.as_deref()).replace('-', "");
        Ok(kept::look(&settings.state_dir).map(|seen| (seen, boot)))
    }
}

fn add_all(
    source: Source,
    of: &str,
    verification: &mut Verification<'_>,
    each: &mut dyn FnMut(&Entry),
) -> Result<u64, AuditError> {
    let mut reader = Reader::new(source);
    let failed = |source| AuditError::Read { of: of.to_owned(), source };
    while let Some(entry) = reader.next().map_err(failed)? {
        if verification.add(entry) {
            each(entry);
        }
    }
    let (passed_over, count) = (reader.passed_over(), reader.count());
    reader.into_inner().end(count)?;
    Ok(passed_over)
}

fn as_text(outcome: &Outcome) -> String {
    let Outcome { verdict, no_head, passed_over } = outcome;
    let mut lines = Vec::new();
    for chain in &verdict.chains {
        lines.extend(about(chain));
    }
    if let Some(why) = no_head {
        lines.push(format!("the head on this host is not compared, so a tail that is gone is not seen: {why}"));
    }
    for (uid, count) in &verdict.foreign {
        lines
            .push(format!("{count} entries with the fields of the trail were sent by user id {uid}, and do not count"));
    }
    if verdict.foreign_of_more > 0 {
        lines.push(format!("{} more were sent by further users, and do not count", verdict.foreign_of_more));
    }
    if verdict.left_out > 0 {
        lines.push(format!("{} entries of further chains were NOT VERIFIED", verdict.left_out));
    }
    if *passed_over > 0 {
        lines.push(format!("{passed_over} entries are too large to be of the trail"));
    }
    for finding in sorted(verdict) {
        lines.push(format!("WRONG  {finding}"));
    }
    let told = verdict.findings.len() as u64;
    if verdict.wrong > told {
        lines.push(format!("and {} more", verdict.wrong - told));
    }
    lines.push(if verdict.is_good() {
        format!("good: {} entries", verdict.entries())
    } else {
        format!("NOT GOOD: {} findings in {} entries", verdict.wrong, verdict.entries())
    });
    lines.join("\n")
}

fn about(chain: &ChainReport) -> Vec<String> {
    let of = chain.host.as_ref().map_or_else(String::new, |host| format!(" of {host}"));
    let mut lines = vec![match chain.entries {
        0 => format!("chain {}{of}: no entry", chain.chain),
        count => format!("chain {}{of}: {count} entries, {} to {}", chain.chain, chain.first, chain.last),
    }];
    if chain.first > 1 {
        lines.push(format!("  begins at entry {}: what was before it is not in this journal", chain.first));
    }
    for gap in &chain.crash_gaps {
        lines.push(format!(
            "  entries {} to {} were lost when the host went down: journald had not written them to its disk",
            gap.from, gap.to
        ));
    }
    if chain.duplicates > 0 {
        lines.push(format!("  {} entries are there more than once, each time the same", chain.duplicates));
    }
    match (chain.checkpoints, chain.signed_up_to) {
        (0, _) => {}
        (count, None) => lines.push(format!("  {count} checkpoints, whose signatures were not verified")),
        (count, Some(seq)) => {
            let at = chain.signed_at.as_ref().map_or_else(String::new, |time| format!(" at {time}"));
            lines.push(format!("  {count} checkpoints, signed up to entry {seq}{at}"));
        }
    }
    if chain.has_head {
        lines.push("  compared with the head on this host".to_owned());
    }
    if chain.waiting > 0 {
        lines.push(format!("  {} entries wait on this host for journald", chain.waiting));
    }
    lines
}

/// By their place in the trail: those that only the end can tell were found last.
fn sorted(verdict: &Verdict) -> Vec<&crate::audit::verify::Finding> {
    let mut findings: Vec<_> = verdict.findings.iter().collect();
    findings.sort_by_key(|finding| (finding.chain, finding.seq));
    findings
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    let Outcome { verdict, no_head, passed_over } = outcome;
    let chains: Vec<_> = verdict.chains.iter().map(chain_as_json).collect();
    let findings: Vec<_> = sorted(verdict)
        .into_iter()
        .map(|finding| {
            json!({
                "chain": finding.chain.map(|chain| chain.to_string()),
                "seq": finding.seq,
                "time": finding.place.time,
                "cursor": finding.place.cursor,
                "problem": finding.problem.word(),
                "text": finding.to_string(),
            })
        })
        .collect();
    let foreign: Vec<_> = verdict.foreign.iter().map(|(uid, count)| json!({"uid": uid, "entries": count})).collect();
    json!({
        "good": verdict.is_good(),
        "entries": verdict.entries(),
        "chains": chains,
        "findings": findings,
        "findings_total": verdict.wrong,
        "foreign": foreign,
        "foreign_of_more": verdict.foreign_of_more,
        "left_out": verdict.left_out,
        "head_not_compared": no_head,
        "passed_over": passed_over,
    })
}

fn chain_as_json(chain: &ChainReport) -> serde_json::Value {
    let gaps: Vec<_> = chain.crash_gaps.iter().map(|gap| json!({"from": gap.from, "to": gap.to})).collect();
    json!({
        "chain": chain.chain,
        "host": chain.host,
        "uid": chain.uid,
        "first": chain.first,
        "last": chain.last,
        "entries": chain.entries,
        "duplicates": chain.duplicates,
        "crash_gaps": gaps,
        "checkpoints": chain.checkpoints,
        "signed_up_to": chain.signed_up_to,
        "signed_at": chain.signed_at,
        "head_compared": chain.has_head,
        "waiting": chain.waiting,
    })
}
