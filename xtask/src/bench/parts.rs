//! The parts of the data path, each on its own, in this thread.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use arrow_buffer::Buffer;
use arrow_schema::DataType;
use bytes::Bytes;
use millstream_formats::json::{JsonDecoder, JsonEncoder, JsonOptions};
use millstream_formats::{Decoder, Encoded, Encoder, MessageRange};
use millstream_kafka_wire::compression::{Codec, Compressor, Decompressor};
use millstream_kafka_wire::record_batch::{BatchBuilder, RecordBatch, RecordColumns};
use millstream_state::GroupTable;
use millstream_types::{Batch, LogicalType, Options as FormatOptions, Schema};

use super::Options;
use super::events::Events;
use super::nexmark_events::NexmarkEvents;
use super::report::{Figures, Report};
use super::stopwatch::nanos_per_item;

/// Different events that are decoded over and over.
const EVENTS: usize = 50_000;
/// Rows of a batch, as the engine has them under load.
const BATCH_ROWS: usize = 8192;
/// Bytes of a record batch before compression.
const RECORD_BATCH_BYTES: usize = 512 << 10;
/// Rows of keys that a group table is measured with.
const GROUP_ROWS: usize = 4 << 20;

/// Messages back to back, and where each lies.
struct Messages {
    data: Buffer,
    ranges: Vec<MessageRange>,
}

impl Messages {
    fn make() -> anyhow::Result<Self> {
        let (mut events, mut text) = (Events::new(1000), Vec::new());
        Self::of(|out| {
            events.write(&mut text)?;
            out.extend_from_slice(&text);
            Ok(())
        })
    }

    /// What `write` appends, message by message.
    fn of(mut write: impl FnMut(&mut Vec<u8>) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (mut data, mut ranges) = (Vec::new(), Vec::new());
        for _ in 0..EVENTS {
            let start = data.len();
            write(&mut data)?;
            ranges.push(MessageRange::new(start as u32, (data.len() - start) as u32));
        }
        Ok(Self {
            data: Buffer::from(data),
            ranges,
        })
    }
}

fn of_fields(fields: &[(&str, LogicalType)]) -> LogicalType {
    LogicalType::row(fields.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())))
}

/// Nexmark's table, with as much of its rows as is read.
fn nexmark_schema(whole: bool) -> Schema {
    let (bigint, text, time) = (
        LogicalType::BIGINT,
        LogicalType::STRING,
        LogicalType::timestamp(3),
    );
    if !whole {
        let bid = of_fields(&[("auction", bigint.clone()), ("price", bigint)]);
        return Schema::new([("bid", bid)]);
    }
    let person = of_fields(&[
        ("id", bigint.clone()),
        ("name", text.clone()),
        ("emailAddress", text.clone()),
        ("creditCard", text.clone()),
        ("city", text.clone()),
        ("state", text.clone()),
        ("dateTime", time.clone()),
        ("extra", text.clone()),
    ]);
    let auction = of_fields(&[
        ("id", bigint.clone()),
        ("itemName", text.clone()),
        ("description", text.clone()),
        ("initialBid", bigint.clone()),
        ("reserve", bigint.clone()),
        ("dateTime", time.clone()),
        ("expires", time.clone()),
        ("seller", bigint.clone()),
        ("category", bigint.clone()),
        ("extra", text.clone()),
    ]);
    let bid = of_fields(&[
        ("auction", bigint.clone()),
        ("bidder", bigint.clone()),
        ("price", bigint),
        ("channel", text.clone()),
        ("url", text.clone()),
        ("dateTime", time),
        ("extra", text),
    ]);
    Schema::new([
        ("event_type", LogicalType::INT),
        ("person", person),
        ("auction", auction),
        ("bid", bid),
    ])
}

