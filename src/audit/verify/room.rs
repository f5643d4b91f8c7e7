//! How much is remembered of all chains together: memory is bounded, whatever a verification is given.

use super::known;

/// Chains that are verified at once.
pub const MOST_CHAINS: usize = 4096;
/// Users of whose entries it is told how many they sent.
pub(super) const MOST_USERS: usize = 1000;
/// Runs of all chains, beside the first of each; more than any journals have. And as many copies that are yet to be compared.
const MOST_RUNS: usize = 10_000;
/// Hashes that all runs together remember, of the entries that were last; and as many of the rest.
const HASHES: usize = 1 << 22;

/// What is taken of it.
#[derive(Debug, Default)]
pub(super) struct Room {
    chains: usize,
    runs: usize,
    copies: usize,
}

impl Room {
    /// Whether there is room for one more chain.
    pub(super) const fn take_chain(&mut self) -> bool {
        take(&mut self.chains, MOST_CHAINS)
    }

    /// Whether there is room for one more run in a chain that has some.
    pub(super) const fn take_run(&mut self) -> bool {
        take(&mut self.runs, MOST_RUNS)
    }

    /// Two runs of a chain are one.
    pub(super) const fn give_run(&mut self) {
        self.runs = self.runs.saturating_sub(1);
    }

    /// Whether there is room for one more copy that is yet to be compared.
    pub(super) const fn take_copy(&mut self) -> bool {
        take(&mut self.copies, MOST_RUNS)
    }

    /// One was compared.
    pub(super) const fn give_copy(&mut self) {
        self.copies = self.copies.saturating_sub(1);
    }

    /// How many hashes each run may remember. It changes seldom: with the powers of two.
    pub(super) fn hashes(&self) -> usize {
        (HASHES / (self.chains + self.runs).max(1).next_power_of_two()).min(known::MOST)
    }
}

const fn take(taken: &mut usize, most: usize) -> bool {
    if *taken == most {
        return false;
    }
    *taken += 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_runs_share_what_few_may_remember_and_each_remembers_some() {
        let mut room = Room::default();
        assert_eq!(room.hashes(), known::MOST);
        while room.take_chain() {
            assert!(room.hashes() * room.chains <= HASHES);
        }
        assert_eq!((room.chains, room.hashes()), (MOST_CHAINS, HASHES / MOST_CHAINS));
        while room.take_run() {}
        assert!(room.hashes() >= 256 && room.hashes() * (room.chains + room.runs) <= HASHES);
        room.give_run();
        assert!(room.take_run() && !room.take_run());
    }
}
