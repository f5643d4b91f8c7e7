//! What verifying a long audit trail costs, beside what journalctl needs to print it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use cryftgo_tee::audit::chain::{ChainId, Link, Moment, seal};

use super::peak::{Watched, watch};
use super::{BenchError, Measured};
use crate::stage::Stage;

const ENTRIES: u32 = 1_000_000;
/// Of them, as many as files of journald are made of.
const IN_A_JOURNAL: u32 = 100_000;
/// More entries a second than `journalctl -o json` prints of such a file.
pub(super) const JOURNALCTL: f64 = 50_000.0;
/// Makes files of journald out of what `journalctl -o export` prints.
const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// Entries a second of `cryftgo-tee audit verify`, and its peak memory.
pub(super) fn verified(stage: &Stage) -> Result<Measured, BenchError> {
    let path = stage.folder.path().join("trail.export");
    write(&path, ENTRIES).map_err(|source| BenchError::File { operation: "write", path: path.clone(), source })?;
    let program = &stage.binaries.verifier;
    let Watched { peak, seconds, .. } = watch(Command::new(program).args(["audit", "verify"]).arg(&path))?;
    let ours = f64::from(ENTRIES) / seconds;
    let beside = match journalctl(stage) {
        Ok(theirs) => format!(
            "journalctl -o json prints {theirs:.0} a second of a file of journald, so this is {:.1} times as fast",
            ours / theirs
        ),
        Err(reason) => format!("not compared with journalctl here: {reason}"),
    };
    let how = format!("cryftgo-tee audit verify of {ENTRIES} entries, as journalctl -o export prints them; {beside}");
    Ok(Measured { values: vec![ours, peak], how })
}

/// Entries a second that journalctl prints.
fn journalctl(stage: &Stage) -> Result<f64, String> {
    if !Path::new(REMOTE).exists() {
        return Err(format!("{REMOTE} is not there (Debian: systemd-journal-remote)"));
    }
    let (export, journal) = (stage.folder.path().join("part.export"), stage.folder.path().join("part.journal"));
    write(&export, IN_A_JOURNAL).map_err(|error| format!("write {}: {error}", export.display()))?;
    let run = |command: &mut Command| {
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).status();
        match done {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{}: {status}", command.get_program().display())),
            Err(error) => Err(format!("{}: {error}", command.get_program().display())),
        }
    };
    run(Command::new(REMOTE).arg("--output").arg(&journal).arg(&export))?;
    let began = Instant::now();
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--all", "--no-pager", "--file"]).arg(&journal).stderr(Stdio::null());
    let printed = command.output().map_err(|error| format!("journalctl: {error}"))?;
    // Counted: a file that was full was rotated away, and is not read.
    let entries = printed.stdout.iter().filter(|byte| **byte == b'\n').count();
    Ok(entries as f64 / began.elapsed().as_secs_f64())
}

/// A trail as journalctl exports it: with what journald adds to an entry.
fn write(path: &Path, entries: u32) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1024 * 1024, File::create(path)?);
    let mut last = Link::genesis(ChainId::new([7; 16]));
    let boot = "2f0c5f1b6d3a4a0f9a3c5a9d8f7e6b51";
    for number in 0..u64::from(entries) {
        let (monotonic, wall) = (number * 1000, 1_795_374_720_000_000 + number * 1000);
        let moment = Moment { boot: boot.to_owned(), monotonic, wall };
        let fields = [
            ("MESSAGE", format!("[5/9] The image that pid {number} runs is sha256:{number:064x}, as appraised")),
            ("MESSAGE_ID", "6d3ab5ea6f8c4b0d9f34c1f7a7c0a507".to_owned()),
            ("PRIORITY", "5".to_owned()),
            ("SYSLOG_IDENTIFIER", "cryftgo-tee".to_owned()),
            ("CRYFTTEE_STEP_NUMBER", "5".to_owned()),
            ("CRYFTTEE_EVENT", "remeasured".to_owned()),
            ("CRYFTTEE_PID", number.to_string()),
            ("CRYFTTEE_DIGEST", format!("sha256:{number:064x}")),
        ];
        let sealed = seal(last, &moment, &fields);
        last = sealed.link;
        write!(
            out,
            "__CURSOR=s=8f2b6c1d;i={number:x};b={boot};m={monotonic:x};t={wall:x};x=1\n\
             __REALTIME_TIMESTAMP={wall}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n_TRANSPORT=journal\n\
             _UID=990\n_GID=990\n_PID=4711\n_COMM=cryftgo-tee\n_EXE=/usr/bin/cryftgo-tee\n\
             _CMDLINE=/usr/bin/cryftgo-tee run\n_CAP_EFFECTIVE=800e0\n_SELINUX_CONTEXT=unconfined\n\
             _SYSTEMD_CGROUP=/system.slice/cryftgo-tee.service\n_SYSTEMD_UNIT=cryftgo-tee.service\n\
             _SYSTEMD_SLICE=system.slice\n_SYSTEMD_INVOCATION_ID={boot}\n_MACHINE_ID={boot}\n_HOSTNAME=validator-1\n\
             _SOURCE_REALTIME_TIMESTAMP={wall}\n"
        )?;
        out.write_all(&sealed.datagram)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
