//! Compaction of batches with one record each, whose key is their timestamp.

use crate::driver::{Driver, Produce};
use millstream_log::*;
use millstream_testkit::storage::{Fault, Operation};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};

/// Takes a batch for one record.
pub struct Single;

impl RecordCleaner for Single {
    fn visit(&mut self, batch: &[u8], visit: &mut dyn FnMut(CleanRecord<'_>)) -> io::Result<()> {
        visit(CleanRecord {
            offset: BatchHeader::parse(batch).map_err(io::Error::other)?.base_offset,
            key: batch.get(27..35),
            is_tombstone: false,
        });
        Ok(())
    }
    fn retain(&mut self, batch: &[u8], _: &mut dyn FnMut(i64) -> bool) -> io::Result<Vec<u8>> {
        Ok(batch.to_vec()) // of more records, which are taken for one
    }
}

pub const RULES: CompactionRules = CompactionRules {
    min_dirty_ratio: 0.0,
    min_lag_ms: 0,
    max_lag_ms: i64::MAX,
    delete_retention_ms: 1000,
    key_bytes_max: 1 << 20,
};

/// A log with keys in closed segments, one row each.
pub fn compacted(rows: &[&[i64]]) -> (Driver, LogId) {
    let mut driver = Driver::fresh();
    let log = driver.create();
    for row in rows {
        for key in *row {
            driver.append(log, keyed(*key));
        }
        driver.next_segment(log);
    }
    (driver, log)
}

fn keyed(key: i64) -> Produce {
    Produce {
        timestamp: key,
        fill: 3000,
        ..Produce::default()
    }
}

impl Driver {
    /// Moves everything into segments; what comes after it goes to a new one.
    fn next_segment(&mut self, log: LogId) {
        let settings = LogSettings {
            segment_ms: 1,
            delete: false,
            ..LogSettings::default()
        };
        self.log.set_settings(log, settings);
        self.checkpoint();
        self.now += 1;
    }

    fn compaction(&mut self, log: LogId, rules: CompactionRules) -> Option<CompactionJob> {
        self.log.compaction(self.now, log, rules, || Box::new(Single))
    }

    pub fn compact(&mut self, log: LogId) {
        let job = self.compaction(log, RULES).expect("there is something to clean");
        self.log.on_compaction(job.run()).unwrap();
    }

    /// Offsets and keys.
    fn keys(&mut self, log: LogId) -> Vec<(i64, i64)> {
        let key = |body: &[u8]| i64::from_be_bytes(body[11..19].try_into().unwrap());
        let batches = self.read_all(log, 1 << 20);
        batches
            .into_iter()
            .map(|(base, body)| (base, key(&body)))
            .collect()
    }

