//! What is dropped while checkpoints and reads are under way.

use crate::driver::{Driver, Produce, small};
use bytes::Bytes;
use millstream_log::*;
use millstream_testkit::storage::{MemStorage, Survive};
use millstream_types::storage::Storage;

fn batch(timestamp: i64) -> Produce {
    Produce {
        fill: 5000,
        timestamp,
        ..Produce::default()
    }
}

/// A log whose batches are all in a segment, with entries of its indexes that are not synced.
fn flushed() -> (Driver, LogId) {
    let options = LogOptions {
        checkpoint_bytes: 10_000,
        ..small()
    };
    let mut driver = Driver::open(&MemStorage::new(), options).unwrap();
    let log = driver.create();
    (0..4).for_each(|nth| _ = driver.append(log, batch(nth)));
    driver.commit();
    let job = driver.log.take_checkpoint().expect("enough has gathered");
    driver.log.on_checkpoint(job.run()).unwrap();
    (driver, log)
}

fn files_of(driver: &Driver, log: LogId) -> Vec<String> {
    let directory = format!("logs/{:010}/", log.0);
    let files = driver.storage.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.starts_with(&directory)).collect()
}

fn bodies(batches: &[i64]) -> Vec<Bytes> {
    batches
        .iter()
        .map(|nth| batch(*nth).encode().slice(16..))
        .collect()
}

fn read_all(driver: &mut Driver, log: LogId) -> Vec<Bytes> {
    let batches = driver.read_all(log, 1 << 20);
    batches.into_iter().map(|(_, body)| body).collect()
}

#[test]
fn a_segment_that_is_dropped_while_a_checkpoint_syncs_its_indexes_gets_no_more_batches() {
    for appended_first in [false, true] {
        let (mut driver, log) = flushed();
        // All that it has for the log is to sync the indexes of its segment.
        let job = driver.begin_checkpoint();
        driver.delete_below(log, 4);
        driver.commit();
        if appended_first {
            driver.append(log, batch(4));
            driver.commit();
        }
        driver.log.on_checkpoint(job.run()).unwrap();
        if !appended_first {
            driver.append(log, batch(4));
        }
        driver.checkpoint();
        assert_eq!(read_all(&mut driver, log), bodies(&[4]), "{appended_first}");
        assert_eq!(files_of(&driver, log).len(), 3, "{:?}", files_of(&driver, log));
        driver.append(log, batch(5));
        driver.checkpoint();
        let mut driver = driver.reopened();
        assert_eq!(driver.log.quarantine_reason(log), None);
        assert_eq!(read_all(&mut driver, log), bodies(&[4, 5]), "{appended_first}");
    }
}

#[test]
fn nothing_is_written_to_a_dropped_segment_if_no_batch_came_before_the_next_checkpoint() {
    let (mut driver, log) = flushed();
    let job = driver.begin_checkpoint();
    driver.delete_below(log, 4);
    driver.commit();
    driver.log.on_checkpoint(job.run()).unwrap();
    driver.checkpoint();
    assert_eq!(files_of(&driver, log), [""; 0]);
    driver.append(log, batch(4));
    driver.checkpoint();
    let mut driver = driver.reopened();
    assert_eq!(driver.log.quarantine_reason(log), None);
    assert_eq!(read_all(&mut driver, log), bodies(&[4]));
}

#[test]
fn a_segment_that_a_checkpoint_makes_while_everything_is_dropped_goes_with_the_next() {
    let (mut driver, log) = flushed();
    let settings = LogSettings {
        segment_bytes: 10_000,
        ..LogSettings::default()
    };
    driver.log.set_settings(log, settings);
    driver.append(log, batch(4));
    let job = driver.begin_checkpoint();
    driver.delete_below(log, 5);
    driver.commit();
    driver.log.on_checkpoint(job.run()).unwrap();
    driver.checkpoint();
    assert_eq!(files_of(&driver, log), [""; 0]);
    assert_eq!(driver.append(log, batch(5)), 5);
    driver.checkpoint();
    assert_eq!(read_all(&mut driver, log), bodies(&[5]));
    let mut driver = driver.reopened();
    assert_eq!(read_all(&mut driver, log), bodies(&[5]));
}

#[test]
fn what_a_loss_of_power_brings_back_is_removed_by_the_next_start() {
    for (is_end, drops_log) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut driver, log) = flushed();
        driver.append(log, batch(4));
        driver.now += LogSettings::default().segment_ms;
        driver.append(log, batch(5));
        driver.checkpoint();
        let before = files_of(&driver, log);
        let entry = if drops_log {
            Entry::DropLog(log)
        } else {
            Entry::StartOffset { log, offset: 5 }
        };
        let record = Record { entries: vec![entry] };
        driver.log.append_record(driver.now, &record).unwrap();
        if is_end {
            driver.log.request_clean_end()
        } else {
            driver.log.request_checkpoint()
        }
        driver.commit();
        let job = driver.log.take_checkpoint().unwrap();
        driver.log.on_checkpoint(job.run()).unwrap();
        let after = files_of(&driver, log);
        assert_eq!(after.len(), if drops_log { 0 } else { 3 }, "{after:?}");

        // The write-ahead log, which would make the end unclean, does not come back.
        driver.storage.sync_directory("wal").unwrap();
        driver.storage.crash(Survive::Nothing);
        assert_eq!(files_of(&driver, log), before, "the removal was not durable");
        let driver = driver.reopened();
        assert_eq!(files_of(&driver, log), after, "{is_end} {drops_log}");
    }
}

