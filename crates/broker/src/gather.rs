//! [`Gather`]: when a commit is held back for a moment so that one sync serves more requests.
//!
//! Clients keep a number of requests under way. If a commit began as soon as the one before it is done, it would find
//! the requests that came meanwhile, and those whose answers just went out would come too late for it: two groups of
//! clients would take turns, each with half of the requests and a sync of its own. So a commit waits until as many
//! answers are due as there were before, but only while requests keep coming, and not for a while after such waiting was
//! in vain: whoever sends at its own pace must not be slowed down by it.
//!
//! What this is not: a delay of every commit. A single request at a time, and one after a pause, never waits. Nor does any
//! for long: other work (fetches, requests without acknowledgement) may keep the broker busy without a pause.

use crate::limits::{GATHER_MS_MAX, GATHER_SKIPS_MAX};

#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// A commit is held back while fewer answers are due.
    wanted: usize,
    /// When that began.
    begun_ms: i64,
    /// So many commits are let through before the next attempt.
    skips: u32,
    /// How many are after the next attempt that is in vain.
    next_skips: u32,
}

impl Gather {
    /// A commit is done; `due` answers were waiting until now, for it or already for the next one.
    pub fn begin(&mut self, now_ms: i64, due: usize) {
        self.begun_ms = now_ms;
        self.wanted = if self.skips == 0 { due } else { 0 };
        self.skips = self.skips.saturating_sub(1);
    }

    /// Whether the next commit is held back while so many answers are due. Whatever nobody waits for is not held back.
    pub fn is_waiting(&self, due: usize) -> bool {
        (1..self.wanted).contains(&due)
    }

    /// Whether a pause tells something: requests are still expected.
    pub fn is_expecting(&self) -> bool {
        self.wanted > 1
    }

    /// Whether a commit has been held back for long enough.
    pub fn is_late(&self, now_ms: i64) -> bool {
        self.is_expecting() && now_ms.saturating_sub(self.begun_ms) >= GATHER_MS_MAX
    }

    /// Not all requests came in time; it was in vain if not even half of those that were expected did.
    pub fn give_up(&mut self, due: usize) {
        if self.is_expecting() && due < self.wanted.div_ceil(2) {
            self.skips = self.next_skips;
            self.next_skips = (self.next_skips * 2 + 1).min(GATHER_SKIPS_MAX);
        }
        self.wanted = 0;
    }

    /// The next commit begins.
    pub fn end(&mut self) {
        if self.is_expecting() {
            self.next_skips = 0;
        }
        self.wanted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_those_who_were_answered() {
        let mut gather = Gather::default();
        assert!(!gather.is_waiting(1), "nothing is known yet");
        gather.begin(100, 5);
        assert!(gather.is_waiting(2), "three are yet to come back");
        assert!(gather.is_waiting(4));
        assert!(!gather.is_waiting(5));
        gather.end();
        gather.begin(100, 1);
        assert!(
            !gather.is_expecting() && !gather.is_waiting(1),
            "a client that sends one at a time never waits"
        );
        gather.begin(100, 5);
        assert!(!gather.is_late(100 + GATHER_MS_MAX - 1) && gather.is_late(100 + GATHER_MS_MAX));
        assert!(
            !gather.is_waiting(0),
            "nobody waits for what is written without acknowledgement"
        );
        gather.give_up(0);
        assert!(!gather.is_waiting(1), "after a pause nobody waits");
    }

    #[test]
    fn waiting_in_vain_is_given_up_for_longer_and_longer() {
        let mut gather = Gather::default();
        let mut tries = Vec::new();
        for commit in 0..300 {
            gather.begin(commit, 3);
            if gather.is_waiting(1) {
                tries.push(commit);
                gather.give_up(1);
            }
            gather.end();
        }
        assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 127, 192, 257]);
        while !gather.is_waiting(1) {
            gather.end();
            gather.begin(0, 3);
        }
        gather.end();
        for _ in 0..10 {
            gather.begin(0, 3);
            assert!(gather.is_waiting(1), "it was worth it once more");
            gather.give_up(2);
        }
    }
}
