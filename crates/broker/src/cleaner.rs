//! Compaction as the broker does it: which logs, when, and how records are read and written for it.

use crate::broker::Broker;
use crate::limits::{COMPACTION_RETRY_MS, INFLATED_BYTES_MAX};
use crate::mutants::Mutant;
use bytes::Bytes;
use millstream_kafka_wire::compression::{Compressor, Decompressor};
use millstream_kafka_wire::record_batch::{HEADER_SIZE, NO_TIMESTAMP, RecordBatch, recompute_crc};
use millstream_kafka_wire::varint::read_varint;
use millstream_log::{CleanRecord, CompactionJob, CompactionRules, LogId, RecordCleaner};
use std::collections::BTreeMap;
use std::io;

/// When compaction continues.
#[derive(Debug)]
pub(crate) struct Cleaning {
    /// Earliest time of the next search for a log to compact.
    next_ms: i64,
    /// Set on shutdown: no further compactions start.
    pub is_over: bool,
    /// When the last one was.
    now_ms: i64,
    /// Logs whose compaction has failed, with the time at which it may be tried again.
    failed: BTreeMap<LogId, i64>,
}

impl Cleaning {
    pub fn new(now_ms: i64) -> Self {
        Cleaning {
            next_ms: now_ms,
            is_over: false,
            now_ms,
            failed: BTreeMap::new(),
        }
    }

    /// When the next search for a log is due.
    pub fn timer(&self) -> i64 {
        if self.is_over { i64::MAX } else { self.next_ms }
    }
}

/// Where a batch's header holds its length, and its number of records.
const LENGTH_AT: usize = 8;
const COUNT_AT: usize = 57;
/// Where it holds the greatest timestamp of its records.
const MAX_TIMESTAMP_AT: usize = 35;
/// Base offset and length, which the length does not count.
const LENGTH_PREFIX: usize = 12;

impl Broker {
    /// A due compaction, to be run as a job; at most one is in flight.
    pub fn take_compaction(&mut self, now_ms: i64) -> Option<CompactionJob> {
        if now_ms < self.cleaning.timer() {
            return None;
        }
        self.cleaning.now_ms = now_ms;
        self.cleaning.failed.retain(|_, until_ms| *until_ms > now_ms);
        let key_bytes = self.configs.long("log.cleaner.dedupe.buffer.size");
        let key_bytes_max = usize::try_from(key_bytes).unwrap_or(usize::MAX);
        let mut candidates: Vec<(LogId, CompactionRules)> = Vec::new();
        let is_enabled = self.configs.flag("log.cleaner.enable");
        for topic in self
            .topics
            .iter()
            .filter(|topic| is_enabled && topic.settings.compact)
        {
            let settings = &topic.settings;
            let rules = CompactionRules {
                min_dirty_ratio: settings.min_cleanable_ratio,
                min_lag_ms: settings.min_compaction_lag_ms,
                max_lag_ms: settings.max_compaction_lag_ms,
                delete_retention_ms: settings.delete_retention_ms,
                key_bytes_max,
            };
            candidates.extend(topic.partitions.iter().map(|log| (*log, rules)));
        }
        if let Some((log, rules)) = self.dirtiest(now_ms, &candidates) {
            let buries_living = self.breaks(Mutant::BuryLiving);
            let cleaner = || -> Box<dyn RecordCleaner> {
                Box::new(Cleaner {
                    buries_living,
                    ..Cleaner::default()
                })
            };
            if let Some(job) = self.log.compaction(now_ms, log, rules, cleaner) {
                return Some(job);
            }
        }
        self.cleaning.next_ms = now_ms.saturating_add(self.configs.long("log.cleaner.backoff.ms").max(1));
        // Compaction reads segments only.
        if candidates.iter().any(|(log, _)| self.log.has_unflushed(*log)) {
            self.log.request_checkpoint();
        }
        None
    }

