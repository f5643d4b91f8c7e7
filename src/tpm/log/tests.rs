use super::super::UNTOUCHED;
use super::*;

fn digest(number: u8) -> Digest {
    Digest::new([number; 32])
}

fn log() -> Log {
    Log::new("boot".to_owned(), 13, UNTOUCHED)
}

/// A launch, and the value that the PCR has after it.
fn launch(log: &mut Log, number: u8, value: Digest) -> Digest {
    log.intend(digest(number), String::new(), value);
    log.done();
    extended(value, digest(number))
}

#[test]
fn the_value_follows_from_the_log() {
    let mut log = log();
    let value = (1..=3).fold(UNTOUCHED, |value, number| launch(&mut log, number, value));
    assert_eq!(log.replay(), value);
    assert!(log.entries.iter().all(|entry| entry.done && entry.found.is_none()), "{log:?}");
}

#[test]
fn a_launch_that_was_killed_at_any_point_is_accounted_for_at_the_next() {
    let value = extended(UNTOUCHED, digest(1));
    // Before the extend, and after it.
    for (is, count) in [(value, 2), (extended(value, digest(2)), 3)] {
        let mut log = log();
        launch(&mut log, 1, UNTOUCHED);
        assert!(log.intend(digest(2), String::new(), value));
        // Killed here. The next one:
        let after = launch(&mut log, 3, is);
        assert_eq!(log.replay(), after);
        assert_eq!(log.entries.len(), count, "{log:?}");
        assert!(log.entries.iter().all(|entry| entry.done && entry.found.is_none()), "{log:?}");
    }
}

#[test]
fn what_something_else_extended_is_seen_where_it_happened() {
    let mut log = log();
    let value = launch(&mut log, 1, UNTOUCHED);
    let other = extended(value, digest(9));
    assert!(!log.intend(digest(2), String::new(), other));
    log.done();
    assert_eq!(log.entries[1].found, Some(other));
    assert_eq!(log.replay(), extended(other, digest(2)));
    // Also where a launch was killed before.
    let value = log.replay();
    log.intend(digest(3), String::new(), value);
    let other = extended(extended(value, digest(9)), digest(3));
    assert!(!log.intend(digest(4), String::new(), other));
    assert!(!log.entries[2].done && log.entries[3].found == Some(other), "{log:?}");
}

#[test]
fn it_stays_small_and_still_gives_the_value() {
    let mut log = log();
    let mut value = UNTOUCHED;
    for number in 0..MOST + 3 {
        value = launch(&mut log, (number % 251) as u8, value);
    }
    assert_eq!((log.replay(), log.folded), (value, (MOST / 2) as u64));
    assert!(log.entries.len() <= MOST);
    assert!(serde_json::to_vec(&log).expect("JSON").len() < MAX as usize / 2);
}

#[test]
fn a_log_of_another_boot_or_another_pcr_is_none_and_a_damaged_one_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("log");
    assert_eq!(Log::read(&path, 13).expect("no file"), None);
    let mut log = Log { boot_id: clock::boot_id().expect("Linux"), ..log() };
    launch(&mut log, 1, UNTOUCHED);
    log.write(&path).expect("write");
    assert_eq!(Log::read(&path, 13).expect("read"), Some(log.clone()));
    assert_eq!(Log::read(&path, 14).expect("read"), None);
    Log { boot_id: "other".to_owned(), ..log }.write(&path).expect("write");
    assert_eq!(Log::read(&path, 13).expect("read"), None);
    std::fs::write(&path, "{}").expect("write");
    assert!(Log::read(&path, 13).is_err());
}
