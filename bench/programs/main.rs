//! The example programs over bounded topics, beside the Java programs in `bench/java`: `cargo xtask bench programs`.
//!
//!     bench_programs NAME INPUT OUTPUT [RULES] [--each-watermark] --data-dir DIR --kafka HOST:PORT [-D KEY=VALUE]...
//!
//! A program reads what is in its topic when it starts, and ends. What lies between source and sink is that of the example.

#![allow(dead_code)] // The examples' own `main`.

use millstream::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[path = "../../examples/datastream/async_lookup.rs"]
mod async_lookup;
#[path = "../../examples/datastream/broadcast_rules.rs"]
mod broadcast_rules;
#[path = "../../examples/datastream/fraud_detection.rs"]
mod fraud_detection;
#[path = "../../examples/datastream/late_data.rs"]
mod late_data;
#[path = "../../examples/datastream/prefix_map.rs"]
mod prefix_map;
#[path = "../../examples/datastream/sensor_alerts.rs"]
mod sensor_alerts;
#[path = "../../examples/datastream/sliding_average.rs"]
mod sliding_average;
#[path = "../../examples/datastream/word_count.rs"]
mod word_count;

/// Both ends of a program.
struct Topics<'a> {
    env: &'a StreamExecutionEnvironment,
    input: String,
    output: String,
    rules: Option<String>,
}

impl Topics<'_> {
    fn source<T: millstream::Data>(
        &self,
        topic: &str,
        schema: impl millstream::source::DeserializationSchema<T>,
        strategy: WatermarkStrategy<T>,
    ) -> Result<DataStream<T>> {
        let source = KafkaSource::builder()
            .bootstrap_servers(self.env.bootstrap_servers())
            .topics([topic])
            .bounded(OffsetsInitializer::latest())
            .value_only(schema)
            .build()?;
        Ok(self.env.from_source(source, strategy, topic))
    }

    fn lines(&self, strategy: WatermarkStrategy<String>) -> Result<DataStream<String>> {
        self.source(&self.input, SimpleStringSchema, strategy)
    }

    fn json<T>(&self, strategy: WatermarkStrategy<T>) -> Result<DataStream<T>>
    where
        T: millstream::Data + DeserializeOwned,
    {
        self.source(&self.input, JsonSchema::<T>::new(), strategy)
    }

    fn write<T: millstream::Data>(
        &self,
        stream: &DataStream<T>,
        schema: impl millstream::sink::SerializationSchema<T>,
    ) -> Result<()> {
        let sink = KafkaSink::builder()
            .bootstrap_servers(self.env.bootstrap_servers())
            .delivery_guarantee(DeliveryGuarantee::AtLeastOnce)
            .record_serializer(Record::to(&self.output).value(schema))
            .build()?;
        stream.sink_to(sink);
        Ok(())
    }

    fn write_json<T: millstream::Data + Serialize>(&self, stream: &DataStream<T>) -> Result<()> {
        self.write(stream, JsonSchema::<T>::new())
    }
}

fn write_program(name: &str, topics: &Topics<'_>) -> Result<()> {
    let none = WatermarkStrategy::no_watermarks;
    match name {
        "prefix_map" => topics.write(
            &prefix_map::processed(topics.lines(WatermarkStrategy::no_watermarks())?),
            SimpleStringSchema,
        ),
        "word_count" => {
            let lines = topics.lines(WatermarkStrategy::for_monotonous_timestamps())?;
            topics.write(&word_count::counts(lines, true), SimpleStringSchema)
        }
        "sliding_average" => {
            let readings = topics.json(sliding_average::watermarks())?;
            topics.write_json(&sliding_average::means(readings))
        }
        "fraud_detection" => {
            let transactions = topics.json(fraud_detection::watermarks())?;
            topics.write_json(&fraud_detection::alerts(transactions))
        }
        "async_lookup" => topics.write_json(&async_lookup::named(&topics.json(none())?)),
        "broadcast_rules" => {
            let rules = topics.rules.as_deref().unwrap_or_default();
            let rules = topics.source(rules, JsonSchema::new(), WatermarkStrategy::no_watermarks())?;
            let payments = topics.json(WatermarkStrategy::no_watermarks())?;
            topics.write_json(&broadcast_rules::checked(payments, rules))
        }
        "sensor_alerts" => {
            let readings = topics.json(sensor_alerts::watermarks())?;
            let (alerts, warnings) = sensor_alerts::alerts(readings)?;
            topics.write(&alerts.union([warnings]), SimpleStringSchema)
        }
        "late_data" => {
            let (sums, late) = late_data::sums(topics.json(late_data::watermarks())?);
            let marked = |mark: &'static str| {
                move |event: late_data::Event| Ok(format!("{}{mark}", serde_json::to_string(&event)?))
            };
            let both = sums
                .try_map(marked(" sum"))
                .union([late.try_map(marked(" late"))]);
            topics.write(&both, SimpleStringSchema)
        }
        other => Err(Error::input(format!("no program '{other}'"))),
    }
}

fn main() -> Result<()> {
    let env = StreamExecutionEnvironment::from_args()?;
    let mut words = std::env::args().skip(1).take_while(|word| !word.starts_with('-'));
    let mut next = |what: &str| {
        words
            .next()
            .ok_or_else(|| Error::input(format!("{what} is missing")))
    };
    let name = next("the name of a program")?;
    let topics = Topics {
        env: &env,
        input: next("the input topic")?,
        output: next("the output topic")?,
        rules: next("the topic of rules").ok(),
    };
    if std::env::args().any(|word| word == "--each-watermark") {
        // A watermark after each record: results do not depend on the clock.
        env.set("millstream.batch.max-rows", "1");
        env.set_auto_watermark_interval(Duration::ZERO);
    }
    write_program(&name, &topics)?;
    env.execute(&name)?;
    Ok(())
}
