//! Sources that wait for each other, in virtual time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use millstream_dataflow::SteppedJob;
use millstream_datastream::Result;
use millstream_datastream::source::{Boundedness, ReaderOutput, ReaderStatus, Source, SplitReader};
use millstream_datastream::watermark::WatermarkStrategy;

use crate::host::environment;
use crate::recovery::MS;

/// What a test puts in and looks at, from outside of the source.
#[derive(Clone, Default)]
struct Splits(Arc<Mutex<Vec<VecDeque<i64>>>>);

impl Splits {
    fn new(splits: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![VecDeque::new(); splits])))
    }

    fn put(&self, split: usize, times: impl IntoIterator<Item = i64>) {
        self.0.lock().unwrap()[split].extend(times);
    }

    fn left(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(VecDeque::len).collect()
    }
}

/// A record of each split at a time, with its event time; `pauses`: splits wait on their own.
#[derive(Clone)]
struct Fed {
    splits: Splits,
    pauses: bool,
}

struct FedReader {
    source: Fed,
    paused: BTreeSet<String>,
}

impl Source for Fed {
    type Item = i64;
    type Split = usize;
    type Reader = FedReader;

    fn name(&self) -> String {
        "Fed".to_owned()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::ContinuousUnbounded
    }

    fn splits(&self) -> Result<Vec<usize>> {
        Ok((0..self.splits.left().len()).collect())
    }

    fn split_id(&self, split: &usize) -> String {
        split.to_string()
    }

    fn create_reader(&self) -> Result<FedReader> {
        Ok(FedReader {
            source: self.clone(),
            paused: BTreeSet::new(),
        })
    }
}

impl SplitReader<i64, usize> for FedReader {
    fn add_split(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn pause_splits(&mut self, paused: &BTreeSet<String>) {
        if self.source.pauses {
            self.paused.clone_from(paused);
        }
    }

    fn poll(&mut self, out: &mut ReaderOutput<i64>) -> Result<ReaderStatus> {
        let now_ms = out.current_processing_time();
        for (split, times) in self.source.splits.0.lock().unwrap().iter_mut().enumerate() {
            let name = split.to_string();
            if !self.paused.contains(&name)
                && let Some(time) = times.pop_front()
            {
                out.collect_with_timestamp(&name, time, time);
            }
        }
        Ok(ReaderStatus::PendingUntil(now_ms + 1))
    }

    fn snapshot(&mut self) -> Result<Vec<usize>> {
        Ok(Vec::new())
    }
}

/// A job of sources in one group, which may be ten milliseconds apart and look at each other in every millisecond.
fn job(sources: &[Fed]) -> SteppedJob {
    let env = environment(1);
    env.set("pipeline.auto-watermark-interval", "0 ms");
    for (number, source) in sources.iter().enumerate() {
        let strategy = WatermarkStrategy::for_monotonous_timestamps();
        let strategy = strategy.with_watermark_alignment("group", MS(10), MS(1));
        let stream = env.from_source(source.clone(), strategy, &number.to_string());
        stream.discard();
    }
    let (graph, _) = env.into_graph().unwrap();
    SteppedJob::start(&graph, 0, None).unwrap()
}

fn run(job: &mut SteppedJob, until_ms: i64) {
    for now_ms in 0..=until_ms {
        job.run(now_ms).unwrap();
    }
}

fn fed(splits: usize, pauses: bool) -> Fed {
    Fed {
        splits: Splits::new(splits),
        pauses,
    }
}

#[test]
fn a_fast_source_waits_for_a_slow_one() {
    let (fast, slow) = (fed(1, false), fed(1, false));
    fast.splits.put(0, (0..100).map(|n| n * 10));
    slow.splits.put(0, [100]);
    let mut job = job(&[fast.clone(), slow.clone()]);
    run(&mut job, 200);
    // The slow one is at 100: records up to 110 are within the drift, and the one behind shows that it is too much.
    assert_eq!(fast.splits.left(), [100 - 13]);
    slow.splits.put(0, [205]);
    run(&mut job, 400);
    assert_eq!(fast.splits.left(), [100 - 23]);
}

#[test]
fn splits_wait_on_their_own_if_the_source_can_do_that() {
    let (mixed, slow) = (fed(2, true), fed(1, true));
    mixed.splits.put(0, (0..100).map(|n| n * 10));
    mixed.splits.put(1, (0..10).map(|n| 20 + n));
    slow.splits.put(0, [50]);
    let mut job = job(&[mixed.clone(), slow.clone()]);
    run(&mut job, 300);
    // The slowest is the second split, at 29; both of the first source share its watermark.
    assert_eq!(mixed.splits.left()[1], 0);
    let waiting = mixed.splits.left()[0];
    assert!((1..100).contains(&waiting), "{waiting}");
    mixed.splits.put(1, [45]);
    run(&mut job, 600);
    assert!(mixed.splits.left()[0] < waiting, "the first split is read again");
    assert!(mixed.splits.left()[0] > 0, "the first split waits again");
}
