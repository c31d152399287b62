//! Sources of a job that wait for each other, so that none is further ahead in event time than the operators behind can
//! hold (`scan.watermark.alignment.group`, `WatermarkStrategy.withWatermarkAlignment`).
//!
//! A member tells its group its watermark at an interval, and learns how far it may read: the watermark of the slowest
//! member, and the drift that it is allowed. Members are the instances of sources; one that is dropped leaves its group,
//! so a restart begins with an empty one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_types::Watermark;

/// The groups of a job, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AlignmentGroups(Arc<Mutex<BTreeMap<String, Group>>>);

/// Watermarks of the members of a group, by their number.
#[derive(Clone, Debug, Default)]
struct Group(Arc<Mutex<Members>>);

#[derive(Debug, Default)]
struct Members {
    watermarks: BTreeMap<u64, Watermark>,
    next: u64,
}

/// How a source is aligned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlignmentSettings {
    pub group: String,
    /// How far the source may be ahead of the slowest of its group.
    pub max_drift_ms: i64,
    /// Time between two looks at the group.
    pub update_interval_ms: i64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AlignmentGroups {
    /// Adds a source to its group. The others do not wait for it before its first watermark.
    pub fn join(&self, settings: AlignmentSettings) -> AlignmentMember {
        let group = lock(&self.0).entry(settings.group.clone()).or_default().clone();
        let number = {
            let mut members = lock(&group.0);
            members.next += 1;
            let number = members.next;
            members.watermarks.insert(number, Watermark::MIN);
            number
        };
        AlignmentMember {
            group,
            number,
            settings,
            next_update_ms: i64::MIN,
            limit: Watermark::MAX,
        }
    }
}

/// A source in its group, until it is dropped.
#[derive(Debug)]
pub struct AlignmentMember {
    group: Group,
    number: u64,
    settings: AlignmentSettings,
    next_update_ms: i64,
    limit: Watermark,
}

impl AlignmentMember {
    /// Tells the watermark of this source; an idle or finished one tells [`Watermark::MAX`].
    pub fn report(&mut self, watermark: Watermark) {
        lock(&self.group.0).watermarks.insert(self.number, watermark);
    }

    /// Once an interval, tells the watermark and looks at the group. Gives the watermark that no split should be ahead of.
    pub fn update(&mut self, watermark: Watermark, now_ms: i64) -> Watermark {
        if now_ms >= self.next_update_ms {
            self.next_update_ms = now_ms.saturating_add(self.settings.update_interval_ms);
            self.report(watermark);
            let slowest = lock(&self.group.0).watermarks.values().min().copied();
            self.limit = match slowest {
                // As in Flink, no source is held back before all members have a watermark.
                None | Some(Watermark::MIN) => Watermark::MAX,
                Some(slowest) => Watermark(slowest.0.saturating_add(self.settings.max_drift_ms)),
            };
        }
        self.limit
    }

    pub fn next_update_ms(&self) -> i64 {
        self.next_update_ms
    }
}

impl Drop for AlignmentMember {
    fn drop(&mut self) {
        lock(&self.group.0).watermarks.remove(&self.number);
    }
}
