//! Crashes at every byte, failing disks, and damage.

use crate::driver::{Driver, Produce, small};
use millstream_log::batch::Marker;
use millstream_log::*;
use millstream_testkit::storage::{Fault, MemStorage, Operation, Survive};
use millstream_types::storage::{DIRECT_ALIGNMENT, Storage};
use std::io::ErrorKind;

fn transactional(sequence: i32) -> Produce {
    Produce {
        producer: Some((7, 0, sequence)),
        transactional: true,
        count: 2,
        ..Produce::default()
    }
}

/// Two logs with plain batches, then one record that ends a transaction in both and has metadata.
fn history(driver: &mut Driver) -> (LogId, LogId) {
    let (a, b) = (driver.create(), driver.create());
    driver.commit();
    driver.append(a, Produce::default());
    driver.append(a, transactional(0));
    driver.append(b, transactional(0));
    driver.commit();
    (a, b)
}

fn end_transaction(driver: &mut Driver, a: LogId, b: LogId) {
    let control = ControlType::Abort;
    let marker = Marker {
        producer_id: 7,
        producer_epoch: 1,
        coordinator_epoch: 0,
        control,
        timestamp: 5,
    };
    let mut record = Record::metadata("offsets and coordinator state");
    for log in [a, b] {
        record.push(Entry::Batch {
            log,
            batch: marker.encode().into(),
        });
    }
    driver.log.append_record(driver.now, &record).unwrap();
}

#[test]
fn a_crash_at_every_byte_keeps_what_was_acknowledged_and_no_half_record() {
    let mut driver = Driver::fresh();
    let (a, b) = history(&mut driver);
    end_transaction(&mut driver, a, b);
    let job = driver.log.take_commit(driver.now, Vec::new).unwrap();
    let bytes = job.bytes() as u64;
    let (mut with, mut without) = (0, 0);
    for cut in 0..=bytes {
        let storage = MemStorage::new();
        let mut driver = Driver::open(&storage, small()).unwrap();
        let (a, b) = history(&mut driver);
        end_transaction(&mut driver, a, b);
        let disk = storage.clone();
        driver.fail_commit(Operation::Write, cut as usize);
        drop(driver);
        disk.crash(Survive::Prefix(cut));
        let mut driver = Driver::open(&disk, small()).unwrap();
        let ends = [a, b].map(|log| driver.log.offsets(log).unwrap());
        match driver.metadata.len() {
            0 => {
                without += 1;
                assert_eq!(ends.map(|offsets| offsets.end), [3, 2]);
                assert_eq!(
                    ends.map(|offsets| offsets.last_stable),
                    [1, 0],
                    "the transaction is open"
                );
            }
            _ => {
                with += 1;
                assert_eq!(ends.map(|offsets| offsets.end), [4, 3]);
                assert_eq!(ends.map(|offsets| offsets.last_stable), [4, 3]);
            }
        }
        assert_eq!(
            driver.read_all(a, 1 << 20).len(),
            if driver.metadata.is_empty() { 2 } else { 3 }
        );
        driver.append(a, Produce::default());
        driver.commit();
    }
    assert!(without > 100 && with >= 1, "{without} without, {with} with");
}

