//! More programs that are interrupted and continued at other parallelisms, as in [`crate::recovery`].

use std::time::Duration;

use millstream_datastream::context::KeyedContext;
use millstream_datastream::environment::Stateful;
use millstream_datastream::functions::{AggregateFunction, KeyedCoProcessFunction, KeyedProcessFunction};
use millstream_datastream::state::{
    AggregatingState, ListState, MapState, ReducingState, RuntimeContext, StateDescriptor, StateTtlConfig,
    ValueState,
};
use millstream_datastream::window::{SlidingEventTimeWindows, TumblingEventTimeWindows};
use millstream_datastream::{Collector, Result};

use crate::coverage::program_of;
use crate::recovery::{MS, Row, assert_recovers, contents};

/// The number of rows.
#[derive(Clone)]
pub struct Count;

impl AggregateFunction<Row, String> for Count {
    type Accumulator = (String, u32);
    fn create_accumulator(&self) -> (String, u32) {
        (String::new(), 0)
    }
    fn add(&self, accumulator: &mut (String, u32), row: Row) {
        *accumulator = (row.0, accumulator.1 + 1);
    }
    fn get_result(&self, accumulator: &(String, u32)) -> String {
        format!("{} {}", accumulator.0, accumulator.1)
    }
    fn merge(&self, a: (String, u32), b: (String, u32)) -> (String, u32) {
        (a.0, a.1 + b.1)
    }
}

/// Counts the rows of a key in each shape of state, some with a time to live that is never over.
#[derive(Clone, Default)]
struct Counts {
    reducing: ReducingState<i64>,
    aggregating: AggregatingState<Row, String, Count>,
    value: ValueState<i64>,
    list: ListState<String>,
    map: MapState<String, i64>,
}

impl KeyedProcessFunction<String, Row, String> for Counts {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        let living = |name| StateDescriptor::new(name).ttl(StateTtlConfig::new(Duration::from_secs(3600)));
        self.reducing = ctx.reducing_state("reducing", |a, b| a + b)?;
        self.aggregating = ctx.aggregating_state("aggregating", Count)?;
        self.value = ctx.value_state(living("value"))?;
        self.list = ctx.list_state(living("list"))?;
        self.map = ctx.map_state(living("map"))?;
        Ok(())
    }

    fn process_element(
        &mut self,
        row: Row,
        ctx: &mut KeyedContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        self.reducing.add(ctx, 1);
        let value = self.value.value(ctx).copied().unwrap_or(0) + 1;
        self.value.update(ctx, value);
        self.list.add(ctx, row.0.clone());
        let entry = self.map.get(ctx, &row.0).copied().unwrap_or(0) + 1;
        self.map.put(ctx, row.0.clone(), entry);
        self.aggregating.add(ctx, row)?;
        let reducing = self.reducing.get(ctx).copied();
        let list = self.list.get(ctx).count();
        let aggregating = self.aggregating.get(ctx)?;
        out.collect(format!("{reducing:?} {aggregating:?} {value} {list} {entry}"));
        Ok(())
    }
}

#[test]
fn reducing_and_aggregating_state_and_times_to_live() {
    assert_recovers(|_, data, _| data.key_by_ref(|row| &row.0).process(Counts::default()));
}

/// Gives numbers with the name of their key, which came long before.
#[derive(Clone, Default)]
pub struct Named {
    name: ValueState<String>,
}

impl KeyedCoProcessFunction<String, Row, Row, String> for Named {
    fn open(&mut self, ctx: &mut RuntimeContext<'_>) -> Result<()> {
        self.name = ctx.value_state("name")?;
        Ok(())
    }

    fn process_element1(
        &mut self,
        (key, n): Row,
        ctx: &mut KeyedContext<'_, String>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        out.collect(format!("{key} {n} {:?}", self.name.value(ctx)));
        Ok(())
    }

    fn process_element2(
        &mut self,
        (_, n): Row,
        ctx: &mut KeyedContext<'_, String>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        self.name.update(ctx, format!("rule {n}"));
        Ok(())
    }
}

#[test]
fn connected_keyed_streams() {
    assert_recovers(program_of(Stateful::KeyedCoProcess));
}

#[test]
fn sliding_windows() {
    assert_recovers(|_, data, _| {
        let windows = SlidingEventTimeWindows::of(MS(60), MS(20));
        data.key_by_ref(|row| &row.0).window(windows).process(contents)
    });
}

#[test]
fn aggregates_of_windows() {
    assert_recovers(program_of(Stateful::WindowAggregate));
}

#[test]
fn window_joins() {
    assert_recovers(|_, data, _| {
        let windows = TumblingEventTimeWindows::of(MS(20));
        data.join(&data).on(
            |a| a.0.clone(),
            |b| b.0.clone(),
            windows,
            |a, b| format!("{} {} {}", a.0, a.1, b.1),
        )
    });
}

#[test]
fn co_groups() {
    assert_recovers(|_, data, _| {
        let windows = TumblingEventTimeWindows::of(MS(20));
        let all = data.map(|row| row);
        data.co_group(&all)
            .on(|a| a.0.clone(), |b| b.0.clone(), windows)
            .apply(|a: &[Row], b: &[Row], out: &mut Collector<String>| {
                let mut rows: Vec<&Row> = a.iter().chain(b).collect();
                rows.sort();
                out.collect(format!("{rows:?}"));
            })
    });
}

#[test]
fn windows_with_an_evictor() {
    assert_recovers(program_of(Stateful::EvictingWindow));
}
