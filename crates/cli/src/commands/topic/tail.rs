//! `millstream topic tail`: prints records.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::{FetchEvent, FetchedRecords, Fetcher, TopicPartition};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::record_batch::Record;
use serde_json::{Value, json};

use super::Connected;
use crate::process::Process;

/// Decompressed bytes of one record batch.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Bytes taken from the fetcher at a time.
const TAKE_BYTES: usize = 1 << 20;

/// What to print.
pub struct TailOptions {
    pub from_beginning: bool,
    pub exit_at_end: bool,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub max_records: Option<u64>,
    pub is_json: bool,
}

/// Prints records until the end, the limit, or Ctrl-C.
pub fn run(
    process: &Process,
    connected: &Connected,
    name: &str,
    options: &TailOptions,
) -> anyhow::Result<()> {
    process.runtime.block_on(async {
        tokio::select! {
            done = tail(connected, name, options) => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn tail(connected: &Connected, name: &str, options: &TailOptions) -> anyhow::Result<()> {
    let client = &connected.client;
    let isolation = connected.config.fetch.isolation_level;
    let metadata = client.topics(&[KafkaString::from(name)], false).await?;
    let topic = metadata
        .topic(name)
        .ok_or_else(|| anyhow::anyhow!("topic '{name}' does not exist"))?;
    let wanted = |p: &i32| options.partition.is_none_or(|only| only == *p);
    let partitions: Vec<TopicPartition> = topic
        .partitions
        .iter()
        .map(|p| p.partition)
        .filter(wanted)
        .map(|p| TopicPartition::new(name, p))
        .collect();
    if let (Some(partition), true) = (options.partition, partitions.is_empty()) {
        anyhow::bail!(
            "topic '{name}' has no partition {partition}; it has {}",
            topic.partitions.len()
        );
    }
    let all = |spec: OffsetSpec| -> BTreeMap<TopicPartition, OffsetSpec> {
        partitions.iter().map(|p| (p.clone(), spec)).collect()
    };
    let ends = client.list_offsets(&all(OffsetSpec::Latest), isolation).await?;
    let begins = match options.from_beginning {
        true => client.list_offsets(&all(OffsetSpec::Earliest), isolation).await?,
        false => ends.clone(),
    };
    let mut left: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    let fetcher = Fetcher::start(client.clone(), connected.config.fetch.clone());
    for partition in &partitions {
        let start = options
            .offset
            .unwrap_or_else(|| begins.get(partition).map_or(0, |o| o.offset));
        let end = ends.get(partition).map_or(0, |o| o.offset);
        if !options.exit_at_end || start < end {
            fetcher.assign(partition.clone(), start);
            left.insert(partition.clone(), end);
        }
    }
    let mut printer = Printer {
        printed: 0,
        options,
        decompressor: Decompressor::new(),
    };
    while !left.is_empty() || !options.exit_at_end {
        fetcher.ready().await;
        for event in fetcher.poll(TAKE_BYTES) {
            match event {
                FetchEvent::Records(records) => {
                    let end = left
                        .get(&records.partition)
                        .copied()
                        .filter(|_| options.exit_at_end);
                    if printer.print(&records, end)? {
                        return Ok(());
                    }
                    if end.is_some_and(|end| records.next_offset >= end) {
                        fetcher.unassign(&records.partition);
                        left.remove(&records.partition);
                    }
                }
                FetchEvent::Reset { partition, from, to } => {
                    eprintln!("offset {from} of {partition} is not in the log any more; going on at {to}");
                }
                FetchEvent::Failed { error, .. } => return Err(error.into()),
            }
        }
    }
    Ok(())
}

struct Printer<'a> {
    printed: u64,
    options: &'a TailOptions,
    decompressor: Decompressor,
}

impl Printer<'_> {
    /// Prints records below `end`; whether the limit is reached.
    fn print(&mut self, records: &FetchedRecords, end: Option<i64>) -> anyhow::Result<bool> {
        let mut out = stdout().lock();
        for fetched in &records.batches {
            let data = fetched
                .batch
                .records_data(&mut self.decompressor, BATCH_BYTES_MAX)?;
            for record in fetched.batch.records(&data) {
                let record = record?;
                if record.offset < fetched.from_offset || end.is_some_and(|end| record.offset >= end) {
                    continue;
                }
                match self.options.is_json {
                    true => writeln!(out, "{}", as_json(&records.partition, &record))?,
                    false => {
                        out.write_all(record.value.unwrap_or(b"null"))?;
                        out.write_all(b"\n")?;
                    }
                }
                self.printed += 1;
                if self.options.max_records.is_some_and(|max| self.printed >= max) {
                    return Ok(true);
                }
            }
        }
        out.flush()?;
        Ok(false)
    }
}

fn as_json(partition: &TopicPartition, record: &Record<'_>) -> Value {
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(key, value)| json!({"key": key, "value": text(value)}))
        .collect();
    json!({
        "topic": partition.topic.as_str(),
        "partition": partition.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": text(record.key),
        "headers": headers,
        "value": text(record.value),
    })
}