    fn paths(&self) -> BTreeSet<String> {
        let paths = self.storage.files().into_iter().map(|(path, _)| path);
        paths.filter(|path| path.starts_with("logs/")).collect()
    }
}

/// What a reader of committed data sees: it drops what the list of aborted transactions names until the
/// marker comes, as Kafka's clients do.
fn committed(log: &Log, read: Read) -> Vec<i64> {
    let mut aborted = read.aborted.clone().unwrap();
    let (mut all, mut hidden, mut seen) = (log.contiguous(read.chunks), BTreeSet::new(), Vec::new());
    while !all.is_empty() {
        let batch = all.split_to(BatchHeader::parse(&all).unwrap().size());
        let header = BatchHeader::check(&batch).unwrap();
        if header.is_control() {
            if BatchHeader::control_type(&batch) == Some(ControlType::Abort) {
                hidden.remove(&header.producer_id);
            }
            continue;
        }
        aborted.retain(|each| {
            let begins = each.first_offset <= header.last_offset();
            if begins {
                hidden.insert(each.producer_id);
            }
            !begins
        });
        if !hidden.contains(&header.producer_id) {
            seen.push(header.base_offset);
        }
    }
    seen
}

const ALL: ReadLimit = ReadLimit {
    max_bytes: 1 << 20,
    at_least_one: true,
};

fn transactional(sequence: i32, key: i64) -> Produce {
    Produce {
        producer: Some((7, 0, sequence)),
        transactional: true,
        ..keyed(key)
    }
}

/// Producer 7 aborts keys 0 and 1, then commits 2 and 3.
fn aborted_then_committed() -> (Driver, LogId) {
    let mut driver = Driver::fresh();
    let log = driver.create();
    (0..2).for_each(|nth| _ = driver.append(log, transactional(nth, i64::from(nth))));
    driver.end_transaction(log, 7, ControlType::Abort);
    driver.next_segment(log);
    (2..4).for_each(|nth| _ = driver.append(log, transactional(nth, i64::from(nth))));
    driver.end_transaction(log, 7, ControlType::Commit);
    driver.append(log, keyed(9));
    driver.next_segment(log);
    (driver, log)
}

/// Cleans the log again, after the time that markers are kept for.
fn compact_later(driver: &mut Driver, log: LogId) {
    driver.now += 2000;
    driver.append(log, keyed(9));
    driver.next_segment(log);
    driver.compact(log);
    driver.checkpoint();
}

#[test]
fn an_aborted_transaction_is_forgotten_with_its_marker() {
    let (mut driver, log) = aborted_then_committed();
    driver.append(log, keyed(9));
    driver.next_segment(log);
    driver.compact(log);
    driver.checkpoint();
    assert_eq!(driver.log.producers(log).unwrap().aborted_in(0, 100).len(), 1);
    for round in 0..3 {
        let mut seen = Vec::new();
        let mut offset = 0;
        while seen.len() < 2 {
            let read = driver
                .log
                .read(log, offset, ALL, Isolation::ReadCommitted)
                .unwrap();
            assert!(
                read.next_offset > offset,
                "round {round}: nothing follows {seen:?}"
            );
            offset = read.next_offset;
            seen.extend(committed(&driver.log, read));
        }
        assert_eq!(seen[..2], [3, 4], "round {round}");
        if round == 0 {
            compact_later(&mut driver, log);
            assert_eq!(driver.log.producers(log).unwrap().aborted_in(0, 100), []);
            let first = driver.keys(log)[0];
            assert_eq!(first, (3, 2), "the marker is gone");
        } else {
            driver = driver.reopened();
        }
    }
}

#[test]
fn a_read_of_what_was_aborted_is_repeated_when_compaction_has_forgotten_it() {
    let (mut driver, log) = aborted_then_committed();
    let planned = driver
        .log
        .plan_read(log, 0, ALL, Isolation::ReadCommitted)
        .unwrap();
    let PlannedRead::Segments(job) = planned else {
        panic!("it is in memory");
    };
    let read = job.run();
    driver.append(log, keyed(9));
    driver.next_segment(log);
    driver.compact(log);
    compact_later(&mut driver, log);
    assert_eq!(driver.log.producers(log).unwrap().aborted_in(0, 100), []);
    let read = driver.log.finish_read(read).unwrap();
    let seen = committed(&driver.log, read);
    assert_eq!(seen[..2], [3, 4]);
}

#[test]
fn a_compaction_that_fails_leaves_nothing_and_another_one_may_follow_at_once() {
    let rows: [&[i64]; 4] = [&[1, 2, 3], &[2, 3], &[1], &[5]];
    // The first segment is left empty, the others have three files each.
    let faults = [
        (Operation::Write, 7),
        (Operation::Sync, 6),
        (Operation::SyncDirectory, 1),
    ];
    let faults = faults
        .into_iter()
        .flat_map(|(operation, count)| (0..count).map(move |after| (operation, after)));
    for (operation, after) in faults {
        let (mut driver, log) = compacted(&rows);
        let before = driver.paths();
        let job = driver.compaction(log, RULES).unwrap();
        driver.storage.fail(Fault {
            operation,
            after,
            kind: ErrorKind::Other,
            torn_bytes: 0,
            sticky: false,
        });
        let outcome = job.run();
        driver.storage.heal();
        assert_eq!(driver.paths(), before, "{operation:?} {after}: nothing is left");
        driver.log.on_compaction(outcome).unwrap_err();
        assert!(!driver.log.has_garbage());

        let checkpoint = driver.begin_checkpoint();
        driver.compact(log);
        driver.log.on_checkpoint(checkpoint.run()).unwrap();
        let expected = [(3, 2), (4, 3), (5, 1), (6, 5)];
        assert_eq!(driver.keys(log), expected, "{operation:?} {after}");
        driver.checkpoint();
        let mut driver = driver.reopened();
        assert_eq!(driver.keys(log), expected, "{operation:?} {after}");
    }
}

#[test]
fn each_compaction_goes_on_where_memory_for_keys_was_short_before() {
    let rows: [&[i64]; 6] = [&[1, 2, 3], &[4, 5, 6], &[1, 4, 7], &[8, 2], &[8, 9], &[10]];
    let (mut driver, log) = compacted(&rows);
    let tight = CompactionRules {
        key_bytes_max: 1,
        ..RULES
    };
    // Each has room for one more key.
    let mut left = Vec::new();
    while let Some(job) = driver.compaction(log, tight) {
        driver.log.on_compaction(job.run()).unwrap();
        left.push(driver.keys(log).len());
        assert!(left.len() <= 14, "it does not end: {left:?}");
    }
    assert_eq!(left, [14, 14, 14, 14, 14, 14, 13, 12, 12, 12, 11, 10, 10]);
    let expected = [
        (2, 3),
        (4, 5),
        (5, 6),
        (6, 1),
        (7, 4),
        (8, 7),
        (10, 2),
        (11, 8),
        (12, 9),
        (13, 10),
    ];
    assert_eq!(driver.keys(log), expected);
    assert_eq!(driver.log.cleanable(driver.now, log, &RULES), None);
}

/// Like [`Single`], but what lies from `TOMBSTONE` on deletes a key.
struct Deleting;

const TOMBSTONE: i64 = 256;

impl RecordCleaner for Deleting {
    fn visit(&mut self, batch: &[u8], visit: &mut dyn FnMut(CleanRecord<'_>)) -> io::Result<()> {
        visit(CleanRecord {
            offset: BatchHeader::parse(batch).map_err(io::Error::other)?.base_offset,
            key: batch.get(34..35),
            is_tombstone: batch[33] != 0,
        });
        Ok(())
    }
    fn retain(&mut self, batch: &[u8], _: &mut dyn FnMut(i64) -> bool) -> io::Result<Vec<u8>> {
        Ok(batch.to_vec())
    }
}

/// Also if memory for keys ends in the middle of its segment, and much time passes before its turn.
#[test]
fn a_tombstone_stays_until_what_it_deletes_has_gone() {
    let (mut driver, log) = compacted(&[&[1, 2], &[3, 4, TOMBSTONE + 1], &[9]]);
    for room in 0..4 {
        let rules = CompactionRules {
            key_bytes_max: 1 + 72 * room,
            ..RULES
        };
        let mut runs = 0;
        while let Some(job) = driver
            .log
            .compaction(driver.now, log, rules, || Box::new(Deleting))
        {
            driver.log.on_compaction(job.run()).unwrap();
            driver.now += 2 * RULES.delete_retention_ms;
            runs += 1;
            let keys: BTreeSet<i64> = driver.keys(log).into_iter().map(|(_, key)| key).collect();
            assert!(
                keys.contains(&(TOMBSTONE + 1)) || !keys.contains(&1),
                "room {room}, run {runs}: {keys:?}"
            );
        }
        assert!(runs > 0);
        driver.append(log, keyed(10));
        driver.next_segment(log);
        driver.checkpoint();
    }
    let left: BTreeSet<i64> = driver.keys(log).into_iter().map(|(_, key)| key).collect();
    assert_eq!(
        left,
        BTreeSet::from([2, 3, 4, 9, 10]),
        "the tombstone went as well"
    );
}

#[test]
fn a_compaction_whose_segments_are_dropped_meanwhile_has_not_failed() {
    let (mut driver, log) = compacted(&[&[1, 2], &[1, 3], &[2], &[5]]);
    let job = driver.compaction(log, RULES).unwrap();
    driver.delete_below(log, 4);
    driver.checkpoint();
    driver.log.on_compaction(job.run()).unwrap();
    assert_eq!(driver.keys(log), [(4, 2), (5, 5)]);
    driver.compact(log);
    assert_eq!(driver.log.cleanable(driver.now, log, &RULES), None);
}

#[test]
fn of_a_log_the_share_that_is_dirty_is_told() {
    let (mut driver, log) = compacted(&[&[1, 2], &[3, 4], &[5]]);
    let cleanable = driver.log.cleanable(driver.now, log, &RULES).unwrap();
    assert_eq!((cleanable.is_overdue, cleanable.dirty_ratio), (false, 1.0));
    driver.compact(log);
    assert_eq!(driver.log.cleanable(driver.now, log, &RULES), None);
    driver.append(log, keyed(6));
    driver.next_segment(log);
    let cleanable = driver.log.cleanable(driver.now, log, &RULES).unwrap();
    assert_eq!((cleanable.is_overdue, cleanable.dirty_ratio), (false, 0.2));
    let rules = CompactionRules {
        max_lag_ms: 0,
        min_dirty_ratio: 1.0,
        ..RULES
    };
    assert!(driver.log.cleanable(driver.now, log, &rules).unwrap().is_overdue);
    let id = driver.log.next_log_id();
    assert_eq!(driver.log.cleanable(driver.now, id, &RULES), None);
}

#[test]
fn what_a_compaction_wrote_while_the_log_ended_is_removed_by_the_next_start() {
    let (mut driver, log) = compacted(&[&[1, 2], &[1, 3], &[9]]);
    let before = driver.paths();
    let job = driver
        .compaction(log, RULES)
        .expect("there is something to clean");
    driver.checkpoint();
    drop(job.run());
    assert!(driver.paths().len() > before.len(), "{:?}", driver.paths());
    let mut driver = driver.reopened();
    assert_eq!(driver.paths(), before);
    assert_eq!(driver.keys(log).len(), 5);
}
