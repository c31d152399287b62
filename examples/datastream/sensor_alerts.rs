//! Alerts from a pattern: a sensor that reports two high temperatures in a row, and a third before ten seconds are over, is
//! overheated; one that does not report the third is worth a warning.
//!
//!     cargo run -p millstream --example sensor_alerts

use millstream::prelude::*;
use serde::{Deserialize, Serialize};

const TOO_HOT: f64 = 100.0;
const WARNINGS: OutputTag<String> = OutputTag::new("warnings");

#[derive(Clone, Serialize, Deserialize)]
pub struct Reading {
    pub sensor: String,
    pub at_ms: i64,
    pub celsius: f64,
}

fn overheated() -> Pattern<Reading> {
    let skip = AfterMatchSkipStrategy::SkipPastLastEvent;
    Pattern::begin_with("first", skip)
        .where_(|reading: &Reading| reading.celsius > TOO_HOT)
        .next("second")
        .where_iterative(|reading: &Reading, so_far| {
            let first = so_far.events_for_pattern("first");
            reading.celsius > TOO_HOT && first.iter().all(|first| reading.celsius > first.celsius)
        })
        .followed_by("third")
        .where_(|reading| reading.celsius > TOO_HOT)
        .within(Duration::from_secs(10))
}

pub fn watermarks() -> WatermarkStrategy<Reading> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(1))
        .with_timestamp_assigner(|reading: &Reading, _| reading.at_ms)
}

/// The alerts, and the warnings of what did not become one.
pub fn alerts(readings: DataStream<Reading>) -> Result<(DataStream<String>, DataStream<String>)> {
    let alerts = cep::pattern(&readings.key_by_ref(|reading| &reading.sensor), overheated())?
        .select_with_timeout(
            WARNINGS,
            |partial, at_ms| {
                let sensor = partial.first("first").map_or("?", |reading| &reading.sensor);
                format!("warning: {sensor} was hot before {at_ms}")
            },
            |found| {
                let third = found.first("third").map_or(0.0, |reading| reading.celsius);
                let sensor = found.first("first").map_or("?", |reading| &reading.sensor);
                format!("alert: {sensor} is at {third} degrees")
            },
        )
        .uid("overheated");
    let warnings = alerts.get_side_output(WARNINGS);
    Ok((alerts, warnings))
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["readings"])
        .group_id("sensor-alerts")
        .starting_offsets(OffsetsInitializer::earliest())
        .value_only(JsonSchema::<Reading>::new())
        .build()?;
    let (alerts, warnings) = alerts(env.from_source(source, watermarks(), "readings"))?;
    warnings.print();
    alerts.print();
    env.execute("sensor alerts")?;
    Ok(())
}
