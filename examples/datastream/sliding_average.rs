//! A sliding average: every second the mean of the last ten, for each sensor.
//!
//!     echo '{"sensor":"a","value":21.5,"ts":1704067200000}' | millstream topic produce input
//!     cargo run -p millstream --example sliding_average
//!     millstream topic tail output --from-beginning
//!
//! The SQL beside it is `examples/seeds/sliding_average.sql`.

use millstream::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    pub sensor: String,
    pub value: f64,
    /// Milliseconds since the epoch.
    pub ts: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    pub window_end: i64,
    pub sensor: String,
    pub mean: f64,
}

/// Sum and count.
#[derive(Clone)]
pub struct Average;

impl AggregateFunction<Reading, f64> for Average {
    type Accumulator = (f64, u64);

    fn create_accumulator(&self) -> (f64, u64) {
        (0.0, 0)
    }

    fn add(&self, accumulator: &mut (f64, u64), reading: Reading) {
        accumulator.0 += reading.value;
        accumulator.1 += 1;
    }

    fn get_result(&self, accumulator: &(f64, u64)) -> f64 {
        accumulator.0 / accumulator.1 as f64
    }

    fn merge(&self, a: (f64, u64), b: (f64, u64)) -> (f64, u64) {
        (a.0 + b.0, a.1 + b.1)
    }
}

pub fn watermarks() -> WatermarkStrategy<Reading> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(1))
        .with_timestamp_assigner(|reading: &Reading, _| reading.ts)
}

pub fn means(readings: DataStream<Reading>) -> DataStream<Mean> {
    let windows = SlidingEventTimeWindows::of(Duration::from_secs(10), Duration::from_secs(1));
    readings
        .key_by_ref(|reading| &reading.sensor)
        .window(windows)
        .aggregate_process(
            Average,
            |sensor: &String, ctx: &mut WindowContext<'_>, means: &[f64], out: &mut Collector<Mean>| {
                out.collect(Mean {
                    window_end: ctx.window().end,
                    sensor: sensor.clone(),
                    mean: means[0],
                });
                Ok(())
            },
        )
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("sliding-average")
        .value_only(JsonSchema::<Reading>::new())
        .build()?;
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::AtLeastOnce)
        .record_serializer(Record::to("output").value(JsonSchema::<Mean>::new()))
        .build()?;
    means(env.from_source(source, watermarks(), "input")).sink_to(sink);
    env.execute("sliding average")?;
    Ok(())
}
