//! [`GroupCommit`]: holds a commit back for a moment so that one fsync serves more requests.
//!
//! Clients keep several requests in flight. If each commit started as soon as the previous one finished, it would include the
//! requests that had arrived meanwhile, but miss those of the clients whose responses have just gone out. Two groups of
//! clients would alternate, each with half of the requests and an fsync of its own. A commit therefore waits until as many
//! responses are pending as the previous commit had, but only while requests keep arriving. After a futile wait the next
//! attempts are skipped, so that clients that send at their own pace are not slowed down.
//!
//! Not every commit is delayed: a client with one request in flight never waits, nor does the first request after a pause. No
//! commit waits longer than [`GATHER_MS_MAX`], because fetches and `acks=0` requests may keep the broker busy without a pause.

use crate::limits::{GATHER_MS_MAX, GATHER_SKIPS_MAX};

#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    /// A commit is held back while fewer responses are pending; 0 or 1 never hold back.
    wanted: usize,
    /// Start of the current wait.
    begun_ms: i64,
    /// Commits that start at once before the next attempt to hold one back.
    skips: u32,
    /// Value of `skips` after the next futile attempt; doubles with each.
    next_skips: u32,
}

impl GroupCommit {
    /// A commit has finished; `due` responses were pending on it or already on the next one.
    pub fn begin(&mut self, now_ms: i64, due: usize) {
        self.begun_ms = now_ms;
        self.wanted = if self.skips == 0 { due } else { 0 };
        self.skips = self.skips.saturating_sub(1);
    }

    /// Whether to hold back the next commit while `due` responses are pending. Commits with no pending acknowledgement are
    /// never delayed.
    pub fn is_waiting(&self, due: usize) -> bool {
        (1..self.wanted).contains(&due)
    }

    /// Whether more requests are expected, so that a pause in the inbox ends the wait.
    pub fn is_expecting(&self) -> bool {
        self.wanted > 1
    }

    /// Whether the wait has reached its cap.
    pub fn is_late(&self, now_ms: i64) -> bool {
        self.is_expecting() && now_ms.saturating_sub(self.begun_ms) >= GATHER_MS_MAX
    }

    /// Ends the wait without the expected requests. The wait was futile if less than half of them arrived.
    pub fn give_up(&mut self, due: usize) {
        if self.is_expecting() && due < self.wanted.div_ceil(2) {
            self.skips = self.next_skips;
            self.next_skips = (self.next_skips * 2 + 1).min(GATHER_SKIPS_MAX);
        }
        self.wanted = 0;
    }

    /// The next commit starts with all expected requests.
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
    fn a_commit_waits_for_the_clients_of_the_previous_one() {
        let mut group_commit = GroupCommit::default();
        assert!(!group_commit.is_waiting(1), "nothing is known yet");
        group_commit.begin(100, 5);
        assert!(group_commit.is_waiting(2), "three are yet to come back");
        assert!(group_commit.is_waiting(4));
        assert!(!group_commit.is_waiting(5));
        group_commit.end();
        group_commit.begin(100, 1);
        assert!(
            !group_commit.is_expecting() && !group_commit.is_waiting(1),
            "a client that sends one at a time never waits"
        );
        group_commit.begin(100, 5);
        assert!(!group_commit.is_late(100 + GATHER_MS_MAX - 1) && group_commit.is_late(100 + GATHER_MS_MAX));
        assert!(
            !group_commit.is_waiting(0),
            "commits with no pending acknowledgement are never delayed"
        );
        group_commit.give_up(0);
        assert!(!group_commit.is_waiting(1), "no commit waits after a pause");
    }

    #[test]
    fn futile_waits_are_skipped_for_longer_and_longer() {
        let mut group_commit = GroupCommit::default();
        let mut tries = Vec::new();
        for commit in 0..300 {
            group_commit.begin(commit, 3);
            if group_commit.is_waiting(1) {
                tries.push(commit);
                group_commit.give_up(1);
            }
            group_commit.end();
        }
        assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 127, 192, 257]);
        while !group_commit.is_waiting(1) {
            group_commit.end();
            group_commit.begin(0, 3);
        }
        group_commit.end();
        for _ in 0..10 {
            group_commit.begin(0, 3);
            assert!(group_commit.is_waiting(1), "a successful wait resets the skips");
            group_commit.give_up(2);
        }
    }
}
