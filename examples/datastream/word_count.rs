//! Word count over windows of ten seconds, from topic to topic, exactly once.
//!
//!     echo 'to be or not to be' | millstream topic produce input
//!     cargo run -p millstream --example word_count
//!     millstream topic tail output --from-beginning
//!
//! `--event-time` counts by the timestamps of the records, as `examples/seeds/word_count.sql` does; without it the clock
//! makes the windows.

use millstream::prelude::*;

pub fn words(lines: DataStream<String>) -> DataStream<(String, i64)> {
    lines.flat_map(|line: String, out| {
        for word in line.split_whitespace() {
            out.collect((word.to_owned(), 1_i64));
        }
    })
}

pub fn counts(lines: DataStream<String>, by_event_time: bool) -> DataStream<String> {
    let words = words(lines).key_by_ref(|(word, _)| word);
    let size = Duration::from_secs(10);
    let counts = if by_event_time {
        words
            .window(TumblingEventTimeWindows::of(size))
            .reduce(|a, b| (a.0, a.1 + b.1))
    } else {
        words
            .window(TumblingProcessingTimeWindows::of(size))
            .reduce(|a, b| (a.0, a.1 + b.1))
    };
    counts.map(|(word, count)| format!("{word},{count}"))
}

#[allow(dead_code)]
fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topics(["input"])
        .group_id("word-count")
        .starting_offsets(OffsetsInitializer::earliest())
        .value_only(SimpleStringSchema)
        .build()?;
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(DeliveryGuarantee::ExactlyOnce)
        .record_serializer(Record::to("output").value(SimpleStringSchema))
        .build()?;
    let by_event_time = std::env::args().any(|argument| argument == "--event-time");
    let strategy = if by_event_time {
        WatermarkStrategy::for_monotonous_timestamps()
    } else {
        WatermarkStrategy::no_watermarks()
    };
    counts(env.from_source(source, strategy, "input"), by_event_time).sink_to(sink);
    env.execute("word count")?;
    Ok(())
}