    /// Picks the log that needs compaction most: first one past `max.compaction.lag.ms`, then the one with the largest
    /// dirty ratio. A log whose compaction failed backs off, so that it does not starve all others.
    fn dirtiest(
        &self,
        now_ms: i64,
        candidates: &[(LogId, CompactionRules)],
    ) -> Option<(LogId, CompactionRules)> {
        let may_try = |(log, _): &&(LogId, CompactionRules)| !self.cleaning.failed.contains_key(log);
        let cleanable = candidates.iter().filter(may_try).filter_map(|(log, rules)| {
            let cleanable = self.log.cleanable(now_ms, *log, rules)?;
            Some((cleanable.is_overdue, cleanable.dirty_ratio, *log, *rules))
        });
        let dirtiest = cleanable.reduce(|first, next| {
            if (next.0, next.1) > (first.0, first.1) {
                next
            } else {
                first
            }
        });
        dirtiest.map(|(_, _, log, rules)| (log, rules))
    }

    /// A compaction is done.
    pub fn on_compaction(&mut self, outcome: millstream_log::CompactionOutcome) {
        let log = outcome.log();
        if let Err(error) = self.log.on_compaction(outcome) {
            let until_ms = self.cleaning.now_ms.saturating_add(COMPACTION_RETRY_MS);
            self.cleaning.failed.insert(log, until_ms);
            tracing::warn!(%error, ?log, "compaction failed; it will be tried again");
        }
        self.cleaning.next_ms = 0; // look for the next log at once
        if self.log.has_garbage() {
            self.log.request_checkpoint();
        }
    }
}

/// Reads and rewrites records.
#[derive(Default)]
struct Cleaner {
    decompressor: Decompressor,
    compressor: Compressor,
    buries_living: bool,
}

impl Cleaner {
    fn open(&mut self, batch: &[u8]) -> io::Result<(RecordBatch, Bytes)> {
        let batch = RecordBatch::read(&Bytes::copy_from_slice(batch)).map_err(io::Error::other)?;
        let data = batch
            .records_data(&mut self.decompressor, INFLATED_BYTES_MAX)
            .map_err(io::Error::other)?;
        Ok((batch, data))
    }
}

impl RecordCleaner for Cleaner {
    fn visit(&mut self, batch: &[u8], visit: &mut dyn FnMut(CleanRecord<'_>)) -> io::Result<()> {
        let (batch, data) = self.open(batch)?;
        for record in batch.records(&data) {
            let record = record.map_err(io::Error::other)?;
            visit(CleanRecord {
                offset: record.offset,
                key: record.key,
                is_tombstone: record.value.is_none() || self.buries_living,
            });
        }
        Ok(())
    }

    /// Records are copied as they are: their deltas still fit, as base offset and base timestamp stay. The greatest timestamp
    /// is that of the records that are left.
    fn retain(&mut self, batch: &[u8], keep: &mut dyn FnMut(i64) -> bool) -> io::Result<Vec<u8>> {
        let (parsed, data) = self.open(batch)?;
        let places: Vec<(i64, i64)> = parsed
            .records(&data)
            .map(|record| record.map(|record| (record.offset, record.timestamp)))
            .collect::<Result<_, _>>()
            .map_err(io::Error::other)?;
        let mut records = Vec::with_capacity(data.len());
        let (mut position, mut count, mut max_timestamp) = (0, 0i32, NO_TIMESTAMP);
        for (offset, timestamp) in places {
            let start = position;
            let length = read_varint(&data, &mut position).and_then(|length| usize::try_from(length).ok());
            let end = length
                .and_then(|length| position.checked_add(length))
                .filter(|end| *end <= data.len());
            position = end.ok_or(io::ErrorKind::InvalidData)?;
            if keep(offset) {
                records.extend_from_slice(&data[start..position]);
                count += 1;
                max_timestamp = max_timestamp.max(timestamp);
            }
        }
        let mut rewritten = batch
            .get(..HEADER_SIZE)
            .ok_or(io::ErrorKind::InvalidData)?
            .to_vec();
        let codec = parsed.header.attributes.codec().map_err(io::Error::other)?;
        self.compressor
            .compress_into(codec, &records, &mut rewritten)
            .map_err(io::Error::other)?;
        let length = i32::try_from(rewritten.len() - LENGTH_PREFIX).map_err(io::Error::other)?;
        rewritten[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_be_bytes());
        rewritten[COUNT_AT..COUNT_AT + 4].copy_from_slice(&count.to_be_bytes());
        rewritten[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp.to_be_bytes());
        recompute_crc(&mut rewritten);
        Ok(rewritten)
    }
}
