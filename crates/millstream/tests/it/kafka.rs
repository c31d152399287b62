//! What `KafkaSource` and `KafkaSink` do with whole records, against the embedded broker.

use millstream::prelude::*;
use millstream::sink::{DeliveryGuarantee, KafkaSink, Record};
use millstream::source::{KafkaRecord, KafkaSource, OffsetsInitializer, SimpleStringSchema};

use crate::kill::{environment, free_address};

fn produce(
    env: &StreamExecutionEnvironment,
    guarantee: DeliveryGuarantee,
    record: Record<i64>,
    numbers: Vec<i64>,
) {
    let sink = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .delivery_guarantee(guarantee)
        .record_serializer(record)
        .build()
        .unwrap();
    env.from_collection(numbers).sink_to(sink);
    env.execute("produce").unwrap();
}

fn text(number: &i64, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

/// A record in words; `None` skips those without a key.
fn described(record: &KafkaRecord<'_>) -> Result<Option<String>> {
    let Some(key) = record.key else { return Ok(None) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<String> = record
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let (value, last) = (record.value.map(text), record.headers.last("n").map(text));
    Ok(Some(format!(
        "{}-{} {}: {} [{}] {}",
        record.topic,
        record.partition,
        text(key),
        value.unwrap_or_default(),
        headers.join(","),
        last.unwrap_or_default()
    )))
}

fn read(env: &StreamExecutionEnvironment, starting: OffsetsInitializer) -> Vec<String> {
    let source = KafkaSource::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .topic_pattern("numbers-.*")
        .group_id("readers")
        .property("isolation.level", "read_committed")
        .starting_offsets(starting)
        .bounded(OffsetsInitializer::latest())
        .deserializer(described)
        .build()
        .unwrap();
    let rows = env
        .from_source(source, WatermarkStrategy::no_watermarks(), "records")
        .execute_and_collect("read")
        .unwrap();
    let mut rows: Vec<String> = rows.map(Result::unwrap).collect();
    rows.sort();
    rows
}

#[test]
fn records_keep_keys_headers_and_partitions() {
    let directory = tempfile::tempdir().unwrap();
    let env = environment(directory.path(), &free_address());
    env.set_parallelism(2);
    let key = |number: &i64, out: &mut Vec<u8>| text(&(number * 10), out);
    let headers = |number: &i64| -> Vec<(String, Vec<u8>)> {
        let count = number.rem_euclid(3);
        (0..count)
            .map(|i| ("n".to_owned(), (number + i).to_string().into_bytes()))
            .collect()
    };
    let record =
        Record::to_topic_of(|number: &i64| format!("numbers-{}", if *number < 0 { "low" } else { "high" }))
            .key(key)
            .value(text)
            .headers(headers)
            .partition(|number| *number);
    for topic in ["numbers-low", "numbers-high"] {
        let created = Record::to(topic).value(text).partition(|_| 0);
        produce(&env, DeliveryGuarantee::AtLeastOnce, created, vec![100]);
    }
    produce(&env, DeliveryGuarantee::ExactlyOnce, record, vec![-1, 0, 1, 2, 5]);
    let expected = [
        "numbers-high-0 0: 0 [] ",
        "numbers-high-1 10: 1 [n=1] 1",
        "numbers-high-2 20: 2 [n=2,n=3] 3",
        "numbers-high-2 50: 5 [n=5,n=6] 6",
        "numbers-low-2 -10: -1 [n=-1,n=0] 0",
    ];
    assert_eq!(read(&env, OffsetsInitializer::earliest()), expected);
    assert_eq!(read(&env, OffsetsInitializer::timestamp(0)), expected);
    assert!(read(&env, OffsetsInitializer::latest()).is_empty());
    let unnamed = KafkaSink::builder()
        .bootstrap_servers(env.bootstrap_servers())
        .record_serializer(Record::to("numbers-low").key(SimpleStringSchema))
        .build();
    assert!(unnamed.is_err(), "a record without a value");
}
