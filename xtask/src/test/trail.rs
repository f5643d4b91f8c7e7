//! For the scenarios about the audit trail: many events by the real way into a real journal, and attacks on what came out
//! of it.

use std::path::PathBuf;
use std::process::ExitCode;

use cryftgo_tee::audit::chain::{ChainId, Link, Moment, seal};
use cryftgo_tee::audit::entry::Reader;
use cryftgo_tee::audit::kept::{self, Seen};
use cryftgo_tee::audit::verify::{Verdict, Verification};
use cryftgo_tee::audit::{Action, Audit, Event};

/// Records events the way the service does, some of them with text that wants to be more than text.
#[derive(clap::Args)]
pub(crate) struct Record {
    count: u32,
    #[arg(long, default_value = "/var/lib/cryftgo-tee")]
    state: PathBuf,
}

/// Attacks an exported trail, at random, and says how many attacks were not found.
#[derive(clap::Args)]
pub(crate) struct Attack {
    /// What journalctl -o export printed
    export: PathBuf,
    #[arg(long, default_value_t = 1000)]
    times: u32,
    #[arg(long, default_value = "/var/lib/cryftgo-tee")]
    state: PathBuf,
}

/// What a sidecar, or whoever is behind it, may want the trail to say.
const HOSTILE: [&str; 6] = [
    "an ordinary reason",
    "x\nMESSAGE=all is well\nPRIORITY=6\nAUDIT_SEQ=1\nCRYFTTEE_EVENT=ready",
    "\u{1b}[2J\u{1b}[31mall is well\u{7}\r\0",
    "\u{202e}llew si lla\u{2028}CRYFTTEE_EVENT=ready",
    "\n\nMESSAGE=forged\nCRYFTTEE_EVENT=forged\n\n",
    "𝕬 \u{feff}ß …",
];

