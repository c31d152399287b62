//! Reading by offset and time, retention, and memory.

use crate::driver::{Driver, Produce, small};
use millstream_log::*;
use millstream_testkit::storage::MemStorage;

fn read(driver: &mut Driver, log: LogId, offset: i64, max_bytes: usize) -> Read {
    let limit = ReadLimit {
        max_bytes,
        at_least_one: true,
    };
    driver
        .log
        .read(log, offset, limit, Isolation::ReadUncommitted)
        .unwrap()
}

fn first_base(read: &Read) -> i64 {
    BatchHeader::parse(&read.chunks[0]).unwrap().base_offset
}

#[test]
fn an_offset_inside_of_a_batch_gives_the_whole_batch() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    for _ in 0..10 {
        driver.append(
            log,
            Produce {
                count: 10,
                fill: 1000,
                ..Produce::default()
            },
        );
    }
    driver.commit();
    for flushed in [false, true] {
        if flushed {
            driver.checkpoint();
        }
        for offset in 0..100 {
            let found = read(&mut driver, log, offset, 1);
            assert_eq!(
                first_base(&found),
                offset / 10 * 10,
                "flushed {flushed}, offset {offset}"
            );
            assert_eq!(found.next_offset, offset / 10 * 10 + 10);
            let many = read(&mut driver, log, offset, 2200);
            assert_eq!(many.next_offset, (offset / 10 * 10 + 20).min(100));
        }
        assert!(read(&mut driver, log, 100, 1).chunks.is_empty());
        let limit = ReadLimit {
            max_bytes: 1,
            at_least_one: false,
        };
        let nothing = driver
            .log
            .read(log, 0, limit, Isolation::ReadUncommitted)
            .unwrap();
        assert!(nothing.chunks.is_empty() && nothing.next_offset == 0);
        let beyond = driver.log.read(log, 101, limit, Isolation::ReadUncommitted);
        assert!(matches!(
            beyond,
            Err(LogError::OffsetOutOfRange {
                offset: 101,
                start: 0,
                end: 100
            })
        ));
    }
}

#[test]
fn nothing_is_readable_before_it_is_durable() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.commit();
    driver.append(log, Produce::default());
    assert!(read(&mut driver, log, 0, 1).chunks.is_empty());
    let job = driver.log.take_commit(0, Vec::new).unwrap();
    assert!(read(&mut driver, log, 0, 1).chunks.is_empty());
    let durable = driver.log.on_commit(job.run()).unwrap();
    assert_eq!(durable.logs, vec![log]);
    assert_eq!(read(&mut driver, log, 0, 1).chunks.len(), 1);
}

#[test]
fn tailing_reads_share_the_buffer_of_the_group() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(
        log,
        Produce {
            fill: 5000,
            ..Produce::default()
        },
    );
    driver.commit();
    let (one, two) = (read(&mut driver, log, 0, 1), read(&mut driver, log, 0, 1));
    assert_eq!(one.chunks[0].as_ptr(), two.chunks[0].as_ptr());
}

#[test]
fn a_time_finds_the_first_batch_that_reaches_it() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.log.set_settings(
        log,
        LogSettings {
            segment_bytes: 20_000,
            ..LogSettings::default()
        },
    );
    let times = |index: i64| if index % 7 == 3 { 5 } else { index * 10 };
    for index in 0..200 {
        driver.append(
            log,
            Produce {
                fill: 500,
                timestamp: times(index),
                ..Produce::default()
            },
        );
    }
    driver.commit();
    for flushed in [false, true] {
        if flushed {
            driver.checkpoint();
        }
        for timestamp in (0..2000).step_by(3) {
            let expected = (0..200).find(|index| times(*index) >= timestamp);
            let found = driver.log.find_by_time(log, timestamp, 0).unwrap();
            let base = found.map(|batch| BatchHeader::check(&batch).unwrap().base_offset);
            assert_eq!(base, expected, "flushed {flushed}, timestamp {timestamp}");
        }
        let greatest = driver.log.find_max_timestamp(log).unwrap().unwrap();
        let expected = (0..200).rev().max_by_key(|index| times(*index)).unwrap();
        assert_eq!(BatchHeader::check(&greatest).unwrap().base_offset, expected);
    }
}