/// Nested events of three shapes to columns.
fn nexmark_json(add: &mut dyn FnMut(String, f64, f64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (mut events, mut text) = (NexmarkEvents::new(), Vec::new());
    let messages = Messages::of(|out| {
        events.write(&mut text)?;
        out.extend_from_slice(&text);
        Ok(())
    })?;
    let bytes = messages.data.len() as f64 / EVENTS as f64;
    for (subject, whole) in [("nexmark, whole rows", true), ("nexmark, 2 fields of bid", false)] {
        let options = JsonOptions::parse(&FormatOptions::default())?;
        let mut decoder = JsonDecoder::new(options, &nexmark_schema(whole))?;
        let nanos = nanos_per_item(|| decode(&mut decoder, &messages))?;
        add(format!("decode, {subject}"), nanos, bytes)?;
    }
    Ok(())
}

fn schema(names: &[&str]) -> Schema {
    let all = [
        ("id", LogicalType::BIGINT),
        ("k", LogicalType::STRING),
        ("ts", LogicalType::timestamp(3)),
        ("amount", LogicalType::DOUBLE),
        ("qty", LogicalType::INT),
        ("region", LogicalType::STRING),
        ("ok", LogicalType::BOOLEAN),
        ("note", LogicalType::STRING),
    ];
    Schema::new(all.into_iter().filter(|(name, _)| names.contains(name)))
}

const ALL: &[&str] = &["id", "k", "ts", "amount", "qty", "region", "ok", "note"];
const SOME: &[&str] = &["id", "k", "ts", "amount", "region", "note"];

/// JSON to columns and back.
pub fn json(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let messages = Messages::make()?;
    let bytes = messages.data.len() as f64 / EVENTS as f64;
    let mut add_sized = |subject: String, nanos: f64, bytes: f64| {
        let figures = Figures::of(subject).number("ns_per_event", nanos);
        report.add(
            "json",
            figures.number("mb_per_cpu_s", bytes * 1e3 / nanos.max(1e-9)),
        )
    };
    nexmark_json(&mut add_sized)?;
    debezium_json(&mut add_sized)?;
    let mut add = |subject: String, nanos: f64| add_sized(subject, nanos, bytes);
    for (subject, names) in [
        ("decode, 8 of 8 columns", ALL),
        ("decode, 6 of 8 columns", SOME),
        ("decode, 3 of 8 columns (k, ts, amount)", &["k", "ts", "amount"]),
        ("decode, 2 of 8 columns (k, amount)", &["k", "amount"]),
    ] {
        let options = JsonOptions::parse(&FormatOptions::default())?;
        let mut decoder = JsonDecoder::new(options, &schema(names))?;
        add(
            subject.to_owned(),
            nanos_per_item(|| decode(&mut decoder, &messages))?,
        )?;
    }
    let options = JsonOptions::parse(&FormatOptions::default())?;
    let mut decoder = JsonDecoder::new(options.clone(), &schema(SOME))?;
    let decoded = decoder.decode(&messages.data, &messages.ranges[..BATCH_ROWS])?;
    let batch = Batch::inserts(decoded.columns, decoded.rows);
    let mut encoder = JsonEncoder::new(options, &schema(SOME))?;
    let mut out = Encoded::default();
    let nanos = nanos_per_item(|| {
        out.clear();
        encoder.encode(&batch, &mut out)?;
        Ok(out.ends.len())
    })?;
    add("encode, 6 columns".to_owned(), nanos)
}

/// Events as Debezium wraps them: an update for each insertion.
fn debezium_json(add: &mut dyn FnMut(String, f64, f64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (mut events, mut row, mut before) = (Events::new(1000), Vec::new(), Vec::new());
    let messages = Messages::of(|out| {
        std::mem::swap(&mut row, &mut before);
        events.write(&mut row)?;
        let (first, operation): (&[u8], _) = if before.is_empty() {
            (b"null", 'c')
        } else {
            (&before, 'u')
        };
        out.extend_from_slice(b"{\"before\":");
        out.extend_from_slice(first);
        out.extend_from_slice(b",\"after\":");
        out.extend_from_slice(&row);
        write!(
            out,
            ",\"source\":{{\"db\":\"shop\",\"table\":\"events\"}},\"op\":\"{operation}\",\"ts_ms\":1767225600000}}"
        )?;
        if operation == 'u' {
            row.clear();
        }
        Ok(())
    })?;
    let bytes = messages.data.len() as f64 / EVENTS as f64;
    let mut decoder = millstream_formats::decoder(
        "debezium-json",
        &FormatOptions::default(),
        &schema(ALL),
        &schema(ALL),
    )?;
    let nanos = nanos_per_item(|| decode(decoder.as_mut(), &messages).map(|_| EVENTS))?;
    add("decode, debezium, 8 of 8 columns".to_owned(), nanos, bytes)
}

fn decode(decoder: &mut dyn Decoder, messages: &Messages) -> anyhow::Result<usize> {
    let mut rows = 0;
    for ranges in messages.ranges.chunks(BATCH_ROWS) {
        rows += std::hint::black_box(decoder.decode(&messages.data, ranges)?).rows;
    }
    Ok(rows)
}

/// Record batches to positions of values: checksum, decompression, varints.
pub fn record_batches(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Snappy] {
        let batches = encode_batches(codec)?;
        let (mut decompressor, mut columns) = (Decompressor::new(), RecordColumns::new(false, false));
        let nanos = nanos_per_item(|| {
            let mut records = 0;
            for bytes in &batches {
                let batch = RecordBatch::read(bytes)?;
                batch.verify_checksum()?;
                let data = batch.records_data(&mut decompressor, 64 << 20)?;
                columns.clear();
                columns.append(&batch.header, &data, 0)?;
                records += std::hint::black_box(&columns).len();
            }
            Ok(records)
        })?;
        report.add(
            "batch",
            Figures::of(format!("decode, {codec:?}")).number("ns_per_record", nanos),
        )?;
        let mut compressor = Compressor::default();
        let mut events = Events::new(1000);
        let (mut value, mut values) = (Vec::new(), Vec::new());
        for _ in 0..RECORD_BATCH_BYTES / 190 {
            values.push((events.write(&mut value)?, value.clone()));
        }
        let nanos = nanos_per_item(|| {
            let mut builder = BatchBuilder::new(codec);
            for (timestamp, value) in &values {
                builder.append(*timestamp, None, Some(value), &[]);
            }
            std::hint::black_box(builder.build(&mut compressor)?);
            Ok(values.len())
        })?;
        report.add(
            "batch",
            Figures::of(format!("encode, {codec:?}")).number("ns_per_record", nanos),
        )?;
    }
    Ok(())
}

fn encode_batches(codec: Codec) -> anyhow::Result<Vec<Bytes>> {
    let (mut events, mut value, mut batches) = (Events::new(1000), Vec::new(), Vec::new());
    let (mut builder, mut compressor) = (BatchBuilder::new(codec), Compressor::default());
    for _ in 0..EVENTS {
        let timestamp = events.write(&mut value)?;
        builder.append(timestamp, None, Some(&value), &[]);
        if builder.size() >= RECORD_BATCH_BYTES {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(codec));
            batches.push(full.build(&mut compressor)?.into());
        }
    }
    Ok(batches)
}

