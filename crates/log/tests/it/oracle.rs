//! Random histories against a slow and obvious oracle: a vector of batches for each log. Checkpoints, compactions and reads stay
//! open while the history continues. The last log is compacted: of batches with the same key only the last one has to be there.

use crate::compaction::{RULES, Single};
use crate::driver::{Driver, Produce};
use bytes::Bytes;
use millstream_log::*;
use millstream_testkit::storage::{Fault, MemStorage, Operation, Survive};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;

#[derive(Debug, Clone)]
enum Step {
    Append { log: usize, count: i32, fill: usize },
    Metadata(u8),
    Commit,
    Checkpoint,
    Capture,
    Advance,
    Read { log: usize, back: i64 },
    FinishRead,
    Retain,
    Compact,
    FinishCompaction { failing_sync: Option<u64> },
    Start { log: usize, back: i64 },
    Kill,
    Crash(Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3usize, 1..5i32, 0..3000usize).prop_map(|(log, count, fill)| Step::Append { log, count, fill }),
        2 => any::<u8>().prop_map(Step::Metadata),
        4 => Just(Step::Commit),
        1 => Just(Step::Checkpoint),
        3 => Just(Step::Capture),
        5 => Just(Step::Advance),
        2 => (0..3usize, 0..30i64).prop_map(|(log, back)| Step::Read { log, back }),
        2 => Just(Step::FinishRead),
        2 => Just(Step::Retain),
        2 => Just(Step::Compact),
        2 => proptest::option::weighted(0.3, 0..6u64)
            .prop_map(|failing_sync| Step::FinishCompaction { failing_sync }),
        2 => (0..3usize, prop_oneof![Just(0), 0..20i64]).prop_map(|(log, back)| Step::Start { log, back }),
        1 => Just(Step::Kill),
        2 => proptest::option::of(0..5000u64).prop_map(Step::Crash),
    ]
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Oracle {
    batches: [Vec<(i64, Bytes)>; 3],
    starts: [i64; 3],
    ends: [i64; 3],
    metadata: Vec<u8>,
}

/// Which log is compacted.
const COMPACTED: usize = 2;

/// The last batch of each key, in order.
fn latest(batches: &[(i64, Bytes)]) -> Vec<&(i64, Bytes)> {
    let mut keys = BTreeSet::new();
    let newest_first = batches.iter().rev();
    let mut latest: Vec<_> = newest_first
        .filter(|(_, body)| keys.insert(&body[11..19]))
        .collect();
    latest.reverse();
    latest
}

fn last_offset((base, body): &(i64, Bytes)) -> i64 {
    base + i64::from(i32::from_be_bytes(body[7..11].try_into().unwrap()))
}

impl Oracle {
    /// Whether a log that was found is as this says; of the compacted one nothing else may be there, and the last batch of
    /// each key must be.
    fn allows(&self, found: &Oracle) -> bool {
        let mut same = found.clone();
        same.batches[COMPACTED].clone_from(&self.batches[COMPACTED]);
        let (mine, others) = (&self.batches[COMPACTED], &found.batches[COMPACTED]);
        same == *self && latest(mine) == latest(others) && others.iter().all(|batch| mine.contains(batch))
    }
}

/// A checkpoint on its way.
enum Open {
    Captured(CheckpointJob),
    Written(CheckpointOutcome),
}

/// How many timestamps there are.
const TIMES: usize = 97;

fn options() -> LogOptions {
    LogOptions {
        checkpoint_bytes: 6000,
        tail_cache_bytes: 4000,
        wal_salt: 0x5a17_5a17,
        ..LogOptions::default()
    }
}

/// Logs of few and of many segments; the first one may not become large.
fn settings(log: u32) -> LogSettings {
    LogSettings {
        segment_bytes: [5_000, 1 << 30, 8_000][log as usize],
        retention_bytes: [10_000, -1, -1][log as usize],
        retention_ms: -1,
        index_interval_bytes: 500,
        ..LogSettings::default()
    }
}

struct Run {
    driver: Driver,
    checkpoint: Option<Open>,
    compaction: Option<CompactionJob>,
    reads: VecDeque<(i64, LogId, ReadJob)>,
    /// What was appended.
    all: Oracle,
    /// What may be there after a crash: the last durable state, then the state after each record since.
    possible: Vec<Oracle>,
}

