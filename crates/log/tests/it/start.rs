//! What a start reads after an unclean end, and what it makes of damaged indexes and of older manifests.

use crate::counted::Counted;
use crate::driver::{Driver, Produce, small};
use bytes::Bytes;
use millstream_log::limits::{INDEX_INTERVAL_BYTES, INDEX_SYNC_BYTES};
use millstream_log::*;
use millstream_testkit::storage::{MemStorage, Survive};
use millstream_types::storage::{DIRECT_ALIGNMENT, OpenMode, OsStorage, Storage};
use std::sync::Arc;

const SEGMENT: &str = "logs/0000000000/00000000000000000000-0.log";
const INDEXES: [&str; 2] = [
    "logs/0000000000/00000000000000000000-0.index",
    "logs/0000000000/00000000000000000000-0.timeindex",
];
const MANIFEST: &str = "checkpoint";
/// The first log.
const LOG: LogId = LogId(0);

/// Two records; times go up, and now and then back.
fn batch(nth: i64, fill: usize) -> Produce {
    Produce {
        count: 2,
        fill,
        timestamp: 1_000 + nth * 10 - (nth % 5) * 15,
        ..Produce::default()
    }
}

/// A log with this number of batches; automatic checkpoints move most of them into one segment.
fn written(batches: i64, fill: usize, checkpoint_bytes: u64) -> Driver {
    let options = LogOptions {
        checkpoint_bytes,
        ..small()
    };
    let mut driver = Driver::open(&MemStorage::new(), options).unwrap();
    driver.create();
    for nth in 0..batches {
        driver.append(LOG, batch(nth, fill));
        commit(&mut driver);
    }
    driver
}

fn commit(driver: &mut Driver) {
    driver.commit();
    if let Some(job) = driver.log.take_checkpoint() {
        driver.log.on_checkpoint(job.run()).unwrap();
    }
}

/// Opens a storage and counts what that reads.
fn open(storage: &MemStorage) -> (Log, Arc<Counted>) {
    let counted = Counted::new(storage);
    let opened = Log::open(counted.clone(), small()).unwrap();
    (opened.log, counted)
}

/// All that readers can learn of a log, by offsets and by times.
fn observe(log: &mut Log, id: LogId) -> Vec<Option<Bytes>> {
    let offsets = log.offsets(id).unwrap();
    let limit = ReadLimit {
        max_bytes: 1,
        at_least_one: true,
    };
    let mut seen = Vec::new();
    for offset in (offsets.start..offsets.end).rev() {
        let read = log.read(id, offset, limit, Isolation::ReadUncommitted).unwrap();
        seen.push(Some(log.contiguous(read.chunks)));
    }
    for timestamp in (900..1_000 + offsets.end * 5).step_by(7) {
        seen.push(log.find_by_time(id, timestamp, 0).unwrap());
    }
    seen.push(log.find_max_timestamp(id).unwrap());
    seen
}

/// Changes a file for good.
fn edit(storage: &MemStorage, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut content = storage.read(path).unwrap();
    edit(&mut content);
    let file = storage.open(path, OpenMode::Truncate).unwrap();
    file.write_at(&content, 0).unwrap();
    file.sync_data().unwrap();
}

/// What has to be read to have the batches of a segment's last block.
fn tail_bytes_max(batch_bytes: u64) -> u64 {
    DIRECT_ALIGNMENT as u64 + INDEX_INTERVAL_BYTES + 2 * batch_bytes
}

fn len(storage: &MemStorage, path: &str) -> u64 {
    let files = storage.files();
    let file = files.iter().find(|(each, _)| each == path);
    file.map_or(0, |(_, len)| *len as u64)
}

#[test]
fn a_start_after_a_kill_reads_indexes_and_the_end_of_a_segment() {
    for (batches, fill, checkpoint_bytes) in [
        (4_000, 1_000, 1_000_000),
        (4_000, 1_000, 40_000),
        (300, 20_000, 2_000_000),
        (5, 10, 8_000),
    ] {
        let driver = written(batches, fill, checkpoint_bytes);
        driver.storage.kill();
        let segment = len(&driver.storage, SEGMENT);
        let (log, counted) = open(&driver.storage);
        let read = counted.bytes_read(SEGMENT);
        let what = format!("{batches} batches of {fill}: {read} of {segment} bytes");
        assert!(0 < read && read <= tail_bytes_max(fill as u64 + 61), "{what}");
        for index in INDEXES {
            assert_eq!(counted.bytes_read(index), len(&driver.storage, index), "{what}");
        }
        assert_eq!(log.offsets(LOG).unwrap().end, 2 * batches);
    }
}

