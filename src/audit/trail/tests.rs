use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::*;

/// A journald that takes what it is asked to.
struct FakeJournald {
    folder: tempfile::TempDir,
    socket: Option<UnixDatagram>,
}

impl FakeJournald {
    fn start() -> Self {
        let mut journald = Self { folder: tempfile::tempdir().expect("folder"), socket: None };
        journald.come_back();
        journald
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn go_away(&mut self) {
        self.socket = None;
        std::fs::remove_file(self.path()).expect("remove");
    }

    fn come_back(&mut self) {
        let socket = UnixDatagram::bind(self.path()).expect("bind");
        socket.set_nonblocking(true).expect("nonblocking");
        self.socket = Some(socket);
    }

    /// What arrived: fields by name.
    fn taken(&self) -> Vec<BTreeMap<String, String>> {
        let socket = self.socket.as_ref().expect("there");
        let mut buffer = vec![0; 65_536];
        let mut all = Vec::new();
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..length]).expect("text");
            let fields = text.lines().map(|line| line.split_once('=').expect("NAME=value"));
            all.push(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        }
        all
    }
}

fn moment() -> Moment {
    Moment { boot: "b".repeat(32), monotonic: clock::monotonic_micros(), wall: clock::now_micros() }
}

fn open(journald: &FakeJournald, state: &Path, opener: Opener) -> Trail {
    Trail::open(state.to_owned(), opener, &moment(), Journal::at(journald.path()))
}

fn stopping() -> Happened {
    happened(None, &Event::Stopping, moment())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(10)
}

/// Name and number of each, in the order of arrival.
fn told(taken: &[BTreeMap<String, String>]) -> Vec<(&str, u64)> {
    taken.iter().map(|fields| (fields["CRYFTTEE_EVENT"].as_str(), fields["AUDIT_SEQ"].parse().expect("seq"))).collect()
}

fn assert_chained(taken: &[BTreeMap<String, String>]) {
    for pair in taken.windows(2) {
        assert_eq!(pair[1]["AUDIT_PREV"], pair[0]["AUDIT_HASH"], "{pair:?}");
        assert_eq!(pair[1]["AUDIT_CHAIN"], pair[0]["AUDIT_CHAIN"], "{pair:?}");
    }
}

