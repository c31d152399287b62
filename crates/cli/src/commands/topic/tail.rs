//! `millstream topic tail`: prints records.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::time::Duration;

use millstream_kafka_client::admin::{CommittedOffset, OffsetSpec};
use millstream_kafka_client::{FetchEvent, FetchedRecords, Fetcher, TopicPartition};
use millstream_kafka_wire::compression::Decompressor;
use millstream_kafka_wire::record_batch::{Record, TimestampType};
use millstream_kafka_wire::{ErrorCode, KafkaString};
use serde_json::{Value, json};

use crate::args::{Common, StartOffset, TailArgs};
use crate::commands::connect::{Connected, say};
use crate::commands::group::active_state;
use crate::process::Process;

/// Maximum decompressed size of a record batch.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Bytes taken from the fetcher at once.
const TAKE_BYTES: usize = 1 << 20;
/// Commit interval of `--group`, equal to `auto.commit.interval.ms`.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// Interval for polling a topic that does not exist yet.
const TOPIC_LOOK: Duration = Duration::from_millis(500);
/// Stands for an unlimited wait.
const NO_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Prints records until the end, the limit, the timeout, or Ctrl-C.
pub fn run(
    process: &Process,
    common: &Common,
    connected: &Connected,
    args: &TailArgs,
    is_json: bool,
) -> anyhow::Result<()> {
    process.runtime.block_on(async {
        if let Some(group) = &args.group
            && let Some(state) = active_state(&connected.client, group).await?
        {
            anyhow::bail!(
                "group '{group}' has members (its state is {state}), and this command does not join it; stop them first, or \
                 name another group"
            );
        }
        if !args.exit_at_end && !topic_comes(common, connected, args).await? {
            return Ok(());
        }
        let left = ranges(connected, args).await?;
        let mut tail = Tail {
            connected,
            args,
            left,
            committed: Offsets::new(),
            printer: Printer {
                printed: 0,
                next: Offsets::new(),
                args,
                is_json,
                decompressor: Decompressor::new(),
            },
        };
        let done = tokio::select! {
            done = tail.run(common) => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        // Commits what was printed, even after an error.
        let committed = tail.commit().await;
        done.and(committed)
    })
}

type Offsets = BTreeMap<TopicPartition, i64>;

/// The partitions to read, with start offsets and the end offsets at the beginning.
type Ranges = BTreeMap<TopicPartition, (i64, i64)>;

/// Waits for a topic to exist. Returns `false` after Ctrl-C or the time of `--timeout-ms`.
async fn topic_comes(common: &Common, connected: &Connected, args: &TailArgs) -> anyhow::Result<bool> {
    let exists = async || {
        let names = [KafkaString::from(args.name.as_str())];
        match connected.client.topics(&names, false).await {
            Ok(_) => anyhow::Ok(true),
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Ok(false),
            Err(error) => Err(error.into()),
        }
    };
    // The time limit starts with the first response: a slow one does not make an existing topic a missing one.
    let exists_already = tokio::select! {
        exists_already = exists() => exists_already?,
        _ = tokio::signal::ctrl_c() => return Ok(false),
    };
    if exists_already {
        return Ok(true);
    }
    say(
        common,
        &format!("waiting for topic '{}'; Ctrl-C stops", args.name),
    );
    let wait = async {
        loop {
            tokio::time::sleep(TOPIC_LOOK).await;
            if exists().await? {
                return anyhow::Ok(true);
            }
        }
    };
    let patience = args.timeout_ms.map_or(NO_TIMEOUT, Duration::from_millis);
    tokio::select! {
        came = wait => came,
        () = tokio::time::sleep(patience) => {
            say(common, &format!("topic '{}' did not come for {} ms", args.name, patience.as_millis()));
            Ok(false)
        }
        _ = tokio::signal::ctrl_c() => Ok(false),
    }
}

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
    let is_from_beginning = args.from_beginning || args.offset == Some(StartOffset::Earliest);
    let begins = if is_from_beginning {
        client.list_offsets(&all(OffsetSpec::Earliest), isolation).await?
    } else {
        ends.clone()
    };
    let committed = match &args.group {
        Some(group) => client.committed_offsets(group, Some(&partitions), false).await?,
        None => BTreeMap::new(),
    };
    let range = |p: TopicPartition| {
        let begin = || begins.get(&p).map_or(0, |o| o.offset);
        let start = match (args.offset, committed.get(&p)) {
            (Some(StartOffset::At(offset)), _) => offset,
            (_, Some(committed)) => committed.offset,
            _ => begin(),
        };
        let end = ends.get(&p).map_or(0, |o| o.offset);
        (p, (start, end))
    };
    Ok(partitions.into_iter().map(range).collect())
}

/// A reading of a topic.
struct Tail<'a> {
    connected: &'a Connected,
    args: &'a TailArgs,
    /// Partitions that are not read to their end yet.
    left: Ranges,
    /// The offsets that `--group` has committed.
    committed: Offsets,
    printer: Printer<'a>,
}