#[test]
fn a_start_after_a_loss_of_power_reads_what_came_since_indexes_were_synced() {
    let fill = 1 << 20;
    let batches = (INDEX_SYNC_BYTES / fill + 8) as i64;
    let driver = written(batches, fill as usize, 2 << 20);
    let segment = len(&driver.storage, SEGMENT);
    for survive in [Survive::Nothing, Survive::Sectors(1), Survive::Sectors(2)] {
        let storage = driver.storage.fork();
        storage.crash(survive);
        let (log, counted) = open(&storage);
        let read = counted.bytes_read(SEGMENT);
        assert!(
            segment > INDEX_SYNC_BYTES && read < segment - INDEX_SYNC_BYTES + 3 * fill,
            "{survive:?}: {read} of {segment} bytes"
        );
        let late = driver
            .log
            .find_by_time(LOG, 1_000 + 10 * (batches - 8), 0)
            .unwrap();
        assert!(late.is_some());
        assert_eq!(
            log.find_by_time(LOG, 1_000 + 10 * (batches - 8), 0).unwrap(),
            late
        );
    }
}

#[test]
fn damaged_indexes_are_rebuilt() {
    let mut driver = written(45, 1_500, 20_000);
    driver.storage.kill();
    let expected = observe(&mut open(&driver.storage.fork()).0, LOG);
    assert_eq!(observe(&mut driver.log, LOG), expected);
    let segment = len(&driver.storage, SEGMENT);

    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    for path in INDEXES {
        let bytes = len(&driver.storage, path) as usize;
        assert!(bytes > 10 * 8, "{bytes} bytes of '{path}'");
        let flips = (0..bytes).map(|at| {
            (
                format!("byte {at}"),
                Box::new(move |index: &mut Vec<u8>| index[at] ^= 4) as Damage,
            )
        });
        let cuts = (0..bytes).map(|at| {
            (
                format!("cut at {at}"),
                Box::new(move |index: &mut Vec<u8>| index.truncate(at)) as Damage,
            )
        });
        let zeros = (0..bytes).step_by(8).map(|at| {
            (
                format!("zeros from {at}"),
                Box::new(move |index: &mut Vec<u8>| index[at..].fill(0)) as Damage,
            )
        });
        for (what, damage) in flips.chain(cuts).chain(zeros) {
            let storage = driver.storage.fork();
            edit(&storage, path, damage);
            let is_changed = storage.read(path).unwrap() != driver.storage.read(path).unwrap();
            let (mut log, counted) = open(&storage);
            let is_whole = counted.bytes_read(SEGMENT) >= segment;
            assert_eq!(is_whole, is_changed, "'{path}', {what}: whether all was read");
            assert_eq!(observe(&mut log, LOG), expected, "'{path}', {what}");
            drop(log);
            // The next start trusts rebuilt indexes.
            storage.kill();
            let (_, counted) = open(&storage);
            assert!(
                counted.bytes_read(SEGMENT) < tail_bytes_max(1_600),
                "'{path}', {what}: the second start"
            );
        }

        let storage = driver.storage.fork();
        storage.remove(path).unwrap();
        assert_eq!(observe(&mut open(&storage).0, LOG), expected, "without '{path}'");
        // What an unfinished checkpoint wrote there does no harm.
        let storage = driver.storage.fork();
        edit(&storage, path, |index| index.extend([7; 20]));
        let (mut log, counted) = open(&storage);
        assert!(counted.bytes_read(SEGMENT) < tail_bytes_max(1_600));
        assert_eq!(observe(&mut log, LOG), expected, "more in '{path}'");
    }
}

#[test]
fn damage_to_the_last_block_of_a_segment_is_found() {
    let driver = written(60, 1_500, 30_000);
    driver.storage.kill();
    let bytes = len(&driver.storage, SEGMENT) as usize;
    let last_block = (bytes - 1) / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT;
    assert!(last_block > 40_000 && bytes - last_block > 100, "{bytes} bytes");
    let open_quarantined = |damage: &dyn Fn(&mut Vec<u8>)| {
        let storage = driver.storage.fork();
        edit(&storage, SEGMENT, damage);
        open(&storage).0.quarantine_reason(LOG)
    };
    let size = 1_500 + 61;
    for at in last_block..bytes {
        let reason = open_quarantined(&|segment| segment[at] ^= 1);
        // The epoch of the leader is the one thing without a checksum.
        let is_epoch = (12..16).contains(&(at % size));
        assert_eq!(reason.is_some(), !is_epoch, "byte {at}: {reason:?}");
        if let Some(reason) = reason {
            let place = format!("at byte {}:", at / size * size);
            assert!(reason.contains(&place), "byte {at}: {reason}");
        }
    }
    for cut in [0, 100, last_block, bytes - 1] {
        let reason = open_quarantined(&|segment| segment.truncate(cut));
        assert!(reason.is_some(), "cut at {cut}");
    }
    let storage = driver.storage.fork();
    storage.remove(SEGMENT).unwrap();
    let reason = open(&storage).0.quarantine_reason(LOG).unwrap();
    assert!(reason.contains("is missing"), "{reason}");
}

