//! Logs whose segments are damaged, and what ends that.

use crate::driver::{Driver, Produce, small};
use millstream_log::*;
use millstream_types::storage::Storage;

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
        match is_missing {
            true => driver.storage.remove(FIRST).unwrap(),
            false => driver.storage.flip(FIRST, 30, 1).unwrap(),
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
