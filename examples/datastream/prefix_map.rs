//! The smallest job: each message of topic `input` with "processed-" in front, in topic `output`.
//!
//!     echo hello | millstream topic produce input
//!     cargo run -p millstream --example prefix_map
//!     millstream topic tail output --from-beginning
//!
//! The SQL beside it is `examples/seeds/prefix_map.sql`.

use millstream::prelude::*;

pub fn processed(messages: DataStream<String>) -> DataStream<String> {
    messages.map(|message| format!("processed-{message}"))
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("processed")
        .value_only(SimpleStringSchema)
        .build()?;
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::AtLeastOnce)
        .record_serializer(Record::to("output").value(SimpleStringSchema))
        .build()?;
    let messages = env.from_source(source, WatermarkStrategy::no_watermarks(), "input");
    processed(messages).sink_to(sink);
    env.execute("processed")?;
    Ok(())
}
