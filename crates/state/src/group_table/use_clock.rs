//! Which groups were looked up lately: the clock algorithm, one bit a group.

use super::NO_GROUP;
use super::live::LiveGroups;

#[derive(Debug, Default)]
pub(super) struct UseClock {
    used: Vec<u64>,
    /// The group that is looked at next.
    hand: u32,
}

impl UseClock {
    #[inline]
    pub fn mark(&mut self, groups: &[u32]) {
        for group in groups.iter().filter(|group| **group != NO_GROUP) {
            let word = *group as usize / 64;
            if word >= self.used.len() {
                self.used.resize(word + 1, 0);
            }
            self.used[word] |= 1 << (group % 64);
        }
    }

    /// Up to `count` groups: those that were not used since the hand came by, or, if there are too few, others.
    pub fn least_used(&mut self, live: &LiveGroups, count: usize) -> Vec<u32> {
        let (end, count) = (live.end() as u32, count.min(live.len()));
        let mut chosen = Vec::with_capacity(count);
        // In two rounds every bit is cleared, so that every group may be chosen in the second one.
        for _ in 0..u64::from(end) * 2 {
            if chosen.len() == count {
                break;
            }
            self.hand = if self.hand + 1 < end { self.hand + 1 } else { 0 };
            let (word, bit) = (self.hand as usize / 64, 1 << (self.hand % 64));
            match self.used.get_mut(word) {
                Some(used) if *used & bit != 0 => *used &= !bit,
                _ if live.contains(self.hand) => chosen.push(self.hand),
                _ => {}
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}