impl Run {
    fn start() -> Run {
        let mut driver = Driver::open(&MemStorage::new(), options()).unwrap();
        for _ in 0..3 {
            let log = driver.create();
            driver.log.set_settings(log, settings(log.0));
        }
        driver.commit();
        Run {
            driver,
            checkpoint: None,
            compaction: None,
            reads: VecDeque::new(),
            all: Oracle::default(),
            possible: vec![Oracle::default()],
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append { log, count, fill } => {
                let produce = Produce {
                    count: *count,
                    fill: *fill,
                    timestamp: (*fill % TIMES) as i64,
                    ..Produce::default()
                };
                let base = self.driver.append(LogId(*log as u32), produce);
                let batches = &mut self.all.batches[*log];
                assert_eq!(base, self.all.ends[*log]);
                batches.push((base, produce.encode().slice(16..)));
                self.all.ends[*log] = base + i64::from(*count);
            }
            Step::Metadata(byte) => {
                self.driver
                    .log
                    .append_record(0, &Record::metadata(vec![*byte]))
                    .unwrap();
                self.all.metadata.push(*byte);
            }
            Step::Commit => self.commit(),
            Step::Checkpoint => {
                self.end_checkpoint();
                self.capture();
                self.end_checkpoint();
            }
            Step::Capture => self.capture(),
            Step::Advance => self.advance(),
            Step::Read { log, back } => self.read(LogId(*log as u32), *back),
            Step::FinishRead => self.finish_read(),
            Step::Retain => {
                for expired in self.driver.log.expired(0) {
                    self.move_start(expired.log, expired.start_offset);
                }
            }
            Step::Compact => {
                let log = LogId(COMPACTED as u32);
                let compaction = self.driver.log.compaction(0, log, RULES, || Box::new(Single));
                self.compaction = compaction.or(self.compaction.take());
            }
            Step::FinishCompaction { failing_sync } => self.finish_compaction(*failing_sync),
            Step::Start { log, back } => {
                let end = self
                    .driver
                    .log
                    .offsets(LogId(*log as u32))
                    .unwrap()
                    .high_watermark;
                let offset = (end - back).max(self.all.starts[*log]);
                self.move_start(LogId(*log as u32), offset);
            }
            Step::Kill => {
                self.commit();
                self.driver.storage.kill();
                self.reopen(false);
            }
            Step::Crash(survive) => self.crash(*survive),
        }
        self.possible.push(self.all.clone());
    }

    fn made_durable(&mut self) {
        self.possible = vec![self.all.clone()];
    }

    fn commit(&mut self) {
        self.driver.owner = self.all.metadata.clone();
        self.driver.commit();
        self.made_durable();
        if let Some(job) = self.driver.log.take_checkpoint() {
            assert!(self.checkpoint.is_none(), "two checkpoints at a time");
            self.checkpoint = Some(Open::Captured(job));
        }
    }

    fn capture(&mut self) {
        self.driver.log.request_checkpoint();
        self.commit();
    }

    /// The checkpoint that is under way is written, or is taken in if it was.
    fn advance(&mut self) {
        self.checkpoint = match self.checkpoint.take() {
            Some(Open::Captured(job)) => Some(Open::Written(job.run())),
            Some(Open::Written(outcome)) => {
                self.driver.log.on_checkpoint(outcome).unwrap();
                None
            }
            None => None,
        };
    }

    fn end_checkpoint(&mut self) {
        while self.checkpoint.is_some() {
            self.advance();
        }
    }

    fn move_start(&mut self, log: LogId, offset: i64) {
        self.driver.delete_below(log, offset);
        let index = log.0 as usize;
        self.all.starts[index] = offset;
        self.all.batches[index].retain(|batch| last_offset(batch) >= offset);
    }

    fn read(&mut self, log: LogId, back: i64) {
        let offsets = self.driver.log.offsets(log).unwrap();
        let offset = (offsets.high_watermark - back).max(offsets.start);
        let limit = ReadLimit {
            max_bytes: 4000,
            at_least_one: true,
        };
        let isolation = Isolation::ReadCommitted;
        match self.driver.log.plan_read(log, offset, limit, isolation).unwrap() {
            PlannedRead::Ready(read) => self.check_read(log, offset, read),
            PlannedRead::Segments(job) => self.reads.push_back((offset, log, job)),
        }
    }

    fn finish_read(&mut self) {
        let Some((offset, log, job)) = self.reads.pop_front() else {
            return;
        };
        let read = self.driver.log.finish_read(job.run());
        match (read, offset < self.all.starts[log.0 as usize]) {
            (Ok(read), false) => self.check_read(log, offset, read),
            (Err(LogError::OffsetOutOfRange { .. }), true) => {}
            (read, is_below) => panic!("{read:?} at {offset}, below the start: {is_below}"),
        }
    }

