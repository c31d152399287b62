//! Random histories against a slow and obvious oracle: a vector of batches for each log.

use crate::driver::{Driver, Produce};
use bytes::Bytes;
use millstream_log::*;
use millstream_testkit::storage::{Fault, MemStorage, Operation, Survive};
use proptest::prelude::*;
use std::io::ErrorKind;

#[derive(Debug, Clone)]
enum Step {
    Append { log: usize, count: i32, fill: usize },
    Metadata(u8),
    Commit,
    Checkpoint,
    Start { log: usize, back: i64 },
    Kill,
    Crash(Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3usize, 1..5i32, 0..3000usize).prop_map(|(log, count, fill)| Step::Append { log, count, fill }),
        2 => any::<u8>().prop_map(Step::Metadata),
        4 => Just(Step::Commit),
        2 => Just(Step::Checkpoint),
        1 => (0..3usize, 0..20i64).prop_map(|(log, back)| Step::Start { log, back }),
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

/// How many timestamps there are.
const TIMES: usize = 97;

fn options() -> LogOptions {
    LogOptions {
        checkpoint_bytes: 6000,
        tail_cache_bytes: 4000,
        ..LogOptions::default()
    }
}

/// Logs of few and of many segments.
fn settings(log: u32) -> LogSettings {
    LogSettings {
        segment_bytes: [5_000, 30_000, 1 << 30][log as usize],
        ..LogSettings::default()
    }
}

struct Run {
    driver: Driver,
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
                self.driver.owner = self.all.metadata.clone();
                self.driver.checkpoint();
                self.made_durable();
            }
            Step::Start { log, back } => {
                let end = self
                    .driver
                    .log
                    .offsets(LogId(*log as u32))
                    .unwrap()
                    .high_watermark;
                let offset = (end - back).max(self.all.starts[*log]);
                let entry = Entry::StartOffset {
                    log: LogId(*log as u32),
                    offset,
                };
                self.driver
                    .log
                    .append_record(0, &Record { entries: vec![entry] })
                    .unwrap();
                self.all.starts[*log] = offset;
                let batches = &mut self.all.batches[*log];
                let first = batches.iter().rposition(|(base, _)| *base <= offset).unwrap_or(0);
                batches.drain(..first);
                if offset == self.all.ends[*log] {
                    batches.clear();
                }
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
            self.driver.log.on_checkpoint(job.run()).unwrap();
        }
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
        self.driver = Driver::open(&storage, options()).unwrap();
        for log in 0..3 {
            self.driver.log.set_settings(LogId(log), settings(log));
        }
        let found = self.observe();
        let possible = self.possible.iter().position(|state| *state == found);
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
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_reads_back_after_any_crash(steps in proptest::collection::vec(step(), 1..60)) {
        let mut run = Run::start();
        for step in &steps {
            run.step(step);
        }
        run.commit();
        run.crash(None);
    }
}