impl Tail<'_> {
    async fn run(&mut self, common: &Common) -> anyhow::Result<()> {
        if self.args.group.is_some() {
            // Even if nothing is printed, the group gets a position.
            let starts = self.left.iter().map(|(p, (start, _))| (p.clone(), *start));
            self.printer.next = starts.collect();
        }
        if self.args.exit_at_end {
            self.left.retain(|_, (start, end)| start < end);
        }
        let fetch = self.connected.config.fetch.clone();
        let fetcher = Fetcher::start(self.connected.client.clone(), fetch);
        for (partition, (start, _)) in &self.left {
            fetcher.assign(partition.clone(), *start);
        }
        let timeout = self.args.timeout_ms.map_or(NO_TIMEOUT, Duration::from_millis);
        let mut silence = std::pin::pin!(tokio::time::sleep(timeout));
        let mut commits = tokio::time::interval(COMMIT_INTERVAL);
        while !self.left.is_empty() || !self.args.exit_at_end {
            tokio::select! {
                biased;
                () = fetcher.ready() => {
                    let printed = self.printer.printed;
                    if self.take(&fetcher)? {
                        return Ok(());
                    }
                    if self.printer.printed > printed {
                        silence.set(tokio::time::sleep(timeout));
                    }
                }
                () = &mut silence => {
                    say(common, &format!("no record came for {} ms", timeout.as_millis()));
                    return Ok(());
                }
                _ = commits.tick(), if self.args.group.is_some() => self.commit().await?,
            }
        }
        Ok(())
    }

    /// Prints what was fetched. Returns whether the limit is reached.
    fn take(&mut self, fetcher: &Fetcher) -> anyhow::Result<bool> {
        for event in fetcher.poll(TAKE_BYTES) {
            match event {
                FetchEvent::Records(records) => {
                    let range = self
                        .left
                        .get(&records.partition)
                        .filter(|_| self.args.exit_at_end);
                    let end = range.map(|(_, end)| *end);
                    if self.printer.print(&records, end)? {
                        return Ok(true);
                    }
                    if end.is_some_and(|end| records.next_offset >= end) {
                        fetcher.unassign(&records.partition);
                        self.left.remove(&records.partition);
                    }
                }
                FetchEvent::Reset { partition, from, to } => {
                    eprintln!("offset {from} of {partition} is not in the log any more; going on at {to}");
                }
                FetchEvent::Failed { error, .. } => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Commits changed offsets for `--group`.
    async fn commit(&mut self) -> anyhow::Result<()> {
        let Some(group) = &self.args.group else {
            return Ok(());
        };
        let next = self.printer.next.iter();
        let changed: BTreeMap<_, _> = next
            .filter(|(partition, offset)| self.committed.get(partition) != Some(*offset))
            .map(|(partition, offset)| (partition.clone(), CommittedOffset::new(*offset)))
            .collect();
        if !changed.is_empty() {
            self.connected.client.commit_offsets(group, &changed).await?;
            self.committed
                .extend(changed.into_iter().map(|(p, committed)| (p, committed.offset)));
        }
        Ok(())
    }
}

struct Printer<'a> {
    printed: u64,
    /// The next offset of each partition after the printed records.
    next: Offsets,
    args: &'a TailArgs,
    is_json: bool,
    decompressor: Decompressor,
}

impl Printer<'_> {
    /// Prints records below `end`. Returns whether the limit is reached.
    fn print(&mut self, records: &FetchedRecords, end: Option<i64>) -> anyhow::Result<bool> {
        let mut out = stdout().lock();
        for fetched in &records.batches {
            let timestamp_type = match fetched.batch.header.timestamp_type() {
                TimestampType::CreateTime => "CreateTime",
                TimestampType::LogAppendTime => "LogAppendTime",
            };
            let data = fetched
                .batch
                .records_data(&mut self.decompressor, BATCH_BYTES_MAX)?;
            for record in fetched.batch.records(&data) {
                let record = record?;
                if record.offset < fetched.from_offset || end.is_some_and(|end| record.offset >= end) {
                    continue;
                }
                if self.is_json {
                    writeln!(out, "{}", as_json(&records.partition, timestamp_type, &record))?
                } else {
                    self.line(&mut out, &records.partition, timestamp_type, &record)?
                }
                self.printed += 1;
                if self.args.max_records.is_some_and(|max| self.printed >= max) {
                    out.flush()?;
                    self.next.insert(records.partition.clone(), record.offset + 1);
                    return Ok(true);
                }
            }
        }
        out.flush()?;
        let next = end.map_or(records.next_offset, |end| end.min(records.next_offset));
        self.next.insert(records.partition.clone(), next);
        Ok(false)
    }

    /// The requested fields in the order of kafka-console-consumer, separated by tabs.
    fn line(
        &self,
        out: &mut impl Write,
        partition: &TopicPartition,
        timestamp_type: &str,
        record: &Record<'_>,
    ) -> std::io::Result<()> {
        let args = self.args;
        if args.print_timestamp {
            write!(out, "{timestamp_type}:{}\t", record.timestamp)?;
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

fn as_json(partition: &TopicPartition, timestamp_type: &str, record: &Record<'_>) -> Value {
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
        "timestamp_type": timestamp_type,
        "key": text(record.key),
        "headers": headers,
        "value": text(record.value),
    })
}