impl Record {
    pub(super) fn run(&self) -> ExitCode {
        let audit = Audit::open_for_command(&self.state);
        let long = "é".repeat(512 * 1024);
        for number in 0..self.count {
            let text = HOSTILE[number as usize % HOSTILE.len()].to_owned();
            let text = if number % 100 == 99 { long.clone() } else { text };
            audit.record(&match number % 4 {
                0 => Event::Degraded { why: text },
                1 => Event::SidecarEnded { pid: number, how: text },
                2 => Event::Finding { pid: number, what: text, action: Action::Report },
                _ => Event::Mounted { path: text.clone().into(), mounts: vec![text.clone(), text] },
            });
            // Far below the bound of what may wait.
            while audit.waiting() > 100 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        match audit.close() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}

impl Attack {
    pub(super) fn run(&self) -> ExitCode {
        match self.attack() {
            Ok((entries, 0)) => {
                println!("{} attacks on {entries} entries, each found", self.times);
                ExitCode::SUCCESS
            }
            Ok((entries, missed)) => {
                println!("{missed} of {} attacks on {entries} entries were not found", self.times);
                ExitCode::FAILURE
            }
            Err(reason) => {
                println!("{reason}");
                ExitCode::FAILURE
            }
        }
    }

    fn attack(&self) -> Result<(usize, u32), String> {
        let text = std::fs::read_to_string(&self.export).map_err(|error| error.to_string())?;
        // Blocks of lines: the trail has no binary value, so no empty line is inside of one.
        let whole: Vec<&str> = text.split_inclusive("\n\n").collect();
        let seen = kept::look(&self.state).map_err(|error| format!("look at {}: {error}", self.state.display()))?;
        let verdict = verify(&text, &seen)?;
        if !verdict.is_good() || verdict.entries() != whole.len() as u64 {
            return Err(format!("untouched, it is not good, or not all is of the trail: {verdict:?}"));
        }
        let mut random = Random(0x5eed);
        let mut missed = 0;
        for time in 0..self.times {
            let (what, attacked) = attacked(&whole, time, &mut random);
            if verify(&attacked, &seen)?.is_good() {
                println!("not found: {what}");
                missed += 1;
            }
        }
        Ok((whole.len(), missed))
    }
}

fn verify(text: &str, seen: &Seen) -> Result<Verdict, String> {
    let mut verification = Verification::new(Some(vec![u64::from(seen.uid)]), None);
    let mut reader = Reader::new(text.as_bytes());
    while let Some(entry) = reader.next().map_err(|error| error.to_string())? {
        verification.add(entry);
    }
    Ok(verification.finish(Some((seen, &boot()))))
}

fn boot() -> String {
    cryftgo_tee::clock::boot_id().unwrap_or_default().replace('-', "")
}

/// One attack of four kinds in turns, in words and done.
fn attacked(whole: &[&str], time: u32, random: &mut Random) -> (String, String) {
    let mut entries: Vec<String> = whole.iter().map(|entry| (*entry).to_owned()).collect();
    // The first may go: a journal is rotated from there. Everything behind it has to stay.
    let at = 1 + random.below(whole.len() - 1);
    let what = match time % 4 {
        0 => {
            entries.remove(at);
            format!("deleted entry {at}")
        }
        1 => {
            let to = (at + 1 + random.below(whole.len() - 1)) % whole.len();
            let moved = entries.remove(at);
            entries.insert(to, moved);
            format!("moved entry {at} to {to}")
        }
        2 => {
            let entry = &mut entries[at];
            let places: Vec<usize> = covered(entry);
            let place = places[random.below(places.len())];
            let old = entry.as_bytes()[place];
            let new = if old == b'7' { "8" } else { "7" };
            entry.replace_range(place..=place, new);
            format!("changed byte {place} of entry {at}")
        }
        _ => {
            let inserted = inserted(&entries, at, time, random);
            entries.insert(at, inserted);
            format!("inserted an entry at {at}")
        }
    };
    (what, entries.concat())
}

/// Where the bytes of the values are that the hash covers, and of the hash.
fn covered(entry: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let mut start = 0;
    for line in entry.split_inclusive('\n') {
        let ours = ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "CRYFTTEE_", "AUDIT_"];
        if let Some((name, value)) = line.trim_end_matches('\n').split_once('=')
            && ours.iter().any(|ours| name.starts_with(ours))
        {
            let value_at = start + name.len() + 1;
            places.extend((value_at..value_at + value.len()).filter(|at| entry.as_bytes()[*at].is_ascii()));
        }
        start += line.len();
    }
    places
}

/// What somebody would insert: an old entry with another message; one without a place in the chain; or one that is
/// computed as well as anybody can compute it, for this place.
fn inserted(entries: &[String], at: usize, time: u32, random: &mut Random) -> String {
    let other = &entries[random.below(entries.len())];
    let field = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    let kernels: String =
        other.lines().filter(|line| line.starts_with('_')).fold(String::new(), |all, line| all + line + "\n");
    match time / 4 % 3 {
        0 => other.replacen("\nMESSAGE=", "\nMESSAGE=all is well ", 1),
        1 => format!("{kernels}MESSAGE=all is well\nCRYFTTEE_EVENT=recovered\n\n"),
        _ => {
            let before = &entries[at - 1];
            let chain: ChainId = field(before, "AUDIT_CHAIN").parse().unwrap_or(ChainId::new([0; 16]));
            let (seq, hash) = (field(before, "AUDIT_SEQ"), field(before, "AUDIT_HASH"));
            let last = Link { chain, seq: seq.parse().unwrap_or_default(), hash: hash.parse().unwrap_or_default() };
            let moment = Moment { boot: boot(), monotonic: 1, wall: 2 };
            let forged = seal(last, &moment, &[("CRYFTTEE_EVENT", "recovered".to_owned())]);
            format!("{kernels}{}\n", String::from_utf8_lossy(&forged.datagram))
        }
    }
}

/// Numbers that are the same in every run, so that a miss can be looked at again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound.max(1) as u64).unwrap_or_default()
    }
}
