//! Reading where files cannot be opened, at once or at all.

use crate::counted::Counted;
use crate::driver::{Driver, Produce, read_from, small};
use millstream_log::*;
use millstream_testkit::storage::{Fault, MemStorage, Operation};
use std::io::ErrorKind;
use std::sync::Arc;

const LIMIT: ReadLimit = ReadLimit {
    max_bytes: 1 << 20,
    at_least_one: true,
};

/// A storage with two logs that have each a batch in a segment.
fn written() -> (MemStorage, [LogId; 2]) {
    let mut driver = Driver::fresh();
    let logs = [driver.create(), driver.create()];
    for log in logs {
        driver.append(log, Produce::default());
    }
    driver.checkpoint();
    driver.storage.kill();
    (driver.storage, logs)
}

fn job(log: &Log, id: LogId) -> ReadJob {
    let planned = log.plan_read(id, 0, LIMIT, Isolation::ReadUncommitted).unwrap();
    let PlannedRead::Segments(job) = planned else {
        panic!("it is in memory");
    };
    job
}

#[test]
fn no_reader_waits_for_a_file_that_another_one_opens() {
    for start in [0, 1] {
        let (storage, [held, other]) = written();
        let storage = Counted::new(&storage);
        let mut log = Log::open(storage.clone(), small()).unwrap().log;
        assert_eq!(read_from(&mut log, other, 0, 1).len(), 1);
        let (comes, go) = storage.hold("logs/0000000000/00000000000000000000-0.log");
        let job = job(&log, held);
        let reader = std::thread::spawn(|| job.run());
        comes.recv().unwrap();
        assert_eq!(read_from(&mut log, other, 0, 1).len(), 1);
        // This closes the files of what it drops.
        let entry = Entry::StartOffset {
            log: held,
            offset: start,
        };
        let entries = vec![entry];
        log.append_record(1, &Record { entries }).unwrap();
        go.send(()).expect("the file was held until now");
        let read = log.finish_read(reader.join().unwrap());
        match start {
            0 => assert_eq!(read.unwrap().next_offset, 1),
            _ => assert!(matches!(read, Err(LogError::OffsetOutOfRange { .. })), "{read:?}"),
        }
    }
}

#[test]
fn what_cannot_be_read_is_read_again_only_if_segments_have_changed() {
    let (storage, [id, _]) = written();
    let mut log = Log::open(Arc::new(storage.clone()), small()).unwrap().log;
    storage.fail(Fault {
        operation: Operation::Open,
        after: 0,
        kind: ErrorKind::Other,
        torn_bytes: 0,
        sticky: true,
    });
    let outcome = job(&log, id).run();
    let mut search = log.search_time(id, 0, 0).unwrap();
    assert!(search.next(0).is_err());
    assert!(!log.is_outdated(&search));
    let calls = storage.calls(Operation::Open);
    let read = log.finish_read(outcome);
    assert!(matches!(read, Err(LogError::Read { .. })), "{read:?}");
    assert_eq!(storage.calls(Operation::Open), calls, "the disk was not asked");

    storage.heal();
    assert_eq!(read_from(&mut log, id, 0, 1).len(), 1);
    let entry = Entry::StartOffset { log: id, offset: 1 };
    let entries = vec![entry];
    log.append_record(1, &Record { entries }).unwrap();
    assert!(log.is_outdated(&search));
}
