use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::audit::Action;
use crate::lifecycle::State as Life;

fn state() -> State {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("state.json");
    let board = Board::open(Some(&path));
    board.follow(Life::Ready);
    let check = CheckState { done: moment(100_000), took_us: 30_000, count: 7, interval_ms: 10_000 };
    board.change(|state| state.check = Some(check));
    found(&path)
}

fn found(path: &Path) -> State {
    match read(path).expect("readable") {
        Reading::Found(state) => *state,
        other => panic!("{other:?}"),
    }
}

fn moment(boot_ms: u64) -> Moment {
    Moment { at: "2026-01-01T00:00:00Z".to_owned(), boot_ms }
}

fn seen(boot_ms: u64) -> Seen {
    Seen { this_boot: true, boot_ms, alive: true }
}

#[test]
fn a_state_is_believed_as_long_as_checks_come_and_no_longer() {
    let state = state();
    assert_eq!(state.stale(&seen(100_000)), None);
    assert_eq!(state.stale(&seen(130_000)), None);
    let why = state.stale(&seen(130_001)).expect("stale");
    assert!(why.contains("30 s old") && why.contains("every 10 s"), "{why}");
    assert!(state.stale(&seen(99_999)).is_some_and(|why| why.contains("future")));
    assert_eq!(state.check_age(&seen(101_500)), Some(1_500));
    // Before the first check, READY counts as one.
    let unchecked = State { check: None, since: moment(5_000), ..state };
    assert_eq!(unchecked.stale(&seen(35_000)), None);
    assert!(unchecked.stale(&seen(35_001)).is_some());
}

#[test]
fn what_another_boot_left_on_a_disk_does_not_say_which_boot_this_is() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("state.json");
    let kernels = clock::boot_id().expect("a boot id");
    assert_eq!(this_boot(None), kernels);
    assert_eq!(this_boot(Some(&path)), kernels);
    let board = Board::open(Some(&path));
    board.change(|state| state.boot_id = "of-yesterday".to_owned());
    assert_eq!(found(&path).boot_id, "of-yesterday");
    assert_eq!(this_boot(Some(&path)), kernels);
}

#[test]
fn what_an_earlier_boot_or_a_killed_verifier_left_behind_is_stale() {
    let state = state();
    let other_boot = Seen { this_boot: false, ..seen(100_000) };
    assert!(state.stale(&other_boot).is_some_and(|why| why.contains("earlier boot")));
    let gone = Seen { alive: false, ..seen(100_000) };
    assert!(state.stale(&gone).is_some_and(|why| why.contains("is gone")));
    // One that said how it ended is over, and true for good; but not in another boot.
    let ended = State { state: Life::Locked, ..state };
    assert_eq!(ended.stale(&gone), None);
    assert!(ended.stale(&other_boot).is_some());
}

#[test]
fn a_start_that_takes_long_is_not_stale_while_its_verifier_lives() {
    let starting = State { state: Life::Identifying, check: None, ..state() };
    assert_eq!(starting.stale(&seen(u64::MAX)), None);
}

#[test]
fn a_pid_that_another_process_has_by_now_is_not_the_verifier() {
    let own = Process::own();
    assert!(own.started_ticks > 0 && is_alive(&own));
    assert!(!is_alive(&Process { started_ticks: own.started_ticks + 1, ..own }));
    for pid in [0, u32::MAX, i32::MAX as u32] {
        assert!(!is_alive(&Process { pid, started_ticks: 0 }), "{pid}");
    }
    assert!(is_alive(&Process { pid: 1, started_ticks: 0 }), "one whose beginning is not known");
    let mut ended = std::process::Command::new("true").spawn().expect("started");
    let waits = nix::sys::wait::WaitPidFlag::WNOWAIT | nix::sys::wait::WaitPidFlag::WEXITED;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(ended.id()).expect("a pid"));
    nix::sys::wait::waitid(nix::sys::wait::Id::Pid(pid), waits).expect("it ended");
    assert!(!is_alive(&Process { pid: ended.id(), started_ticks: 0 }), "one that ended and was not waited for");
    ended.wait().expect("waited for");
}

#[test]
fn what_no_verifier_wrote_is_damaged_and_never_a_state() {
    let good = serde_json::to_value(state()).expect("JSON");
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (text, words) in [
        (String::new(), "EOF"),
        ("{}".to_owned(), "missing field"),
        (good.to_string()[..200].to_owned(), "EOF"),
        (nested.clone(), ""),
        (format!("{{\"format\":{nested}}}"), ""),
        (format!("{}{nested}}}", &good.to_string()[..good.to_string().len() - 1].to_owned()), ""),
        (with("format", 2.into()), "format 2"),
        (with("state", "excellent".into()), "unknown variant"),
        (with("restarts", (-1).into()), "invalid value"),
        (with("node", serde_json::json!({"node_id": "x"})), ""),
    ] {
        match parse(text.as_bytes()) {
            Reading::Damaged(why) => assert!(why.contains(words), "{why}: {words}"),
            other => panic!("{text:.60}: {other:?}"),
        }
    }
    // A later version may say more.
    assert!(matches!(parse(with("more", nested[..20].len().into()).as_bytes()), Reading::Found(_)));
}

#[test]
fn what_stands_in_the_files_place_neither_hangs_nor_fills_the_memory() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("state.json");
    assert!(matches!(read(&path), Ok(Reading::Absent)));
    std::fs::write(&path, vec![b' '; 65 * 1024]).expect("write");
    assert!(matches!(read(&path), Ok(Reading::Damaged(why)) if why.contains("larger")));
    std::fs::remove_file(&path).expect("remove");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    assert!(read(&path).is_err());
    std::fs::remove_file(&path).expect("remove");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("link");
    assert!(read(&path).is_err());
}

#[test]
fn the_file_is_for_everybody_to_read_and_always_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("made/state.json");
    let board = Board::open(Some(&path));
    for count in 0..100 {
        board.change(|state| state.restarts = count);
        assert_eq!(found(&path).restarts, count);
    }
    let mode = std::fs::metadata(&path).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(folder.path().join("made")).expect("list").count(), 1, "nothing is left beside it");
}

#[test]
fn the_last_findings_stay_over_a_restart_and_their_number_is_bounded() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("state.json");
    let board = Board::open(Some(&path));
    for number in 0..20 {
        board.found(&format!("finding {number}\n\u{1b}[31m"), Action::Alert);
    }
    board.ended(Life::Locked, 77, "found");
    let again = found(&path);
    assert_eq!((again.state, again.ended.map(|ended| ended.exit_code)), (Life::Locked, Some(77)));
    drop(Board::open(Some(&path)));
    let again = found(&path);
    assert_eq!((again.state, again.findings.len(), again.findings_total), (Life::Idle, FINDINGS, 20));
    assert_eq!(again.findings[FINDINGS - 1].what, "finding 19\\u{a}\\u{1b}[31m");
    assert!(again.ended.is_none());
}

#[test]
fn a_board_that_cannot_be_written_changes_nothing_else() {
    let board = Board::open(Some(Path::new("/proc/nowhere/state.json")));
    board.follow(Life::Ready);
    board.found("x", Action::Kill);
    Board::open(None).follow(Life::Ready);
}

#[test]
fn times_are_written_for_people() {
    for (millis, text) in
        [(850, "850 ms"), (12_999, "12 s"), (180_000, "3 min"), (7_200_000, "2 h"), (172_800_000, "2 d")]
    {
        assert_eq!(whole(millis), text);
    }
}
