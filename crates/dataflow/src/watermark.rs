//! Watermarks at a source: per split, merged, with idleness and alignment, by Flink's rules.
//!
//! - A split's watermark is the highest that was observed of its rows; it never regresses.
//! - The source's watermark is the minimum over the splits that are not idle; it never regresses.
//! - It is emitted every `interval_ms` of wall-clock time, or at once if the interval is 0.
//! - A split without rows for `idle_timeout_ms` is idle until its next row; if all are, the source is idle.
//! - A new split holds back the source until its first row; a finished one does not any more.
//! - A split that is too far ahead of the sources of its [alignment](crate::alignment) group waits, and is not idle
//!   meanwhile.
//!
//! Merging between operators is another matter, see [`crate::valve`].

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::Watermark;

use crate::alignment::AlignmentMember;

/// The watermarks of the splits of one source instance. `K` identifies a split.
#[derive(Debug)]
pub struct SplitWatermarks<K> {
    interval_ms: i64,
    idle_timeout_ms: i64,
    splits: BTreeMap<K, Split>,
    emitted: Watermark,
    next_emission_ms: i64,
    alignment: Option<AlignmentMember>,
}

#[derive(Clone, Copy, Debug)]
struct Split {
    watermark: Watermark,
    last_row_ms: i64,
    idle: bool,
}

impl<K: Ord + Clone> SplitWatermarks<K> {
    /// `interval_ms` 0 emits at once; with `idle_timeout_ms` 0, splits are never idle.
    pub fn new(interval_ms: i64, idle_timeout_ms: i64) -> Self {
        Self {
            interval_ms,
            idle_timeout_ms,
            splits: BTreeMap::new(),
            emitted: Watermark::MIN,
            next_emission_ms: i64::MIN,
            alignment: None,
        }
    }

    /// Aligns the source with the others of its group.
    pub fn aligned(mut self, member: Option<AlignmentMember>) -> Self {
        self.alignment = member;
        self
    }

    /// Adds a split with its watermark from a checkpoint, or [`Watermark::MIN`].
    pub fn add_split(&mut self, split: K, watermark: Watermark, now_ms: i64) {
        self.splits.insert(
            split,
            Split {
                watermark,
                last_row_ms: now_ms,
                idle: false,
            },
        );
    }

    /// A split was read to its end, or belongs to another instance now.
    pub fn remove_split(&mut self, split: &K) {
        self.splits.remove(split);
        if let Some(member) = self.alignment.as_mut().filter(|_| self.splits.is_empty()) {
            // The source may not be asked any more.
            member.report(Watermark::MAX);
        }
    }

    /// Rows of a split were read; `highest` is the highest watermark that they say, if any says one.
    pub fn observe(&mut self, split: &K, highest: Option<i64>, now_ms: i64) {
        let Some(split) = self.splits.get_mut(split) else {
            debug_assert!(false, "rows of a split that was not added");
            return;
        };
        split.last_row_ms = now_ms;
        split.idle = false;
        if let Some(highest) = highest {
            split.watermark = split.watermark.max(Watermark(highest));
        }
    }

    /// The watermark to emit now, if one is due and moved.
    pub fn next(&mut self, now_ms: i64) -> Option<Watermark> {
        self.find_idle(now_ms);
        if self.interval_ms > 0 {
            if now_ms < self.next_emission_ms {
                return None;
            }
            self.next_emission_ms = now_ms.saturating_add(self.interval_ms);
        }
        let minimum = self.minimum()?;
        (minimum > self.emitted).then(|| {
            self.emitted = minimum;
            minimum
        })
    }

    fn find_idle(&mut self, now_ms: i64) {
        if self.idle_timeout_ms <= 0 {
            return;
        }
        let timeout = self.idle_timeout_ms;
        for split in self.splits.values_mut() {
            split.idle = now_ms.saturating_sub(split.last_row_ms) >= timeout;
        }
    }

    fn minimum(&self) -> Option<Watermark> {
        self.splits
            .values()
            .filter(|s| !s.idle)
            .map(|s| s.watermark)
            .min()
    }

    /// The number of splits.
    pub fn len(&self) -> usize {
        self.splits.len()
    }

    pub fn is_empty(&self) -> bool {
        self.splits.is_empty()
    }

    /// Whether no split takes part: the source must not hold back others. True without splits.
    pub fn is_idle(&self) -> bool {
        self.splits.values().all(|s| s.idle)
    }

    /// When `next` can have something new without further rows.
    pub fn deadline_ms(&self) -> Option<i64> {
        let unsent = self.minimum().is_some_and(|minimum| minimum > self.emitted);
        let emission = unsent.then_some(self.next_emission_ms);
        let timeouts = self
            .splits
            .values()
            .filter(|s| !s.idle && self.idle_timeout_ms > 0);
        let idleness = timeouts
            .map(|s| s.last_row_ms.saturating_add(self.idle_timeout_ms))
            .min();
        [emission, idleness].into_iter().flatten().min()
    }

    /// Highest watermark emitted.
    pub fn emitted(&self) -> Watermark {
        self.emitted
    }

    /// The watermark of a split, for checkpoints and alignment.
    pub fn split_watermark(&self, split: &K) -> Option<Watermark> {
        self.splits.get(split).map(|s| s.watermark)
    }

    /// The split that has had no rows for longest among those with the lowest watermark, the time since its last row, and
    /// whether another split is ahead of it. `None` without a split that takes part.
    pub fn slowest(&self, now_ms: i64) -> Option<(&K, i64, bool)> {
        let taking_part = self.splits.iter().filter(|(_, split)| !split.idle);
        let (name, slowest) = taking_part.min_by_key(|(_, split)| (split.watermark, split.last_row_ms))?;
        let is_behind = self
            .splits
            .values()
            .any(|split| split.watermark > slowest.watermark);
        Some((name, now_ms.saturating_sub(slowest.last_row_ms), is_behind))
    }

    /// Tells the group how far this source is, when that is due, and gives the splits that are too far ahead of the
    /// others. They are not to be read for now, and are not idle meanwhile.
    pub fn paused(&mut self, now_ms: i64) -> BTreeSet<K> {
        let watermark = if self.is_idle() {
            Watermark::MAX
        } else {
            self.emitted
        };
        let Some(member) = &mut self.alignment else {
            return BTreeSet::new();
        };
        let limit = member.update(watermark, now_ms);
        let ahead = self
            .splits
            .iter_mut()
            .filter(|(_, split)| split.watermark > limit);
        ahead
            .map(|(name, split)| {
                split.last_row_ms = now_ms;
                name.clone()
            })
            .collect()
    }

    /// When `paused` can have something new.
    pub fn alignment_deadline_ms(&self) -> Option<i64> {
        self.alignment.as_ref().map(AlignmentMember::next_update_ms)
    }
}