#[test]
fn a_time_never_finds_what_lies_below_the_start() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    for index in 0..10 {
        driver.append(
            log,
            Produce {
                timestamp: 100 - index,
                ..Produce::default()
            },
        );
    }
    driver.checkpoint();
    let start = Record {
        entries: vec![Entry::StartOffset { log, offset: 4 }],
    };
    driver.log.append_record(0, &start).unwrap();
    driver.commit();
    let found = driver.log.find_by_time(log, 0, 0).unwrap().unwrap();
    assert_eq!(BatchHeader::check(&found).unwrap().base_offset, 4);
    let greatest = driver.log.find_max_timestamp(log).unwrap().unwrap();
    assert_eq!(BatchHeader::check(&greatest).unwrap().base_offset, 4);
}

#[test]
fn an_index_has_an_entry_for_each_interval() {
    for (index_interval_bytes, entries) in [(0, 20), (1, 19), (500, 9), (4096, 1)] {
        let mut driver = Driver::fresh();
        let log = driver.create();
        let settings = LogSettings {
            index_interval_bytes,
            ..LogSettings::default()
        };
        driver.log.set_settings(log, settings);
        for index in 0..20 {
            let produce = Produce {
                fill: 400 - 61,
                timestamp: index,
                ..Produce::default()
            };
            driver.append(log, produce);
        }
        driver.checkpoint();
        let files = driver.storage.files();
        let index = files.iter().find(|(path, _)| path.ends_with(".index")).unwrap();
        assert_eq!(index.1, entries * 8, "interval {index_interval_bytes}");
        for offset in 0..20 {
            assert_eq!(first_base(&read(&mut driver, log, offset, 1)), offset);
            let found = driver.log.find_by_time(log, offset, 0).unwrap().unwrap();
            assert_eq!(BatchHeader::check(&found).unwrap().base_offset, offset);
        }
    }
}

#[test]
fn segments_of_logs_that_began_together_are_closed_by_and_by() {
    let mut driver = Driver::fresh();
    let logs: Vec<LogId> = (0..40).map(|_| driver.create()).collect();
    for (nth, log) in logs.iter().enumerate() {
        let settings = LogSettings {
            segment_ms: 1000,
            // More than the age itself is the same as that.
            segment_jitter_ms: if nth % 2 == 0 { 600 } else { 5000 },
            ..LogSettings::default()
        };
        driver.log.set_settings(*log, settings);
        driver.append(*log, Produce::default());
    }
    driver.checkpoint();
    let start = driver.now;
    let mut closed = Vec::new();
    for age in [0, 399, 700, 1000] {
        driver.now = start + age;
        for log in &logs {
            driver.append(*log, Produce::default());
        }
        driver.checkpoint();
        let files = driver.storage.files();
        let of = |log: &LogId| {
            let directory = format!("logs/{:010}/", log.0);
            let is_segment = |path: &str| path.starts_with(&directory) && path.ends_with(".log");
            files.iter().filter(|(path, _)| is_segment(path)).count()
        };
        let count = |nth: usize| logs.iter().skip(nth).step_by(2).filter(|log| of(log) > 1).count();
        closed.push((count(0), count(1)));
    }
    assert_eq!((closed[0].0, closed[1].0), (0, 0), "{closed:?}");
    assert!(
        (1..20).contains(&closed[2].0) && (1..20).contains(&closed[1].1),
        "{closed:?}"
    );
    assert_eq!(closed[3], (20, 20));
}