#[test]
fn runs_go_on_where_the_last_one_closed_and_say_so() {
    let (journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    for _ in 0..2 {
        let mut trail = open(&journald, state.path(), Opener::Service);
        trail.record(&[stopping()]);
        trail.close(soon()).expect("delivered");
    }
    let taken = journald.taken();
    let expected = ["trail-opened", "stopping", "trail-closed", "trail-opened", "stopping", "trail-closed"];
    assert_eq!(told(&taken), expected.into_iter().zip(1..).collect::<Vec<_>>());
    assert_chained(&taken);
    assert_eq!((&*taken[0]["CRYFTTEE_AFTER"], &*taken[0]["CRYFTTEE_REASON"]), ("0", "there was none on this host"));
    assert_eq!((&*taken[3]["CRYFTTEE_AFTER"], &*taken[3]["CRYFTTEE_CLEAN"]), ("3", "yes"));
}

#[test]
fn a_run_that_was_killed_is_told_by_the_next_and_leaves_no_gap() {
    let (journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    let mut killed = open(&journald, state.path(), Opener::Service);
    killed.record(&[stopping()]);
    drop(killed);
    drop(open(&journald, state.path(), Opener::Service));
    let taken = journald.taken();
    assert_eq!(told(&taken), [("trail-opened", 1), ("stopping", 2), ("trail-opened", 3)]);
    assert_chained(&taken);
    assert_eq!((&*taken[2]["CRYFTTEE_CLEAN"], &*taken[2]["PRIORITY"]), ("no", "4"));
}

#[test]
fn what_was_saved_and_not_sent_when_the_process_was_killed_is_sent_by_the_next() {
    let (mut journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    journald.go_away();
    let mut killed = open(&journald, state.path(), Opener::Service);
    killed.record(&[stopping(), stopping()]);
    assert!(!killed.is_delivered());
    drop(killed);
    // Of the three steps spool, head, send, the second may be missing too.
    for with_head in [true, false] {
        if !with_head {
            let path = state.path().join("audit/head");
            let head = std::fs::read_to_string(&path).expect("head");
            let Found::Head(found) = kept_head(state.path()) else { panic!("{head}") };
            let waiting = Kept::open(state.path()).and_then(|kept| kept.waiting()).expect("spool");
            let before = Head { link: waiting[1].sealed.link, ..found };
            std::fs::write(&path, before.to_string()).expect("write");
        }
        drop(open(&journald, state.path(), Opener::Command));
    }
    journald.come_back();
    drop(open(&journald, state.path(), Opener::Command));
    let taken = journald.taken();
    assert_eq!(told(&taken), [("trail-opened", 1), ("stopping", 2), ("stopping", 3)]);
    assert_chained(&taken);
}

fn kept_head(state: &Path) -> Found {
    super::super::kept::look(state).expect("look").head
}

#[test]
fn a_journald_that_comes_back_gets_everything_in_order_and_how_late_it_is() {
    let (mut journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    let mut trail = open(&journald, state.path(), Opener::Service);
    journald.go_away();
    trail.record(&[stopping()]);
    std::thread::sleep(LATE + Duration::from_millis(50));
    trail.record(&[stopping()]);
    journald.come_back();
    trail.wake();
    let taken = journald.taken();
    assert_eq!(told(&taken), [("stopping", 2), ("stopping", 3), ("events-delayed", 4)]);
    assert_chained(&taken);
    assert_eq!((&*taken[2]["CRYFTTEE_COUNT"], &*taken[2]["CRYFTTEE_SECONDS"]), ("1", "1"));
    assert_eq!(std::fs::metadata(state.path().join("audit/spool")).expect("spool").len(), 0);
}

#[test]
fn what_does_not_fit_is_counted_and_the_count_is_an_event() {
    let (mut journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    let mut trail = open(&journald, state.path(), Opener::Service);
    journald.go_away();
    let many: Vec<Happened> = (0..3000).map(|_| stopping()).collect();
    trail.record(&many);
    // What matters more still finds room.
    trail.record(&[happened(None, &Event::Locked { reason: "x".to_owned() }, moment())]);
    let on_disk = std::fs::metadata(state.path().join("audit/spool")).expect("spool").len();
    assert!(on_disk < MOST_WAITING + 4096, "{on_disk}");
    let kept = trail.waiting.len() as u64 - 2;
    journald.come_back();
    let mut taken = Vec::new();
    for _ in 0..10_000 {
        trail.wake();
        taken.extend(journald.taken());
        if trail.is_delivered() {
            break;
        }
    }
    taken.extend(journald.taken());
    assert_chained(&taken);
    let names = told(&taken);
    assert!(names.iter().map(|(_, seq)| *seq).eq(2..names.len() as u64 + 2), "a gap");
    assert_eq!(names[names.len() - 2].0, "events-lost");
    assert_eq!(names[names.len() - 1].0, "locked");
    let lost: u64 = taken[taken.len() - 2]["CRYFTTEE_COUNT"].parse().expect("number");
    assert_eq!(kept + lost, 3000);
}

#[test]
fn two_processes_never_give_two_entries_one_number() {
    let (journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    let mut service = open(&journald, state.path(), Opener::Service);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut command = open(&journald, state.path(), Opener::Command);
                for _ in 0..40 {
                    command.record(&[stopping()]);
                    while !command.is_delivered() {
                        std::thread::yield_now();
                        command.wake();
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..40 {
                service.record(&[stopping()]);
            }
        });
        let mut taken = Vec::new();
        while taken.len() < 121 {
            taken.extend(journald.taken());
        }
        taken.sort_by_key(|fields| fields["AUDIT_SEQ"].parse::<u64>().expect("seq"));
        assert_chained(&taken);
        assert!(told(&taken).iter().map(|(_, seq)| *seq).eq(1..=121));
    });
}

#[test]
fn a_state_that_cannot_be_kept_gives_a_chain_of_its_own_that_says_why() {
    let (journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    drop(open(&journald, state.path(), Opener::Service));
    let first = journald.taken();
    let file = state.path().join("audit");
    std::fs::rename(&file, state.path().join("aside")).expect("aside");
    std::fs::write(&file, "in the way").expect("write");
    let mut trail = open(&journald, state.path(), Opener::Service);
    trail.record(&[stopping()]);
    trail.close(soon()).expect("delivered");
    let taken = journald.taken();
    assert_eq!(told(&taken), [("trail-opened", 1), ("stopping", 2), ("trail-closed", 3)]);
    assert_ne!(taken[0]["AUDIT_CHAIN"], first[0]["AUDIT_CHAIN"]);
    assert!(taken[0]["CRYFTTEE_REASON"].contains("cannot be kept: "), "{taken:?}");
    // The one on disk goes on when it can be kept again.
    std::fs::remove_file(&file).expect("remove");
    std::fs::rename(state.path().join("aside"), &file).expect("back");
    drop(open(&journald, state.path(), Opener::Service));
    let again = journald.taken();
    assert_eq!(told(&again), [("trail-opened", 2)]);
    assert_eq!(again[0]["AUDIT_CHAIN"], first[0]["AUDIT_CHAIN"]);
}

#[test]
fn a_damaged_head_begins_a_new_chain_and_is_kept_aside() {
    let (journald, state) = (FakeJournald::start(), tempfile::tempdir().expect("folder"));
    drop(open(&journald, state.path(), Opener::Service));
    let first = journald.taken();
    std::fs::write(state.path().join("audit/head"), "not a head").expect("write");
    drop(open(&journald, state.path(), Opener::Service));
    let taken = journald.taken();
    assert_eq!(told(&taken), [("trail-opened", 1)]);
    assert_ne!(taken[0]["AUDIT_CHAIN"], first[0]["AUDIT_CHAIN"]);
    assert!(taken[0]["CRYFTTEE_REASON"].contains("head.damaged"), "{taken:?}");
    assert_eq!(std::fs::read_to_string(state.path().join("audit/head.damaged")).expect("copy"), "not a head");
}