#[test]
fn a_read_that_the_start_has_passed_is_out_of_range() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    for sequence in 0..3 {
        let produce = Produce {
            producer: Some((7, 0, sequence)),
            transactional: true,
            ..batch(0)
        };
        driver.append(log, produce);
    }
    driver.end_transaction(log, 7, ControlType::Abort);
    driver.append(log, batch(9));
    driver.checkpoint();
    driver.commit();
    let limit = ReadLimit {
        max_bytes: 1 << 20,
        at_least_one: true,
    };
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        let (offset, start) = match isolation {
            Isolation::ReadCommitted => (1, 4),
            Isolation::ReadUncommitted => (4, 5),
        };
        let planned = driver.log.plan_read(log, offset, limit, isolation).unwrap();
        let PlannedRead::Segments(job) = planned else {
            panic!("it is in memory");
        };
        driver.delete_below(log, start);
        driver.commit();
        // The files are there until the next checkpoint, so the job reads its original input.
        let read = driver.log.finish_read(job.run());
        assert!(
            matches!(read, Err(LogError::OffsetOutOfRange { start: at, .. }) if at == start),
            "{read:?}"
        );
    }
}

#[test]
fn the_last_stable_offset_is_not_below_the_start() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    for sequence in 0..3 {
        let produce = Produce {
            producer: Some((7, 0, sequence)),
            transactional: true,
            ..batch(0)
        };
        driver.append(log, produce);
    }
    driver.commit();
    assert_eq!(driver.log.offsets(log).unwrap().last_stable, 0);
    driver.delete_below(log, 2);
    for _ in 0..2 {
        driver.commit();
        let offsets = driver.log.offsets(log).unwrap();
        assert_eq!(
            (offsets.start, offsets.last_stable, offsets.high_watermark),
            (2, 2, 3)
        );
        driver = driver.reopened();
    }
    driver.end_transaction(log, 7, ControlType::Commit);
    assert_eq!(driver.log.offsets(log).unwrap().last_stable, 2);
    driver.commit();
    assert_eq!(driver.log.offsets(log).unwrap().last_stable, 4);
}

#[test]
fn segments_without_timestamps_expire_by_when_they_were_written() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.now = 10_000_000;
    let settings = LogSettings {
        segment_bytes: 12_000,
        segment_ms: 50_000,
        retention_ms: 100_000,
        ..LogSettings::default()
    };
    driver.log.set_settings(log, settings);
    for appends in [2, 1, 1] {
        (0..appends).for_each(|_| _ = driver.append(log, batch(-1)));
        driver.checkpoint();
        driver.now += 40_000;
    }
    // The segments begin at 10,000,000 and 10,040,000 ms; the last append came at 10,080,000 ms.
    for (now, start) in [
        (10_000_000, None),
        (10_140_000, None),
        (10_140_001, Some(2)),
        (10_180_000, Some(2)),
        (10_180_001, Some(4)),
    ] {
        let expired = driver.log.expired(now);
        assert_eq!(expired.first().map(|each| each.start_offset), start, "{now}");
    }
    // After a start the time of the last append is unknown.
    let mut driver = driver.reopened();
    driver.log.set_settings(log, settings);
    for (now, start) in [
        (10_190_000, Some(2)),
        (10_290_000, Some(2)),
        (10_290_001, Some(4)),
    ] {
        let expired = driver.log.expired(now);
        assert_eq!(expired.first().map(|each| each.start_offset), start, "{now}");
    }
}

#[test]
fn a_shorter_time_for_segments_does_not_make_records_without_timestamps_older() {
    const HOUR_MS: i64 = 3_600_000;
    let settings = |segment_ms| LogSettings {
        segment_ms,
        retention_ms: 72 * HOUR_MS,
        ..LogSettings::default()
    };
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.log.set_settings(log, settings(168 * HOUR_MS));
    for hours in [0, 74] {
        driver.now = hours * HOUR_MS;
        driver.append(log, batch(-1));
        driver.checkpoint();
    }
    assert_eq!(files_of(&driver, log).len(), 3, "it is one segment");
    driver.log.set_settings(log, settings(HOUR_MS));
    assert_eq!(driver.log.expired(driver.now + 60_000), []);
    let mut driver = driver.reopened();
    driver.log.set_settings(log, settings(HOUR_MS));
    assert_eq!(driver.log.expired(driver.now + 60_000), []);
}
