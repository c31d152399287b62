//! The log on a real file system, where groups and segments are written with direct IO.

use crate::driver::{Produce, read_from, small};
use bytes::Bytes;
use millstream_log::limits::{COLD_BYTES_MIN, SEGMENT_WRITE_BYTES};
use millstream_log::*;
use millstream_types::storage::OsStorage;
use std::path::Path;
use std::sync::Arc;

/// Some below a block, some that end near one, some of many.
const SIZES: [usize; 8] = [
    1,
    4_000,
    30,
    COLD_BYTES_MIN,
    12_345,
    SEGMENT_WRITE_BYTES + 7,
    4_096,
    300_000,
];

fn open(directory: &Path) -> Log {
    let options = LogOptions {
        checkpoint_bytes: 700_000,
        ..small()
    };
    let storage = OsStorage::open(directory).unwrap();
    Log::open(Arc::new(storage), options).unwrap().log
}

fn commit(log: &mut Log) {
    if let Some(job) = log.take_commit(1000, Vec::new) {
        log.on_commit(job.run()).unwrap();
    }
    if let Some(job) = log.take_checkpoint() {
        log.on_checkpoint(job.run()).unwrap();
    }
}

/// All batches, without the fields that the log stamps.
fn read_all(log: &mut Log, id: LogId) -> Vec<Bytes> {
    let batches = read_from(log, id, 0, 1 << 20).into_iter();
    batches.map(|(_, batch)| batch).collect()
}

#[test]
fn batches_of_all_sizes_come_back_whether_readers_lag_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = open(directory.path());
    let ids = [0, 1].map(|_| {
        let id = log.next_log_id();
        let entries = vec![Entry::CreateLog(id)];
        log.append_record(1000, &Record { entries }).unwrap();
        id
    });
    let mut expected = [Vec::new(), Vec::new()];
    for step in 0..160usize {
        let partition = usize::from(step % 5 == 0);
        let produce = Produce {
            fill: SIZES[(step * 7 + step / 16) % SIZES.len()],
            timestamp: step as i64,
            ..Produce::default()
        };
        let batch = produce.encode();
        let header = BatchHeader::check(&batch).unwrap();
        log.append(1000, ids[partition], &batch, &header).unwrap();
        expected[partition].push(batch.slice(16..));
        if step % 3 != 1 {
            commit(&mut log);
        }
        if step % 50 == 30 {
            // From segments: for a while what follows is written through the cache.
            let read = read_all(&mut log, ids[0]);
            assert_eq!(read[..], expected[0][..read.len()], "step {step}");
        }
        if step % 40 == 38 {
            commit(&mut log);
            drop(log);
            log = open(directory.path());
        }
    }
    commit(&mut log);
    for (id, expected) in ids.into_iter().zip(&expected) {
        assert_eq!(&read_all(&mut log, id), expected);
    }
}
