//! Logs whose segments are damaged, and what ends that.

use crate::compaction::compacted;
use crate::driver::{Driver, Produce, small};
use millstream_log::*;
use millstream_testkit::storage::Survive;
use millstream_types::storage::{OpenMode, Storage};

/// The first segment of the first log.
const FIRST: &str = "logs/0000000000/00000000000000000000-0.log";

fn transactional(sequence: i32) -> Produce {
    Produce {
        producer: Some((7, 0, sequence)),
        transactional: true,
        ..Produce::default()
    }
}

#[test]
fn a_damaged_segment_quarantines_its_log_only() {
    let mut driver = Driver::fresh();
    let (a, b) = (driver.create(), driver.create());
    driver.append(a, Produce::default());
    driver.append(b, transactional(0));
    driver.checkpoint();
    driver.append(b, Produce::default());
    driver.commit();
    driver.storage.flip(FIRST, 70, 1).unwrap();
    driver.storage.kill();
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    let limit = ReadLimit {
        max_bytes: 1,
        at_least_one: true,
    };
    assert!(matches!(
        driver.log.read(a, 0, limit, Isolation::ReadUncommitted),
        Err(LogError::Quarantined { .. })
    ));
    assert_eq!(driver.read_all(b, 1).len(), 2);
    driver.checkpoint();
    drop(driver.log);
    let driver = Driver::open(&driver.storage, small()).unwrap();
    assert!(
        driver.log.quarantine_reason(a).is_some(),
        "the quarantine is kept"
    );
}

#[test]
fn a_quarantine_ends_when_the_segment_is_restored() {
    for (is_clean, is_missing) in [(false, false), (true, false), (false, true)] {
        let mut driver = Driver::fresh();
        let log = driver.create();
        (0..5).for_each(|_| _ = driver.append(log, Produce::default()));
        driver.checkpoint();
        driver.append(log, Produce::default());
        driver.commit();
        let expected = driver.read_all(log, 1 << 20);
        let sound = driver.storage.read(FIRST).unwrap();
        if is_missing {
            driver.storage.remove(FIRST).unwrap()
        } else {
            driver.storage.flip(FIRST, 30, 1).unwrap()
        }
        let mut driver = driver.reopened();
        for _ in 0..2 {
            assert!(driver.log.quarantine_reason(log).unwrap().contains(FIRST));
            driver.checkpoint();
            driver = driver.reopened();
        }
        if !is_clean {
            driver.create();
            driver.commit();
        }
        driver.storage.replace(FIRST, &sound).unwrap();
        for _ in 0..2 {
            driver = driver.reopened();
            assert_eq!(driver.log.quarantine_reason(log), None);
            assert_eq!(driver.read_all(log, 1 << 20), expected);
        }
        assert_eq!(driver.append(log, Produce::default()), 6);
        driver.checkpoint();
        assert_eq!(driver.reopened().read_all(log, 1 << 20).len(), 7);
    }
}

/// What is left of a segment need not have its last batch.
#[test]
fn a_quarantine_of_a_compacted_log_ends_as_well() {
    let (mut driver, log) = compacted(&[&[1, 2], &[2], &[3]]);
    driver.compact(log);
    driver.checkpoint();
    let last = "logs/0000000000/00000000000000000003-0.log";
    let sound = driver.storage.read(last).unwrap();
    let expected = driver.read_all(log, 1 << 20);
    assert_eq!(expected.len(), 3, "the second batch has gone");
    driver.storage.flip(last, 30, 1).unwrap();
    driver.create();
    driver.commit();
    let driver = driver.reopened();
    assert!(driver.log.quarantine_reason(log).unwrap().contains(last));
    driver.storage.replace(last, &sound).unwrap();
    let mut driver = driver.reopened();
    assert_eq!(driver.log.quarantine_reason(log), None);
    assert_eq!(driver.read_all(log, 1 << 20), expected);
}

/// The segment that gets what was in the write-ahead log when the first one was found damaged.
const SECOND: &str = "logs/0000000000/00000000000000000005-0.log";

/// A log of six batches in two segments that is quarantined, as the first one is damaged; with what that was.
fn quarantined() -> (Driver, Vec<u8>) {
    let mut driver = Driver::fresh();
    let log = driver.create();
    let batch = Produce {
        fill: 3_000,
        ..Produce::default()
    };
    (0..5).for_each(|_| _ = driver.append(log, batch));
    driver.checkpoint();
    driver.append(log, batch);
    driver.commit();
    let sound = driver.storage.read(FIRST).unwrap();
    driver.storage.flip(FIRST, sound.len() - 1, 1).unwrap();
    let mut driver = driver.reopened();
    assert!(driver.log.quarantine_reason(log).unwrap().contains(FIRST));
    driver.checkpoint();
    (driver, sound)
}

/// The log of [`quarantined`].
const LOG: LogId = LogId(0);

/// Opens a directory after an end that was clean or not.
fn ended(mut driver: Driver, is_clean: bool) -> Driver {
    driver.checkpoint();
    if !is_clean {
        driver.create();
        driver.commit();
    }
    driver.reopened()
}

