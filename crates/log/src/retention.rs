//! Retention: segments that are too old, or beyond the size of a log.
//!
//! This module only decides. The owner appends the new start as [`Entry::StartOffset`](crate::Entry), which makes it
//! durable before the next checkpoint removes files. As in Kafka, the age is that of the greatest timestamp in a
//! segment, not of the file, unless no record has a timestamp: then it is the time of the last append, or of the first
//! check after a start. The newest segment is only dropped when all of it has expired and no batch waits to be flushed
//! behind it.

use crate::log::{Log, LogId};

/// A log and its new start offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Which log.
    pub log: LogId,
    /// Its first offset from now on.
    pub start_offset: i64,
}

impl Log {
    /// The logs that retention shortens.
    pub fn expired(&mut self, now_ms: i64) -> Vec<Expired> {
        for partition in self.partitions.values_mut() {
            partition.last_append_ms.get_or_insert(now_ms);
        }
        let mut expired = Vec::new();
        for (log, partition) in &self.partitions {
            let settings = &partition.settings;
            if !settings.delete || partition.quarantine.is_some() {
                continue;
            }
            let mut excess: i64 = match settings.retention_bytes {
                limit if limit < 0 => 0,
                limit => (self.bytes(*log) as i64).saturating_sub(limit),
            };
            let mut start = partition.start_offset;
            for (index, segment) in partition.segments.iter().enumerate() {
                let is_last = index + 1 == partition.segments.len();
                let is_idle = partition.flushed_offset == partition.next_offset;
                let time_ms = match segment.max_timestamp {
                    ..0 => partition.last_append_ms_at_most(index),
                    timestamp => timestamp,
                };
                let age = now_ms.saturating_sub(time_ms);
                let is_old = settings.retention_ms >= 0 && age > settings.retention_ms;
                let is_excess = excess >= segment.bytes as i64 && !is_last && excess > 0;
                let is_free = segment.end_offset <= partition.high_watermark;
                if !is_free || !(is_excess || is_old && (!is_last || is_idle)) {
                    break;
                }
                excess -= segment.bytes as i64;
                start = start.max(segment.end_offset);
            }
            if start > partition.start_offset {
                expired.push(Expired {
                    log: *log,
                    start_offset: start,
                });
            }
        }
        expired
    }

    /// Expires producers that have not appended since `before_ms` and have no open transaction.
    pub fn expire_producers(&mut self, before_ms: i64) {
        for partition in self.partitions.values_mut() {
            partition.producers.expire(before_ms);
        }
    }

    /// Whether files wait for a checkpoint to remove them.
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }
}
