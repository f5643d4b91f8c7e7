//! The hashes that are remembered of a run of entries, so that a copy can be compared: all of a short run, of a long one
//! the last ones and every second, fourth, … of the rest. How many, whoever adds says, and the memory is bounded, however long
//! the run is.

use std::collections::VecDeque;

use super::super::chain::Hash;

/// The last ones that are all remembered: what a crash may have sent twice is among them.
const RECENT: usize = 1024;
/// How many of all, and never more.
pub(super) const MOST: usize = 65_536;

/// Of the entries `first..=last`.
#[derive(Debug)]
pub(super) struct Known {
    first: u64,
    last: u64,
    /// Ends at `last`.
    recent: VecDeque<u64>,
    /// The multiples of `spacing` in the run.
    spaced: VecDeque<u64>,
    spacing: u64,
}

impl Known {
    pub(super) fn new(seq: u64, hash: &Hash) -> Self {
        let one = VecDeque::from([hash.short()]);
        Self { first: seq, last: seq, recent: one.clone(), spaced: one, spacing: 1 }
    }

    /// Whether the entry has this hash; none where that was forgotten.
    pub(super) fn is(&self, seq: u64, hash: &Hash) -> Option<bool> {
        if !(self.first..=self.last).contains(&seq) {
            return None;
        }
        let back = usize::try_from(self.last - seq).unwrap_or(usize::MAX);
        let recent = self.recent.len().checked_sub(1 + back).map(|at| self.recent[at]);
        let known = recent.or_else(|| {
            let at = seq.checked_sub(self.first_spaced()).filter(|_| seq.is_multiple_of(self.spacing))? / self.spacing;
            self.spaced.get(usize::try_from(at).ok()?).copied()
        })?;
        Some(known == hash.short())
    }

    pub(super) fn push_back(&mut self, hash: &Hash, most: usize) {
        self.last += 1;
        self.recent.push_back(hash.short());
        if self.last.is_multiple_of(self.spacing) {
            self.spaced.push_back(hash.short());
        }
        self.thin_out(most);
    }

    pub(super) fn push_front(&mut self, hash: &Hash, most: usize) {
        if self.recent.len() as u64 == self.last - self.first + 1 && self.recent.len() < RECENT.min(most) {
            self.recent.push_front(hash.short());
        }
        self.first -= 1;
        if self.first.is_multiple_of(self.spacing) {
            self.spaced.push_front(hash.short());
        }
        self.thin_out(most);
    }

    /// Forgets what is more than this, and gives its memory back.
    pub(super) fn limit(&mut self, most: usize) {
        self.thin_out(most);
        self.recent.shrink_to_fit();
        self.spaced.shrink_to_fit();
    }

    /// Adds the run that follows.
    pub(super) fn append(&mut self, mut next: Self, most: usize) {
        let spacing = self.spacing.max(next.spacing);
        self.space_out(spacing);
        next.space_out(spacing);
        self.spaced.append(&mut next.spaced);
        if next.recent.len() as u64 == next.last - next.first + 1 {
            self.recent.append(&mut next.recent);
        } else {
            self.recent = next.recent;
        }
        self.last = next.last;
        self.thin_out(most);
    }

    const fn first_spaced(&self) -> u64 {
        self.first.next_multiple_of(self.spacing)
    }

    fn thin_out(&mut self, most: usize) {
        while self.recent.len() > RECENT.min(most) {
            self.recent.pop_front();
        }
        while self.spaced.len() > most {
            self.space_out(self.spacing * 2);
        }
    }

    fn space_out(&mut self, spacing: u64) {
        while self.spacing < spacing {
            let mut seq = self.first_spaced();
            self.spacing *= 2;
            self.spaced.retain(|_| {
                seq += self.spacing / 2;
                (seq - self.spacing / 2).is_multiple_of(self.spacing)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(seq: u64) -> Hash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seq.to_be_bytes());
        Hash::new(bytes)
    }

    fn run(from: u64, to: u64) -> Known {
        let mut known = Known::new(from, &hash(from));
        (from + 1..=to).for_each(|seq| known.push_back(&hash(seq), MOST));
        known
    }

    /// Every answer is right, and how many there are.
    fn checked(known: &Known, from: u64, to: u64) -> u64 {
        assert_eq!((known.is(from - 1, &hash(0)), known.is(to + 1, &hash(0))), (None, None));
        let answer = |seq: &u64| match (known.is(*seq, &hash(*seq)), known.is(*seq, &hash(1))) {
            (Some(true), Some(false)) => true,
            (None, None) => false,
            other => panic!("{seq}: {other:?}"),
        };
        (from..=to).filter(answer).count() as u64
    }

    #[test]
    fn short_runs_are_known_whole_whatever_they_are_made_of() {
        let mut known = run(1000, 2000);
        (7..1000).rev().for_each(|seq| known.push_front(&hash(seq), MOST));
        assert_eq!(checked(&known, 7, 2000), 1994);
        known.append(run(2001, 5000), MOST);
        assert_eq!(checked(&known, 7, 5000), 4994);
    }

    #[test]
    fn long_runs_are_known_in_part_and_take_no_more_memory() {
        let mut known = run(5, 200_000);
        assert!(known.spaced.len() <= MOST && known.recent.len() <= RECENT);
        assert!(checked(&known, 5, 200_000) > 40_000);
        known.append(run(200_001, 200_010), MOST);
        assert_eq!(known.is(200_003, &hash(200_003)), Some(true));
        let mut short = run(3, 4);
        short.append(known, MOST);
        assert!(checked(&short, 3, 200_010) > 40_000);
    }

    #[test]
    fn what_has_to_make_room_still_answers_right_and_grows_no_more() {
        let mut known = run(5, 100_000);
        known.limit(256);
        assert!(known.spaced.capacity() <= 256 && known.recent.capacity() <= 256);
        assert!(checked(&known, 5, 100_000) > 256);
        (100_001..=120_000).for_each(|seq| known.push_back(&hash(seq), 256));
        (1..5).rev().for_each(|seq| known.push_front(&hash(seq), 256));
        known.append(run(120_001, 130_000), 256);
        assert!(known.spaced.len() <= 256 && known.recent.len() <= 256);
        assert!(checked(&known, 1, 130_000) > 256);
        assert_eq!(known.is(130_000, &hash(130_000)), Some(true));
    }
}