#[test]
fn a_crash_at_every_storage_call_of_a_checkpoint_loses_nothing() {
    for operation in [
        Operation::Open,
        Operation::Write,
        Operation::Sync,
        Operation::SyncDirectory,
        Operation::Rename,
    ] {
        for after in 0..40 {
            for survive in [
                Survive::Nothing,
                Survive::Prefix(100),
                Survive::Sectors(after + 1),
            ] {
                let storage = MemStorage::new();
                let mut driver = Driver::open(&storage, small()).unwrap();
                let (a, b) = history(&mut driver);
                driver.checkpoint();
                end_transaction(&mut driver, a, b);
                driver.append(
                    a,
                    Produce {
                        count: 3,
                        ..Produce::default()
                    },
                );
                driver.owner = b"later".to_vec();
                driver.commit();
                driver.log.request_checkpoint();
                driver.commit();
                let fault = Fault {
                    operation,
                    after,
                    kind: ErrorKind::StorageFull,
                    torn_bytes: 7,
                    sticky: true,
                };
                storage.fail(fault);
                let job = driver.log.take_checkpoint().unwrap();
                let failed = driver.log.on_checkpoint(job.run()).is_err();
                drop(driver);
                storage.heal();
                storage.crash(survive);
                let mut driver = Driver::open(&storage, small()).unwrap();
                let batches = driver.read_all(a, 1 << 20);
                assert_eq!(
                    batches.iter().map(|(base, _)| *base).collect::<Vec<_>>(),
                    [0, 1, 3, 4]
                );
                assert_eq!(driver.read_all(b, 1).len(), 2);
                let from_snapshot = driver.snapshot.as_deref() == Some(b"later".as_slice());
                assert!(from_snapshot || driver.metadata.len() == 1);
                assert!(failed || from_snapshot);
                driver.append(a, Produce::default());
                driver.checkpoint();
                if !failed && after > 0 {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_failed_sync_poisons_the_log_and_is_not_tried_again() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.commit();
    driver.append(log, Produce::default());
    driver.fail_commit(Operation::Sync, 0);
    assert!(driver.log.take_commit(0, Vec::new).is_none());
    assert_eq!(
        driver.log.offsets(log).unwrap().high_watermark,
        0,
        "nothing is visible that may be lost"
    );
    let batch = Produce::default().encode();
    let header = BatchHeader::check(&batch).unwrap();
    assert!(matches!(
        driver.log.append(0, log, &batch, &header),
        Err(LogError::Poisoned { .. })
    ));
}

/// Every byte of small groups, each of which has a block, and some of the zeros that fill up the blocks.
fn damaged_places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(|offset| offset % DIRECT_ALIGNMENT < 300 || offset % 97 == 0)
}

#[test]
fn a_damaged_middle_of_the_wal_is_refused_and_a_torn_end_is_not() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.commit();
    for _ in 0..3 {
        driver.append(log, Produce::default());
        driver.commit();
    }
    let (path, len) = driver.wal_files().remove(0);
    drop(driver.log);
    for offset in damaged_places(len) {
        let disk = driver.storage.fork();
        disk.flip(&path, offset, 0x10).unwrap();
        match Driver::open(&disk, small()) {
            Err(OpenError::WalDamaged { .. }) => {}
            Err(other) => panic!("byte {offset}: {other}"),
            Ok(opened) => {
                // Only the last group may go: nothing after it says that it had been synced.
                let end = opened.log.offsets(log).unwrap().end;
                assert!(end >= 2, "byte {offset}: {end} records left");
            }
        }
    }
}

#[test]
fn files_of_the_wal_with_room_behind_their_end_are_read_one_after_the_other() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    for opening in 1..=4 {
        for _ in 0..opening * 10 {
            let produce = Produce {
                fill: 700,
                ..Produce::default()
            };
            driver.append(log, produce);
            driver.commit();
        }
        driver.storage.crash(Survive::Sectors(opening));
        drop(driver.log);
        driver = Driver::open(&driver.storage, small()).unwrap();
        let expected = (1..=opening).sum::<u64>() as usize * 10;
        assert_eq!(driver.read_all(log, 1 << 20).len(), expected);
        let files = driver.wal_files();
        assert_eq!(files.len(), opening as usize);
        let longest = files.iter().map(|(_, len)| *len).max().unwrap();
        assert!(
            longest > opening as usize * 10 * 800,
            "{longest} bytes hold no room"
        );
    }
}

/// Data that is full of group headers which say that everything had been acknowledged.
fn forged(salt: u64) -> Vec<u8> {
    let mut header = b"MWG1____".to_vec();
    for field in [3, u64::MAX, 0, salt] {
        header.extend_from_slice(&u64::to_le_bytes(field));
    }
    let crc = crc32c::crc32c(&header[8..]);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    [vec![0; 4], header.repeat(200)].concat()
}

#[test]
fn data_that_looks_like_a_group_is_data() {
    let salted = small();
    let plain = LogOptions {
        wal_salt: 0,
        ..small()
    };
    for is_first_of_file in [false, true] {
        for (options, salt, is_refused) in [
            (&plain, 0, true),
            (&salted, 0, false),
            (&salted, 77, false),
            (&salted, salted.wal_salt, true),
        ] {
            let mut driver = Driver::open(&MemStorage::new(), options.clone()).unwrap();
            let log = driver.create();
            if is_first_of_file {
                driver.checkpoint()
            } else {
                driver.commit()
            }
            let record = Record::metadata(forged(salt));
            driver.log.append_record(0, &record).unwrap();
            driver.fail_commit(Operation::Write, 4096);
            driver.storage.kill();
            if is_first_of_file {
                // Not even the first header is there.
                let path = driver.wal_files().pop().unwrap().0;
                driver.storage.flip(&path, 1, 1).unwrap();
            }
            let opened = Driver::open(&driver.storage, options.clone());
            let what = format!("salt {salt}, first {is_first_of_file}");
            assert_eq!(opened.is_err(), is_refused, "{what}");
            if let Ok(opened) = opened {
                assert!(
                    opened.log.offsets(log).is_some() && opened.metadata.is_empty(),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn a_directory_gets_a_salt_and_keeps_it() {
    let options = |wal_salt| LogOptions { wal_salt, ..small() };
    let mut driver = Driver::open(&MemStorage::new(), options(0)).unwrap();
    let log = driver.create();
    let mut expected = 0;
    let write = |driver: &mut Driver| {
        driver.append(log, Produce::default());
        driver.commit();
    };
    write(&mut driver);
    // The last one is taken for a directory without one.
    for (wal_salt, is_damaged) in [(5, false), (6, false), (7, true)] {
        driver.storage.kill();
        if is_damaged {
            driver.storage.flip("wal-salt", 0, 1).unwrap();
        }
        driver = Driver::open(&driver.storage, options(wal_salt)).unwrap();
        expected += 1;
        assert_eq!(driver.read_all(log, 1 << 20).len(), expected);
        let kept = driver.storage.read("wal-salt").unwrap()[..8].to_vec();
        assert_eq!(kept, (if is_damaged { 7u64 } else { 5 }).to_le_bytes());
        write(&mut driver);
    }
    assert_eq!(driver.reopened().read_all(log, 1 << 20).len(), 4);
}

#[test]
fn a_damaged_manifest_is_refused() {
    let mut driver = Driver::fresh();
    history(&mut driver);
    driver.checkpoint();
    drop(driver.log);
    let len = driver
        .storage
        .files()
        .into_iter()
        .find(|(path, _)| path == "checkpoint")
        .unwrap()
        .1;
    for offset in 0..len {
        let disk = driver.storage.fork();
        disk.flip("checkpoint", offset, 0x80).unwrap();
        let error = Driver::open(&disk, small()).err().unwrap();
        assert!(
            matches!(error, OpenError::Manifest { .. } | OpenError::Version { .. }),
            "byte {offset}"
        );
    }
}

#[test]
fn a_directory_has_one_owner() {
    let driver = Driver::fresh();
    assert!(matches!(
        Driver::open(&driver.storage, small()),
        Err(OpenError::Locked)
    ));
}

#[test]
fn a_full_disk_closes_the_log_and_loses_nothing_acknowledged() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(log, Produce::default());
    driver.commit();
    let used: usize = driver.storage.files().iter().map(|(_, len)| len).sum();
    driver.storage.set_capacity(Some(used + 50));
    // More than the room that the file of the write-ahead log has.
    let large = Produce {
        fill: 10_000,
        ..Produce::default()
    };
    driver.append(log, large);
    let job = driver.log.take_commit(0, Vec::new).unwrap();
    let error = driver.log.on_commit(job.run()).unwrap_err();
    assert!(error.to_string().contains("free or repair the disk"), "{error}");
    driver.storage.set_capacity(None);
    driver.storage.crash(Survive::Prefix(1000));
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(driver.read_all(log, 1).len(), 1);
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_durable_once_it_was_read() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(log, Produce::default());
    driver.commit();
    driver.append(log, Produce::default());
    driver.fail_commit(Operation::Sync, 0);
    drop(driver.log);
    driver.storage.kill();
    let restarted = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(
        restarted.log.offsets(log).unwrap().high_watermark,
        2,
        "readers see it"
    );
    drop(restarted.log);
    driver.storage.crash(Survive::Nothing);
    let reopened = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(
        reopened.log.offsets(log).unwrap().high_watermark,
        2,
        "and still do"
    );
}

#[test]
fn a_file_of_the_wal_that_a_checkpoint_could_not_remove_does_no_harm() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.commit();
    // Each checkpoint starts a new file; the removal of the first one fails.
    for after in [0, u64::MAX] {
        driver.storage.fail(Fault {
            operation: Operation::Remove,
            after,
            kind: ErrorKind::Other,
            torn_bytes: 0,
            sticky: false,
        });
        driver.append(log, Produce::default());
        driver.checkpoint();
    }
    driver.append(log, Produce::default());
    driver.commit();
    assert_eq!(
        driver.wal_files().len(),
        2,
        "the first one is still there, the second is gone"
    );
    driver.storage.heal();
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(driver.read_all(log, 1 << 20).len(), 3);
    assert_eq!(driver.wal_files().len(), 1);
}

const RECORDS: i64 = 40;

/// A log whose WAL is written into files that had been emptied by checkpoints, with the records of the last one.
fn rewritten() -> (Driver, LogId) {
    let options = LogOptions {
        checkpoint_bytes: 15_000,
        ..small()
    };
    let mut driver = Driver::open(&MemStorage::new(), options).unwrap();
    let log = driver.create();
    let mut checkpoints = 0;
    while checkpoints < 3 || driver.log.offsets(log).unwrap().end < RECORDS {
        driver.append(log, Produce::default());
        driver.commit();
        if let Some(job) = driver.log.take_checkpoint() {
            driver.log.on_checkpoint(job.run()).unwrap();
            checkpoints += 1;
        }
    }
    (driver, log)
}

#[test]
fn files_of_the_wal_are_written_over_and_what_they_held_does_not_come_back() {
    let (mut driver, log) = rewritten();
    let files = driver.wal_files();
    assert_eq!(files.len(), 1, "the old file became the new one: {files:?}");
    let (path, len) = files[0].clone();
    let old = driver.storage.read(&path).unwrap();
    let groups = old.windows(4).filter(|bytes| *bytes == b"MWG1").count();
    assert!(
        groups > 4,
        "{groups} groups in {len} bytes: nothing is left of an older file"
    );

    for survive in (0..64).map(Survive::Sectors) {
        let disk = driver.storage.fork();
        disk.crash(survive);
        let mut opened = Driver::open(&disk, small()).unwrap();
        assert_eq!(opened.read_all(log, 1 << 20).len() as i64, RECORDS);
        opened.append(log, Produce::default());
        opened.commit();
        assert_eq!(opened.read_all(log, 1 << 20).len() as i64, RECORDS + 1);
    }
    // A clean end leaves nothing to be written over.
    driver.checkpoint();
    assert_eq!(driver.wal_files(), []);
}

#[test]
fn a_damaged_file_that_was_written_over_is_refused_or_loses_its_torn_end() {
    let (driver, log) = rewritten();
    let (path, len) = driver.wal_files().pop().unwrap();
    drop(driver.log);
    for offset in damaged_places(len) {
        let disk = driver.storage.fork();
        disk.flip(&path, offset, 0x10).unwrap();
        match Driver::open(&disk, small()) {
            Err(OpenError::WalDamaged { .. }) => {}
            Err(other) => panic!("byte {offset}: {other}"),
            Ok(opened) => {
                let end = opened.log.offsets(log).unwrap().end;
                assert!(
                    end == RECORDS - 1 || end == RECORDS,
                    "byte {offset}: {end} records left"
                );
            }
        }
    }
}

#[test]
fn a_file_of_the_wal_that_was_found_empty_outlives_a_checkpoint_that_began_before_it_was_used() {
    let mut driver = Driver::fresh();
    let log = driver.create();
    driver.append(log, Produce::default());
    driver.checkpoint();
    // The first group of a new file does not reach the disk.
    driver.append(log, Produce::default());
    driver.fail_commit(Operation::Write, 0);
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(driver.wal_files().len(), 1);

    driver.log.request_checkpoint();
    assert!(driver.log.take_commit(0, Vec::new).is_none());
    let checkpoint = driver.log.take_checkpoint().unwrap();
    driver.append(log, Produce::default());
    driver.commit();
    driver.log.on_checkpoint(checkpoint.run()).unwrap();
    drop(driver.log);
    let mut driver = Driver::open(&driver.storage, small()).unwrap();
    assert_eq!(driver.read_all(log, 1 << 20).len(), 2);
}
