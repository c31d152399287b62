//! Inputs: rows of one type for all operators, with strings that lie in large messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, TimestampMillisecondArray};
use arrow_buffer::Buffer;
use millstream_types::{Batch, LogicalType, RowKind};

use crate::harness::Step;

const TS: LogicalType = LogicalType::timestamp(3);

/// Key, value, time, text, end of the window of the time, two conditions.
pub const ROW: [LogicalType; 7] = [
    LogicalType::STRING,
    LogicalType::BIGINT,
    TS,
    LogicalType::STRING,
    TS,
    LogicalType::BOOLEAN,
    LogicalType::BOOLEAN,
];
pub const KEY: usize = 0;
pub const VALUE: usize = 1;
pub const TIME: usize = 2;
pub const TEXT: usize = 3;
pub const WINDOW_END: usize = 4;

/// Size of the message in which the strings of a batch lie.
pub const MESSAGE_BYTES: usize = 256 << 10;
/// Length of the windows of [`WINDOW_END`].
pub const WINDOW_MS: i64 = 100;
/// Rows that come first and are not touched until the end.
const COLD_ROWS: usize = 4400;
/// Their time: after all others.
const COLD_MS: i64 = 1_000_000;
const SEGMENTS: usize = 20;
const STEPS_PER_SEGMENT: usize = 3;
const ROWS_PER_BATCH: usize = 16;
const HOT_KEYS: u64 = 40;

/// How the rows of an input come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows only come.
    Append,
    /// Rows come, change and go.
    Changes,
    /// As changes, without the rows before an update; a delete has the key only.
    Upserts,
}

#[derive(Clone, Debug)]
struct Row {
    key: Option<String>,
    value: i64,
    time: i64,
    text: String,
    flags: (bool, bool),
}

pub fn rows_of(step: &Step) -> usize {
    match step {
        Step::Rows(_, batch) => batch.rows,
        _ => 0,
    }
}

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

struct Feed {
    numbers: Numbers,
    kind: Kind,
    /// Rows of each input that are there, by key.
    live: Vec<BTreeMap<String, Vec<Row>>>,
    now_ms: i64,
    serial: u64,
}

/// Segments of steps over `ports` inputs.
pub fn segments(ports: usize, kind: Kind) -> Vec<Vec<Step>> {
    let mut feed = Feed {
        numbers: Numbers(ports as u64 * 7 + kind as u64),
        kind,
        live: vec![BTreeMap::new(); ports],
        now_ms: 0,
        serial: 0,
    };
    let mut segments = vec![(0..ports).map(|port| feed.cold(port)).collect::<Vec<Step>>()];
    for _ in 0..SEGMENTS {
        let mut steps = Vec::new();
        for _ in 0..STEPS_PER_SEGMENT {
            feed.now_ms += 17;
            steps.push(Step::Now(feed.now_ms));
            for port in 0..ports {
                steps.push(feed.hot(port));
            }
            steps.push(Step::Watermark(feed.now_ms - 40));
        }
        segments.push(steps);
    }
    let last = vec![Step::Now(COLD_MS * 2), Step::Watermark(i64::MAX), Step::End];
    segments.push(last);
    segments
}

impl Feed {
    fn cold(&mut self, port: usize) -> Step {
        let row = |i: usize| Row {
            key: Some(format!("cold key {i} of input {}", port % 2)),
            value: i as i64,
            time: COLD_MS + (i % 3) as i64,
            text: format!("the text of the cold row {i} of input {port}"),
            flags: (i.is_multiple_of(2), false),
        };
        let rows: Vec<(RowKind, Row)> = (0..COLD_ROWS).map(|i| (RowKind::Insert, row(i))).collect();
        Step::Rows(port, batch(&rows))
    }