#[test]
fn indexes_are_durable_after_a_clean_end() {
    for is_idle in [false, true] {
        let mut driver = written(300, 1_500, 100_000);
        if is_idle {
            let other = driver.create();
            for nth in 0..100 {
                driver.append(other, batch(nth, 1_500));
                commit(&mut driver);
            }
        }
        driver.checkpoint();
        let expected = observe(&mut driver.log, LOG);
        for survive in (0..8).map(Survive::Sectors).chain([Survive::Nothing]) {
            let storage = driver.storage.fork();
            // Else the emptied WAL may be there again.
            storage.sync_directory("wal").unwrap();
            storage.crash(survive);
            let (mut log, counted) = open(&storage);
            assert_eq!(counted.bytes_read(SEGMENT), 0, "nothing is checked");
            assert_eq!(observe(&mut log, LOG), expected, "{survive:?}, idle {is_idle}");
        }
    }
}

/// A directory that was written with the first version of the manifest: two logs, one of them with three segments, and
/// something in the WAL.
fn older() -> MemStorage {
    let storage = MemStorage::new();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/manifest-1");
    copy(&OsStorage::open(directory).unwrap(), &storage, "");
    storage
}

fn copy(from: &dyn Storage, to: &MemStorage, directory: &str) {
    for entry in from.list(directory).unwrap() {
        let path = format!("{directory}/{}", entry.name);
        let path = path.trim_start_matches('/');
        if entry.is_directory {
            to.create_directory(path).unwrap();
            copy(from, to, path);
        } else {
            let file = to.open(path, OpenMode::Create).unwrap();
            file.write_at(&from.read(path).unwrap(), 0).unwrap();
        }
    }
}

/// Sets the sequence that a manifest holds, and the checksum that it then needs.
fn set_sequence(manifest: &mut [u8], sequence: u64) {
    manifest[12..20].copy_from_slice(&sequence.to_le_bytes());
    seal(manifest);
}

/// Sets whether a manifest says that it was the end, and the checksum that it then needs.
fn set_clean(manifest: &mut [u8], clean: bool) {
    manifest[20] = u8::from(clean);
    seal(manifest);
}

fn seal(manifest: &mut [u8]) {
    let crc = crc32c::crc32c(&manifest[12..]);
    manifest[8..12].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_manifest_of_the_first_version_is_read() {
    for (has_wal, clean) in [(true, false), (true, true), (false, false), (false, true)] {
        let storage = older();
        edit(&storage, MANIFEST, |manifest| set_clean(manifest, clean));
        if !has_wal {
            storage.remove("wal/00000000000000000015.wal").unwrap();
        }
        let mut driver = Driver::open(&storage, small()).unwrap();
        assert_eq!(driver.snapshot.as_deref(), Some(&b"owner"[..]));
        assert_eq!(driver.metadata.len(), usize::from(has_wal));
        let batches = driver.read_all(LOG, 1 << 20).len();
        assert_eq!(
            (batches, driver.read_all(LogId(1), 100).len()),
            (6 + usize::from(has_wal), 6)
        );
        assert_eq!(
            driver.log.producers(LOG).unwrap().get(7).unwrap().last_sequence(),
            11
        );
        assert_eq!(driver.log.offsets(LOG).unwrap().last_stable, 8);
        let expected = observe(&mut driver.log, LOG);

        driver.append(LogId(1), Produce::default());
        driver.commit();
        for what in ["before", "after"] {
            drop(driver.log);
            storage.kill();
            driver = Driver::open(&storage, small()).unwrap();
            assert_eq!(observe(&mut driver.log, LOG), expected, "{what} a checkpoint");
            driver.checkpoint();
        }
        assert_eq!(
            storage.read(MANIFEST).unwrap()[4],
            2,
            "the version is the newest one"
        );
    }
}

#[test]
fn a_manifest_of_a_sequence_that_cannot_be_is_refused() {
    let storage = MemStorage::new();
    let mut driver = Driver::open(&storage, small()).unwrap();
    driver.create();
    driver.checkpoint();
    drop(driver.log);
    for sequence in [u64::MAX, u64::MAX - 1, u64::MAX / 2 + 1] {
        edit(&storage, MANIFEST, |manifest| set_sequence(manifest, sequence));
        let error = Driver::open(&storage, small()).err().unwrap();
        assert!(
            error.to_string().contains("its sequence is impossible"),
            "{error}"
        );
    }
}