#[test]
fn retention_drops_old_and_excess_segments_and_their_files() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    let settings = LogSettings {
        segment_bytes: 1000,
        retention_ms: 1000,
        ..LogSettings::default()
    };
    driver.log.set_settings(log, settings);
    for index in 0..20 {
        driver.append(
            log,
            Produce {
                fill: 400,
                timestamp: index * 100,
                ..Produce::default()
            },
        );
    }
    driver.checkpoint();
    let files = driver.storage.files().len();
    // Segments hold two batches; at 2000 those whose greatest timestamp is below 1000 go.
    let expired = driver.log.expired(2000);
    assert_eq!(
        expired,
        vec![Expired {
            log,
            start_offset: 10
        }]
    );
    driver.log.set_settings(
        log,
        LogSettings {
            retention_ms: -1,
            retention_bytes: 3000,
            ..settings
        },
    );
    let expired = driver.log.expired(2000);
    assert_eq!(
        expired,
        vec![Expired {
            log,
            start_offset: 12
        }]
    );
    let start = Record {
        entries: vec![Entry::StartOffset { log, offset: 12 }],
    };
    driver.log.append_record(0, &start).unwrap();
    driver.commit();
    assert_eq!(
        driver.storage.files().len(),
        files + 1,
        "files go only after a checkpoint without them"
    );
    driver.checkpoint();
    assert_eq!(driver.storage.files().len(), files - 18);
    assert_eq!(driver.read_all(log, 1).len(), 8);
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(driver.read_all(log, 1).len(), 8);
}

#[test]
fn retention_of_everything_keeps_the_next_offset() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(
        log,
        Produce {
            count: 5,
            ..Produce::default()
        },
    );
    driver.checkpoint();
    assert_eq!(
        driver.log.expired(i64::MAX),
        vec![Expired { log, start_offset: 5 }]
    );
    let start = Record {
        entries: vec![Entry::StartOffset { log, offset: 5 }],
    };
    driver.log.append_record(0, &start).unwrap();
    driver.checkpoint();
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(driver.append(log, Produce::default()), 5);
    driver.checkpoint();
    assert_eq!(driver.read_all(log, 1).len(), 1);
}

#[test]
fn a_start_inside_of_what_is_not_in_segments_survives() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(
        log,
        Produce {
            count: 10,
            ..Produce::default()
        },
    );
    let start = Record {
        entries: vec![Entry::StartOffset { log, offset: 5 }],
    };
    driver.log.append_record(0, &start).unwrap();
    driver.checkpoint();
    let found = read(&mut driver, log, 5, 1);
    assert_eq!((first_base(&found), found.next_offset), (0, 10));
}

#[test]
fn a_dropped_log_leaves_no_files() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(log, Produce::default());
    driver.checkpoint();
    driver
        .log
        .append_record(
            0,
            &Record {
                entries: vec![Entry::DropLog(log)],
            },
        )
        .unwrap();
    driver.checkpoint();
    assert!(
        driver
            .storage
            .files()
            .iter()
            .all(|(path, _)| !path.starts_with("logs/"))
    );
    assert_ne!(driver.create(), log, "ids are not used again");
}

/// The owner can hold up requests, but not the batches of one.
#[test]
fn a_group_that_is_far_too_long_takes_no_more_batches() {
    let options = LogOptions {
        pending_bytes: 1_000,
        ..small()
    };
    let mut driver = Driver::open(&MemStorage::new(), options).unwrap();
    let log = driver.create();
    let batch = Produce::default().encode();
    let header = BatchHeader::check(&batch).unwrap();
    let mut end = 0;
    for _ in 0..3 {
        let first = end;
        let refused = loop {
            match driver.log.append(driver.now, log, &batch, &header) {
                Ok((_, offset)) => assert_eq!(offset, end),
                Err(error) => break error,
            }
            end += 1;
            assert!(end - first < 100, "it is far too long");
        };
        assert!(driver.log.is_backlogged());
        assert!(matches!(refused, LogError::Overfull { bytes } if bytes > 4_000));
        assert_eq!(driver.log.offsets(log).unwrap().end, end);
        driver.create(); // what is not a batch is recorded
        driver.commit();
        assert!(!driver.log.is_backlogged());
        assert_eq!(driver.log.offsets(log).unwrap().high_watermark, end);
    }
}
