//! Gives events their place in the chain, keeps them on disk until journald has them, and delivers them in order.
//!
//! The order of things is what a crash must not undo: an entry is in the spool and the head on the disk *before* it is
//! sent. A process that is killed between any two steps leaves an entry that the next one sends, perhaps once more,
//! byte for byte the same; never one that is missing, and never two with one number.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::chain::{ChainId, Moment, seal};
use super::event::{Event, Severity};
use super::journal::Journal;
use super::kept::{Found, Head, Kept, Run, Waiting};
use super::record::{Happened, happened};
use crate::clock;
use crate::text::one_line;

/// How much may wait for journald, in bytes: a thousand entries or more. What matters most may take twice as much.
const MOST_WAITING: u64 = 1024 * 1024;
/// What waited for longer is told: `events-delayed`.
const LATE: Duration = Duration::from_secs(1);
/// Between two tries with a journald that takes nothing.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// After this time journald has written its files to the disk: `SyncIntervalSec=` is five minutes.
const SETTLED_AFTER: Duration = Duration::from_secs(360);

/// Who opens the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    /// The service, which says so, and says when it closes it.
    Service,
    /// A command, which adds an entry or two, perhaps while the service runs.
    Command,
}

/// The trail of one process.
#[derive(Debug)]
pub(super) struct Trail {
    state_dir: PathBuf,
    /// None where the state cannot be kept: the chain is this process's own then.
    kept: Option<Kept>,
    opener: Opener,
    head: Head,
    boot: String,
    journal: Journal,
    waiting: VecDeque<Waiting>,
    /// Of the spool, as this process left it.
    spooled: u64,
    lost: u64,
    late: Late,
    settling: Option<(u64, Instant)>,
}

/// What was delivered late since it was last told.
#[derive(Debug, Default)]
struct Late {
    count: u64,
    longest: Duration,
}

impl Trail {
    /// Opens the trail, at this moment.
    pub(super) fn open(state_dir: PathBuf, opener: Opener, moment: &Moment, journal: Journal) -> Self {
        let mut trail = Self {
            state_dir,
            kept: None,
            opener,
            head: Head::new(new_chain()),
            boot: moment.boot.clone(),
            journal,
            waiting: VecDeque::new(),
            spooled: 0,
            lost: 0,
            late: Late::default(),
            settling: None,
        };
        match Kept::open(&trail.state_dir) {
            Ok(kept) => trail.with(kept, |trail, kept| trail.begin(kept, moment)),
            Err(error) => trail.break_off(&error, moment),
        }
        trail
    }

    /// Records events, and delivers what journald takes.
    pub(super) fn record(&mut self, events: &[Happened]) {
        match self.kept.take() {
            Some(kept) => self.with(kept, |trail, kept| {
                trail.refresh(kept)?;
                trail.add(kept, events, None)
            }),
            None => self.add_unkept(events),
        }
        self.tell_of_itself();
    }

    /// Tries to deliver what waits, and notes what journald must have on its disk by now.
    pub(super) fn wake(&mut self) {
        self.record(&[]);
        let Some((seq, since)) = self.settling else { return };
        if since.elapsed() < SETTLED_AFTER {
            return;
        }
        self.settling = None;
        if let Some(kept) = self.kept.take() {
            self.with(kept, |trail, kept| {
                trail.refresh(kept)?;
                trail.head.settled = seq;
                kept.save(&trail.head)
            });
        }
        self.begin_to_settle();
    }

