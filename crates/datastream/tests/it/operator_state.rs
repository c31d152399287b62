//! State of functions that belongs to no key.

use millstream_datastream::context::{Context, FunctionInitializationContext, FunctionSnapshotContext};
use millstream_datastream::environment::Stateful;
use millstream_datastream::functions::{CheckpointedFunction, ProcessFunction};
use millstream_datastream::testing::OneInputStreamOperatorTestHarness;
use millstream_datastream::{Collector, DataStream, Result};

use crate::coverage::program_of;
use crate::recovery::{Row, assert_recovers};

/// Holds back rows until there are four.
#[derive(Clone, Default)]
pub struct Buffer {
    waiting: Vec<Row>,
}

impl ProcessFunction<Row, String> for Buffer {
    fn process_element(&mut self, row: Row, _: &mut Context<'_>, out: &mut Collector<String>) -> Result<()> {
        self.waiting.push(row);
        // The last rows of a run would be left; the data are of a known end.
        if self.waiting.len() == 4 || self.waiting.iter().any(|(_, n)| *n >= 2900) {
            for (key, n) in self.waiting.drain(..) {
                out.collect(format!("{key} {n}"));
            }
        }
        Ok(())
    }
}

impl CheckpointedFunction for Buffer {
    fn initialize_state(&mut self, ctx: &mut FunctionInitializationContext<'_>) -> Result<()> {
        self.waiting = ctx.list_state("waiting")?;
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        ctx.put_list("waiting", &self.waiting)
    }
}

#[test]
fn lists_are_divided_when_a_job_continues() {
    assert_recovers(program_of(Stateful::OperatorState));
}

/// Says what it knows, and learns each number.
#[derive(Clone, Default)]
struct Knows {
    own: Vec<i64>,
    all: Vec<i64>,
}

impl ProcessFunction<i64, (usize, Vec<i64>)> for Knows {
    fn process_element(
        &mut self,
        n: i64,
        _: &mut Context<'_>,
        out: &mut Collector<(usize, Vec<i64>)>,
    ) -> Result<()> {
        self.own.push(n);
        out.collect((self.own.len(), self.all.clone()));
        Ok(())
    }
}

impl CheckpointedFunction for Knows {
    fn initialize_state(&mut self, ctx: &mut FunctionInitializationContext<'_>) -> Result<()> {
        self.own = ctx.list_state("numbers")?;
        self.all = ctx.union_list_state("numbers")?;
        self.all.sort_unstable();
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        ctx.put_list("numbers", &self.own)
    }
}

#[test]
fn a_union_list_is_given_to_every_instance() {
    let program = |numbers: DataStream<i64>| numbers.process_checkpointed(Knows::default());
    let mut harness = OneInputStreamOperatorTestHarness::new(program).set_parallelism(2);
    for n in 0..5 {
        harness.process_element(n, 0).unwrap();
    }
    let snapshot = harness.snapshot().unwrap();
    let all = Vec::from_iter(0..5);
    // (instances, elements of each after one more record)
    for (parallelism, counts) in [(2, vec![3, 4]), (1, vec![6]), (3, vec![2, 3, 3])] {
        let mut restored = OneInputStreamOperatorTestHarness::new(program).set_parallelism(parallelism);
        restored.initialize_state(&snapshot).unwrap();
        for n in 0..parallelism {
            restored.process_element(n as i64, 0).unwrap();
        }
        let rows = restored.extract_output_values();
        assert!(rows.iter().all(|(_, known)| *known == all), "{rows:?}");
        let mut found: Vec<usize> = rows.into_iter().map(|(count, _)| count).collect();
        found.sort_unstable();
        assert_eq!(found, counts, "{parallelism} instances");
    }
}