    /// Everything from an offset on is given without a hole; of the compacted log, what was there.
    fn check_read(&mut self, log: LogId, offset: i64, read: Read) {
        let mut all = self.driver.log.contiguous(read.chunks);
        let expected = &self.all.batches[log.0 as usize];
        let mut expected = expected.iter().filter(|batch| last_offset(batch) >= offset);
        while !all.is_empty() {
            let batch = all.split_to(BatchHeader::parse(&all).unwrap().size());
            let found = (BatchHeader::check(&batch).unwrap().base_offset, batch.slice(16..));
            let is_there = if log.0 as usize == COMPACTED {
                expected.any(|batch| *batch == found)
            } else {
                expected.next() == Some(&found)
            };
            assert!(is_there, "{found:?} of {log:?} from {offset} on");
        }
    }

    fn finish_compaction(&mut self, failing_sync: Option<u64>) {
        let Some(job) = self.compaction.take() else {
            return;
        };
        if let Some(after) = failing_sync {
            self.driver.storage.fail(Fault {
                operation: Operation::Sync,
                after,
                kind: ErrorKind::Other,
                torn_bytes: 0,
                sticky: false,
            });
        }
        let outcome = job.run();
        self.driver.storage.heal();
        let result = self.driver.log.on_compaction(outcome);
        assert!(result.is_ok() || failing_sync.is_some(), "{result:?}");
    }

    /// Without `survive` power fails while nothing is being written; with it, in the middle of a group.
    fn crash(&mut self, survive: Option<u64>) {
        let storage = self.driver.storage.clone();
        let metadata = self.all.metadata.clone();
        if let Some(bytes) = survive {
            storage.fail(Fault {
                operation: Operation::Write,
                after: 0,
                kind: ErrorKind::Other,
                torn_bytes: bytes as usize,
                sticky: true,
            });
            if let Some(job) = self.driver.log.take_commit(0, || metadata) {
                self.driver.log.on_commit(job.run()).unwrap_err();
            }
        }
        storage.heal();
        storage.crash(survive.map_or(Survive::Nothing, Survive::Prefix));
        self.reopen(survive.is_some());
    }

    /// Opens what is there; something may be missing if the last group was not written wholly.
    fn reopen(&mut self, is_torn: bool) {
        let storage = self.driver.storage.clone();
        (self.checkpoint, self.compaction) = (None, None);
        self.reads.clear();
        self.driver = Driver::open(&storage, options()).unwrap();
        for log in 0..3 {
            self.driver.log.set_settings(LogId(log), settings(log));
        }
        let found = self.observe();
        let possible = self.possible.iter().position(|state| state.allows(&found));
        assert!(
            possible.is_some_and(|index| is_torn || index == 0),
            "{found:?} of {:?}",
            self.possible
        );
        self.all = found;
        self.made_durable();
    }

    /// The state as the driver's log shows it after opening.
    fn observe(&mut self) -> Oracle {
        let mut metadata = self.driver.snapshot.as_deref().unwrap_or_default().to_vec();
        metadata.extend(self.driver.metadata.iter().flatten());
        let mut found = Oracle {
            metadata,
            ..Oracle::default()
        };
        for log in 0..3 {
            let offsets = self.driver.log.offsets(LogId(log as u32)).unwrap();
            found.starts[log] = offsets.start;
            found.ends[log] = offsets.end;
            found.batches[log] = self.driver.read_all(LogId(log as u32), 4000);
            self.search(LogId(log as u32), &found.batches[log]);
        }
        found
    }

    /// Every batch is found by its offset and, if it is the first of its time or later, by that.
    fn search(&mut self, log: LogId, batches: &[(i64, Bytes)]) {
        let limit = ReadLimit {
            max_bytes: 1,
            at_least_one: true,
        };
        let start = self.driver.log.offsets(log).unwrap().start;
        for (base, batch) in batches.iter().rev() {
            let offset = start.max(*base);
            let opened = &mut self.driver.log;
            let read = opened
                .read(log, offset, limit, Isolation::ReadUncommitted)
                .unwrap();
            assert_eq!(opened.contiguous(read.chunks).slice(16..), batch, "at {offset}");
        }
        for time in (0..TIMES as i64).step_by(9) {
            let found = self.driver.log.find_by_time(log, time, start).unwrap();
            let found = found.map(|batch| BatchHeader::parse(&batch).unwrap());
            let is_later = |(_, batch): &&(i64, Bytes)| batch[19..27] >= time.to_be_bytes()[..];
            let expected = batches.iter().find(is_later).map(|(base, _)| *base);
            assert_eq!(found.map(|header| header.base_offset), expected, "time {time}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_reads_back_after_any_crash(steps in proptest::collection::vec(step(), 1..250)) {
        let mut run = Run::start();
        for step in &steps {
            run.step(step);
        }
        run.commit();
        run.crash(None);
    }
}
