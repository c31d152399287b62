//! `millstream topic tail`: prints records.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use millstream_kafka_client::admin::OffsetSpec;
use millstream_kafka_client::{FetchEvent, FetchedRecords, Fetcher, TopicPartition};
use millstream_kafka_wire::KafkaString;
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::record_batch::Record;
use serde_json::{Value, json};

use crate::args::TailArgs;
use crate::commands::connect::Connected;
use crate::process::Process;

/// Decompressed bytes of one record batch.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Bytes taken from the fetcher at a time.
const TAKE_BYTES: usize = 1 << 20;

/// Prints records until the end, the limit, or Ctrl-C.
pub fn run(process: &Process, connected: &Connected, args: &TailArgs, is_json: bool) -> anyhow::Result<()> {
    process.runtime.block_on(async {
        tokio::select! {
            done = tail(connected, args, is_json) => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

/// The partitions that are read, with the offset at which each starts and the end that it had at the beginning.
type Ranges = BTreeMap<TopicPartition, (i64, i64)>;

async fn ranges(connected: &Connected, args: &TailArgs) -> anyhow::Result<Ranges> {
    let (client, name) = (&connected.client, args.name.as_str());
    let isolation = connected.config.fetch.isolation_level;
    let metadata = client.topics(&[KafkaString::from(name)], false).await?;
    let topic = metadata
        .topic(name)
        .ok_or_else(|| anyhow::anyhow!("topic '{name}' does not exist"))?;
    let numbers = topic.partitions.iter().map(|p| p.partition);
    let partitions: Vec<TopicPartition> = numbers
        .filter(|number| args.partition.is_none_or(|only| only == *number))
        .map(|number| TopicPartition::new(name, number))
        .collect();
    if let (Some(partition), true) = (args.partition, partitions.is_empty()) {
        anyhow::bail!(
            "topic '{name}' has no partition {partition}; it has {}",
            topic.partitions.len()
        );
    }
    let all = |spec: OffsetSpec| -> BTreeMap<TopicPartition, OffsetSpec> {
        partitions.iter().map(|p| (p.clone(), spec)).collect()
    };
    let ends = client.list_offsets(&all(OffsetSpec::Latest), isolation).await?;
    let begins = match args.from_beginning {
        true => client.list_offsets(&all(OffsetSpec::Earliest), isolation).await?,
        false => ends.clone(),
    };
    let range = |p: TopicPartition| {
        let start = args
            .offset
            .unwrap_or_else(|| begins.get(&p).map_or(0, |o| o.offset));
        let end = ends.get(&p).map_or(0, |o| o.offset);
        (p, (start, end))
    };
    Ok(partitions.into_iter().map(range).collect())
}

async fn tail(connected: &Connected, args: &TailArgs, is_json: bool) -> anyhow::Result<()> {
    let mut left = ranges(connected, args).await?;
    if args.exit_at_end {
        left.retain(|_, (start, end)| start < end);
    }
    let fetcher = Fetcher::start(connected.client.clone(), connected.config.fetch.clone());
    for (partition, (start, _)) in &left {
        fetcher.assign(partition.clone(), *start);
    }
    let mut printer = Printer {
        printed: 0,
        args,
        is_json,
        decompressor: Decompressor::new(),
    };
    while !left.is_empty() || !args.exit_at_end {
        fetcher.ready().await;
        for event in fetcher.poll(TAKE_BYTES) {
            match event {
                FetchEvent::Records(records) => {
                    let range = left.get(&records.partition).filter(|_| args.exit_at_end);
                    let end = range.map(|(_, end)| *end);
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
    args: &'a TailArgs,
    is_json: bool,
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
                match self.is_json {
                    true => writeln!(out, "{}", as_json(&records.partition, &record))?,
                    false => self.line(&mut out, &records.partition, &record)?,
                }
                self.printed += 1;
                if self.args.max_records.is_some_and(|max| self.printed >= max) {
                    return Ok(true);
                }
            }
        }
        out.flush()?;
        Ok(false)
    }

    /// What is asked for in the order of kafka-console-consumer, with tabs between.
    fn line(
        &self,
        out: &mut impl Write,
        partition: &TopicPartition,
        record: &Record<'_>,
    ) -> std::io::Result<()> {
        let args = self.args;
        if args.print_timestamp {
            write!(out, "CreateTime:{}\t", record.timestamp)?;
        }
        if args.print_partition {
            write!(out, "Partition:{}\t", partition.partition)?;
        }
        if args.print_offset {
            write!(out, "Offset:{}\t", record.offset)?;
        }
        if args.print_headers {
            if record.headers.is_empty() {
                out.write_all(b"NO_HEADERS")?;
            }
            for (position, (key, value)) in record.headers.iter().enumerate() {
                let comma = if position > 0 { "," } else { "" };
                write!(
                    out,
                    "{comma}{key}:{}",
                    String::from_utf8_lossy(value.unwrap_or(b"null"))
                )?;
            }
            out.write_all(b"\t")?;
        }
        if args.print_key {
            out.write_all(record.key.unwrap_or(b"null"))?;
            out.write_all(args.key_separator.as_deref().unwrap_or("\t").as_bytes())?;
        }
        out.write_all(record.value.unwrap_or(b"null"))?;
        out.write_all(b"\n")
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