#[test]
fn a_quarantine_ends_when_all_segments_are_sound() {
    for (is_clean, is_missing) in [(true, true), (true, false), (false, true), (false, false)] {
        let (driver, first) = quarantined();
        let second = driver.storage.read(SECOND).unwrap();
        if is_missing {
            driver.storage.remove(SECOND).unwrap()
        } else {
            driver.storage.flip(SECOND, 30, 1).unwrap()
        }
        let mut driver = ended(driver, is_clean);
        let reason = driver.log.quarantine_reason(LOG).unwrap();
        assert!(reason.contains(FIRST), "{reason}");
        driver.storage.replace(FIRST, &first).unwrap();
        for _ in 0..2 {
            driver = ended(driver, is_clean);
            let reason = driver.log.quarantine_reason(LOG).unwrap();
            assert!(reason.contains(SECOND), "{reason}");
        }
        driver.storage.replace(SECOND, &second).unwrap();
        for offset in 6..8 {
            driver = ended(driver, is_clean);
            assert_eq!(driver.log.quarantine_reason(LOG), None);
            assert_eq!(driver.read_all(LOG, 1 << 20).len() as i64, offset);
            assert_eq!(driver.append(LOG, Produce::default()), offset);
        }
    }
}

#[test]
fn what_ends_a_quarantine_is_durable() {
    let (driver, first) = quarantined();
    let indexes = [".index", ".timeindex"].map(|suffix| FIRST.replace(".log", suffix));
    let contents = |driver: &Driver| indexes.clone().map(|path| driver.storage.read(&path).unwrap());
    let expected = contents(&driver);
    assert!(expected.iter().all(|content| !content.is_empty()));
    for path in &indexes {
        driver.storage.remove(path).unwrap();
    }
    let file = driver.storage.open(FIRST, OpenMode::Write).unwrap();
    file.write_at(&first, 0).unwrap();
    let mut driver = driver.reopened();
    assert_eq!(driver.log.quarantine_reason(LOG), None);
    driver.checkpoint();
    driver.storage.crash(Survive::Nothing);
    assert_eq!(contents(&driver), expected);
    assert!(driver.storage.read(FIRST).unwrap() == first);
}

#[test]
fn a_quarantine_ends_when_what_is_damaged_is_deleted() {
    for (start, is_clean) in [(5, true), (5, false), (6, true), (6, false)] {
        let (mut driver, _) = quarantined();
        driver.delete_below(LOG, start);
        let mut driver = ended(driver, is_clean);
        assert!(!driver.storage.exists(FIRST).unwrap());
        assert_eq!(driver.log.quarantine_reason(LOG), None, "{start}, {is_clean}");
        assert_eq!(driver.read_all(LOG, 1 << 20).len() as i64, 6 - start);
        assert_eq!(driver.append(LOG, Produce::default()), 6);
        let mut driver = ended(driver, is_clean);
        assert_eq!(driver.read_all(LOG, 1 << 20).len() as i64, 7 - start);
    }
}

/// What readers of committed records go by: the last stable offset, and the aborted transactions by their first and last
/// offsets.
fn committed(driver: &Driver, log: LogId) -> (i64, Vec<(i64, i64)>) {
    let aborted = driver.log.producers(log).unwrap().aborted_in(0, i64::MAX);
    let places = aborted.iter().map(|each| (each.first_offset, each.last_offset));
    (driver.log.offsets(log).unwrap().last_stable, places.collect())
}

#[test]
fn a_transaction_that_ends_during_a_quarantine_has_ended_when_that_does() {
    for (control, is_flushed) in [
        (ControlType::Abort, true),
        (ControlType::Abort, false),
        (ControlType::Commit, true),
        (ControlType::Commit, false),
    ] {
        let mut driver = Driver::fresh();
        let log = driver.create();
        driver.append(log, transactional(0));
        driver.checkpoint();
        let sound = driver.storage.read(FIRST).unwrap();
        driver.storage.flip(FIRST, 70, 1).unwrap();
        driver.create();
        driver.commit();
        let mut driver = driver.reopened();
        let batch = transactional(1).encode();
        let refused = Record {
            entries: vec![Entry::Batch { log, batch }],
        };
        let refused = driver.log.append_record(driver.now, &refused);
        assert!(
            matches!(refused, Err(LogError::Quarantined { .. })),
            "{refused:?}"
        );
        assert_eq!(driver.end_transaction(log, 7, control), 1);
        driver.commit();
        for _ in 0..2 {
            if is_flushed {
                driver.checkpoint();
            }
            driver = driver.reopened();
            assert!(driver.log.quarantine_reason(log).unwrap().contains(FIRST));
        }
        driver.storage.replace(FIRST, &sound).unwrap();
        let mut driver = driver.reopened();
        let mut expected = vec![(0, 1)];
        expected.retain(|_| control == ControlType::Abort);
        assert_eq!(committed(&driver, log), (2, expected.clone()), "{is_flushed}");
        assert_eq!(driver.read_all(log, 1 << 20).len(), 2);

        driver.append(log, transactional(1));
        driver.end_transaction(log, 7, ControlType::Abort);
        driver.commit();
        expected.push((2, 3));
        assert_eq!(committed(&driver, log), (4, expected), "{is_flushed}");
    }
}