    /// When to wake it, if nothing happens.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        if self.is_delivered() {
            return self.settling.map(|(_, since)| SETTLED_AFTER.saturating_sub(since.elapsed()));
        }
        Some(BETWEEN_TRIES)
    }

    /// Whether journald has everything.
    pub(super) fn is_delivered(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    /// Where the chain stands.
    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    /// Closes the trail, and gives journald until `deadline` to take what waits.
    ///
    /// # Errors
    /// What is not delivered, and where it is kept.
    pub(super) fn close(&mut self, deadline: Instant) -> Result<(), String> {
        if self.opener == Opener::Service {
            let closed = [self.event(&Event::TrailClosed)];
            match self.kept.take() {
                Some(kept) => self.with(kept, |trail, kept| {
                    trail.refresh(kept)?;
                    trail.add(kept, &closed, Some(Run::Shut))
                }),
                None => self.add_unkept(&closed),
            }
        }
        while !self.is_delivered() && Instant::now() < deadline {
            std::thread::sleep(BETWEEN_TRIES / 2);
            self.record(&[]);
        }
        // One that takes nothing was waited for already.
        if self.is_delivered() {
            self.journal.wait_until_read();
        }
        match (self.waiting.len(), self.lost, &self.kept) {
            (0, 0, _) => Ok(()),
            // An operator's command need not wait for journald: what is on the disk will be told.
            (_, 0, Some(_)) if self.opener == Opener::Command => Ok(()),
            (waiting, 0, Some(_)) => Err(format!("{waiting} events wait on disk for the next start")),
            (waiting, lost, Some(_)) => {
                Err(format!("{waiting} events wait on disk for the next start; {lost} are lost"))
            }
            (waiting, lost, None) => Err(format!("{} events are lost", waiting as u64 + lost)),
        }
    }

    /// Does something with the state on disk, alone. A state that fails is given up: what follows is a chain of its own,
    /// so that the one on disk is never continued twice.
    fn with(&mut self, mut kept: Kept, work: impl FnOnce(&mut Self, &mut Kept) -> io::Result<()>) {
        match kept.locked(|kept| work(self, kept)).flatten() {
            Ok(()) => self.kept = Some(kept),
            Err(error) => self.break_off(&error, &self.now()),
        }
    }

    /// Takes up the chain where the process before this one left it.
    fn begin(&mut self, kept: &mut Kept, moment: &Moment) -> io::Result<()> {
        let new = match kept.head()? {
            Found::Head(head) => {
                self.head = head;
                None
            }
            Found::Nothing => Some("there was none on this host"),
            Found::Damaged => {
                kept.put_damaged_aside()?;
                kept.cut_spool(0)?;
                Some("the head of the one before it cannot be read; a copy is in head.damaged")
            }
        };
        self.take_up(kept)?;
        let (after, settled, run) = (self.head.link.seq, self.head.settled, self.head.run);
        let clean = run == Run::Shut;
        match (self.opener, new) {
            (Opener::Command, None) => self.add(kept, &[], None),
            (Opener::Command, Some(_)) => self.add(kept, &[opened(after, clean, settled, new, moment)], Some(run)),
            (Opener::Service, _) => self.add(kept, &[opened(after, clean, settled, new, moment)], Some(Run::Open)),
        }
    }

    /// Reads the spool. What is in it and not in the head was saved by a process that was killed in between.
    fn take_up(&mut self, kept: &Kept) -> io::Result<()> {
        self.waiting = kept.waiting()?.into();
        for Waiting { sealed, .. } in &self.waiting {
            let last = self.head.link;
            if sealed.link.chain == last.chain && sealed.link.seq == last.seq + 1 {
                self.head.link = sealed.link;
            }
        }
        // Without what a crash cut short.
        let whole: u64 = self.waiting.iter().map(Waiting::on_disk).sum();
        if kept.spooled()? > whole {
            kept.cut_spool(whole)?;
        }
        self.spooled = whole;
        Ok(())
    }

    /// Another process may have added entries, or delivered those that waited.
    fn refresh(&mut self, kept: &Kept) -> io::Result<()> {
        let Found::Head(head) = kept.head()? else {
            return Err(io::Error::other("the head of the chain is not what it was"));
        };
        if head != self.head || kept.spooled()? != self.spooled {
            self.head = head;
            self.take_up(kept)?;
        }
        Ok(())
    }

    /// Seals events, saves them, and delivers what waits; `run` is what the head says of the service from then on.
    fn add(&mut self, kept: &mut Kept, events: &[Happened], run: Option<Run>) -> io::Result<()> {
        let (sealed, mut head, lost) = self.seal(events);
        if !sealed.is_empty() {
            head.run = run.unwrap_or(head.run);
            let before = kept.spooled()?;
            kept.spool(&sealed)?;
            kept.save(&head).inspect_err(|_| drop(kept.cut_spool(before)))?;
        }
        let added = !sealed.is_empty();
        (self.head, self.lost) = (head, lost);
        self.waiting.extend(sealed);
        self.deliver();
        if self.waiting.is_empty() {
            kept.cut_spool(0)?;
        } else if added {
            kept.sync_spool()?;
        }
        self.spooled = kept.spooled()?;
        Ok(())
    }

    fn add_unkept(&mut self, events: &[Happened]) {
        let (sealed, head, lost) = self.seal(events);
        (self.head, self.lost) = (head, lost);
        self.waiting.extend(sealed);
        self.deliver();
    }

    /// Goes on with a chain that nobody can continue.
    fn break_off(&mut self, error: &dyn std::error::Error, moment: &Moment) {
        self.kept = None;
        self.head = Head::new(new_chain());
        let why = format!("its state in {} cannot be kept: {}", self.state_dir.display(), one_line(error));
        self.add_unkept(&[opened(0, true, 0, Some(&why), moment)]);
    }

    /// Gives events their places, as far as there is room for them.
    fn seal(&self, events: &[Happened]) -> (Vec<Waiting>, Head, u64) {
        let (mut head, mut lost, mut sealed) = (self.head.clone(), self.lost, Vec::new());
        let mut room: u64 = self.waiting.iter().map(Waiting::on_disk).sum();
        let mut add = |event: &Happened| {
            let entry = seal(head.link, &event.moment, &event.fields);
            head.link = entry.link;
            head.boot.clone_from(&event.moment.boot);
            let waiting = Waiting { sealed: entry, since: event.moment.wall };
            let length = waiting.on_disk();
            sealed.push(waiting);
            length
        };
        for event in events {
            let most = if event.severity <= Severity::Error { 2 * MOST_WAITING } else { MOST_WAITING };
            if room >= most {
                lost += 1;
                continue;
            }
            if lost > 0 {
                room += add(&self.event(&Event::EventsLost { count: std::mem::take(&mut lost) }));
            }
            room += add(event);
        }
        (sealed, head, lost)
    }

    /// Sends as much as journald takes.
    fn deliver(&mut self) {
        while let Some(next) = self.waiting.front() {
            if self.journal.send(&next.sealed.datagram).is_err() {
                return;
            }
            let waited = Duration::from_micros(clock::now_micros().saturating_sub(next.since));
            if waited >= LATE {
                self.late.count += 1;
                self.late.longest = self.late.longest.max(waited);
            }
            self.waiting.pop_front();
        }
        self.begin_to_settle();
    }

    fn begin_to_settle(&mut self) {
        let seq = self.head.link.seq;
        if self.settling.is_none() && seq > self.head.settled {
            self.settling = Some((seq, Instant::now()));
        }
    }

    /// Once journald has everything again: what was late, and what was lost.
    fn tell_of_itself(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        let mut notes = Vec::new();
        if let count @ 1.. = std::mem::take(&mut self.lost) {
            notes.push(self.event(&Event::EventsLost { count }));
        }
        if let Late { count: count @ 1.., longest } = std::mem::take(&mut self.late) {
            notes.push(self.event(&Event::EventsDelayed { count, longest }));
        }
        if !notes.is_empty() {
            self.record(&notes);
        }
    }

    fn event(&self, event: &Event) -> Happened {
        happened(None, event, self.now())
    }

    fn now(&self) -> Moment {
        Moment { boot: self.boot.clone(), monotonic: clock::monotonic_micros(), wall: clock::now_micros() }
    }
}

fn opened(after: u64, clean: bool, settled: u64, new: Option<&str>, moment: &Moment) -> Happened {
    happened(None, &Event::TrailOpened { after, clean, settled, new: new.map(str::to_owned) }, moment.clone())
}

/// A chain needs no secret, only a name that no other one has. Without random bytes the clock has to do.
fn new_chain() -> ChainId {
    ChainId::random().unwrap_or_else(|_| {
        let now = u128::from(clock::now_micros()) << 64 | u128::from(std::process::id());
        ChainId::new(now.to_be_bytes())
    })
}

#[cfg(test)]
mod tests;
