//! Late data: sums of a minute fire again for records up to half a minute late, and later ones go to a topic of their own.
//!
//!     echo '{"key":"a","value":1,"ts":0}' | millstream topic produce input
//!     cargo run -p millstream --example late_data
//!     millstream topic tail late --from-beginning

use millstream::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    pub key: String,
    pub value: i64,
    /// Milliseconds since the epoch.
    pub ts: i64,
}

const LATE: OutputTag<Event> = OutputTag::new("late");

pub fn watermarks() -> WatermarkStrategy<Event> {
    WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|event: &Event, _| event.ts)
}

/// The sums, and the events that were too late for them.
pub fn sums(events: DataStream<Event>) -> (DataStream<Event>, DataStream<Event>) {
    let sums = events
        .key_by_ref(|event| &event.key)
        .window(TumblingEventTimeWindows::of(Duration::from_secs(60)))
        .allowed_lateness(Duration::from_secs(30))
        .side_output_late_data(LATE)
        .sum_by(|event| &mut event.value);
    let late = sums.get_side_output(LATE);
    (sums, late)
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("late-data")
        .value_only(JsonSchema::<Event>::new())
        .build()?;
    let to = |topic: &str| {
        KafkaSink::builder()
            .bootstrap_servers(env.bootstrap_servers())
            .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
            .record_serializer(Record::to(topic).value(JsonSchema::<Event>::new()))
            .build()
    };
    let (sums, late) = sums(env.from_source(source, watermarks(), "input"));
    sums.sink_to(to("output")?);
    late.sink_to(to("late")?);
    env.execute("late data")?;
    Ok(())
}