/// Finding the groups of random keys in a table that holds them all, and counting.
pub fn group_table(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    for keys in [1_000u64, 1_000_000, 10_000_000] {
        let bigint = |key: &[u64]| {
            let column = Int64Array::from_iter_values(key.iter().map(|k| *k as i64));
            vec![Arc::new(column) as ArrayRef]
        };
        let pair = |key: &[u64]| {
            let low = Int64Array::from_iter_values(key.iter().map(|k| (*k % 1000) as i64));
            let high = arrow_array::Int32Array::from_iter_values(key.iter().map(|k| (*k / 1000) as i32));
            vec![Arc::new(low) as ArrayRef, Arc::new(high) as ArrayRef]
        };
        let text = |key: &[u64]| {
            let column = StringViewArray::from_iter_values(key.iter().map(|k| format!("key-{k:08}")));
            vec![Arc::new(column) as ArrayRef]
        };
        group_keys(report, "BIGINT", keys, &[DataType::Int64], &bigint)?;
        group_keys(
            report,
            "BIGINT, INT",
            keys,
            &[DataType::Int64, DataType::Int32],
            &pair,
        )?;
        group_keys(report, "STRING", keys, &[DataType::Utf8View], &text)?;
    }
    Ok(())
}

fn group_keys(
    report: &mut Report,
    name: &str,
    keys: u64,
    types: &[DataType],
    column: &dyn Fn(&[u64]) -> Vec<ArrayRef>,
) -> anyhow::Result<()> {
    let mut table = GroupTable::new(types)?;
    let (mut groups, mut counts) = (Vec::new(), Vec::new());
    let all: Vec<u64> = (0..keys).collect();
    for chunk in all.chunks(BATCH_ROWS) {
        table.intern(&column(chunk), chunk.len(), &mut groups)?;
    }
    counts.resize(table.end(), 0u64);
    let mut state = 7u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % keys
    };
    let rows: Vec<u64> = (0..GROUP_ROWS).map(|_| next()).collect();
    let batches: Vec<Vec<ArrayRef>> = rows.chunks(BATCH_ROWS).map(column).collect();
    let nanos = nanos_per_item(|| {
        for batch in &batches {
            table.intern(batch, BATCH_ROWS, &mut groups)?;
            for group in &groups {
                *counts
                    .get_mut(*group as usize)
                    .context("a group beyond the table")? += 1;
            }
        }
        Ok(GROUP_ROWS)
    })?;
    let subject = format!("{name}, {keys} keys");
    report.add("group", Figures::of(subject).number("ns_per_row", nanos))
}