    fn hot(&mut self, port: usize) -> Step {
        let mut rows = Vec::new();
        while rows.len() < ROWS_PER_BATCH {
            let row = self.row();
            match (self.kind, row.key.clone()) {
                (Kind::Append, _) => rows.push((RowKind::Insert, row)),
                (_, None) => {}
                (Kind::Changes, Some(key)) => self.change(port, key, row, &mut rows),
                (Kind::Upserts, Some(key)) => self.upsert(port, key, row, &mut rows),
            }
        }
        Step::Rows(port, batch(&rows))
    }

    fn row(&mut self) -> Row {
        self.serial += 1;
        let key = self.numbers.below(HOT_KEYS);
        let value = self.numbers.below(50) as i64;
        let time = self.now_ms - self.numbers.below(60) as i64;
        let serial = self.serial;
        Row {
            key: (key > 0).then(|| format!("hot key number {key}")),
            value,
            time,
            text: format!("the text of row {serial} with value {value}"),
            flags: (value % 3 == 0, value % 3 == 1),
        }
    }

    fn change(&mut self, port: usize, key: String, row: Row, out: &mut Vec<(RowKind, Row)>) {
        let choice = self.numbers.below(4);
        let held = self.live[port].entry(key).or_default();
        if choice == 0 && !held.is_empty() {
            out.push((RowKind::Delete, held.remove(0)));
        } else if let Some(old) = held.pop().filter(|_| choice == 1) {
            out.push((RowKind::UpdateBefore, old));
            out.push((RowKind::UpdateAfter, row.clone()));
            held.push(row);
        } else {
            out.push((RowKind::Insert, row.clone()));
            held.push(row);
        }
    }

    fn upsert(&mut self, port: usize, key: String, row: Row, out: &mut Vec<(RowKind, Row)>) {
        let choice = self.numbers.below(4);
        let held = self.live[port].entry(key).or_default();
        match held.pop() {
            Some(old) if choice == 0 => out.push((RowKind::Delete, old)),
            Some(_) => {
                out.push((RowKind::UpdateAfter, row.clone()));
                held.push(row);
            }
            None => {
                out.push((RowKind::Insert, row.clone()));
                held.push(row);
            }
        }
    }
}

/// A column of strings that lie in one message, far apart.
fn strings<'a>(
    values: impl Iterator<Item = Option<&'a str>>,
    message: &mut Vec<u8>,
) -> Vec<Option<(u32, u32)>> {
    let place = |value: Option<&str>| {
        value.map(|value| {
            let start = message.len() as u32;
            message.extend_from_slice(value.as_bytes());
            (start, value.len() as u32)
        })
    };
    values.map(place).collect()
}

fn batch(rows: &[(RowKind, Row)]) -> Batch {
    let mut message = Vec::with_capacity(MESSAGE_BYTES);
    let keys = strings(rows.iter().map(|(_, row)| row.key.as_deref()), &mut message);
    let texts = strings(rows.iter().map(|(_, row)| Some(row.text.as_str())), &mut message);
    message.resize(message.len().max(MESSAGE_BYTES), b' ');
    let message = Buffer::from(message);
    let views = |places: &[Option<(u32, u32)>]| -> ArrayRef {
        let mut column = StringViewBuilder::new();
        let block = column.append_block(message.clone());
        for place in places {
            match place {
                Some((start, length)) => column.try_append_view(block, *start, *length).unwrap(),
                None => column.append_null(),
            }
        }
        Arc::new(column.finish())
    };
    let times = |time: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(
            rows.iter().map(|(_, row)| time(row)),
        ))
    };
    let flags = |flag: &dyn Fn(&Row) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from_iter(
            rows.iter().map(|(_, row)| Some(flag(row))),
        ))
    };
    let columns: Vec<ArrayRef> = vec![
        views(&keys),
        Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|(_, row)| row.value),
        )),
        times(&|row| row.time),
        views(&texts),
        times(&|row| row.time.div_euclid(WINDOW_MS) * WINDOW_MS + WINDOW_MS),
        flags(&|row| row.flags.0),
        flags(&|row| row.flags.1),
    ];
    Batch::changes(columns, rows.iter().map(|(kind, _)| *kind).collect())
}
