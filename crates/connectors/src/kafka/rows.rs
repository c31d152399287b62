//! Records to rows: the key and value formats, and the metadata columns.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::{ArrayRef, Int32Array, Int64Array, TimestampMillisecondArray, UInt32Array};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_select::take::take;
use millstream_dataflow::DataflowError;
use millstream_formats::{DecodeError, Decoded, Decoder, MessageRange};
use millstream_kafka_wire::record_batch::{Headers, RecordColumns, Slice};
use millstream_plan::MetadataColumn;
use millstream_types::{Batch, ErrorKind, LogicalType, map_array};

use super::options::{KafkaTable, Part};
use crate::ScanSpec;

/// Records of one partition, decompressed, with where they came from.
pub struct RecordSlice<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub leader_epoch: i32,
    /// Whether the broker stamped the timestamps.
    pub log_append_time: bool,
    pub data: &'a Buffer,
    pub columns: &'a RecordColumns,
    /// The records to decode.
    pub range: std::ops::Range<usize>,
}

/// Where an output column comes from.
#[derive(Clone, Debug)]
enum Origin {
    Key(usize),
    Value(usize),
    Metadata(MetadataColumn),
}

/// Decodes records into the columns of a scan.
pub struct RowDecoder {
    key: Option<Box<dyn Decoder>>,
    value: Box<dyn Decoder>,
    origins: Vec<Origin>,
    ranges: Vec<MessageRange>,
}

impl RowDecoder {
    pub fn new(table: &KafkaTable, spec: &ScanSpec) -> Result<Self, DataflowError> {
        let wanted_of = |part: &Part| -> Vec<usize> {
            (0..part.columns.len())
                .filter(|i| spec.columns.contains(&part.columns[*i]))
                .collect()
        };
        let build = |part: &Part, wanted: &[usize]| {
            let schema = part.schema.project(wanted);
            millstream_formats::decoder(&part.format, &part.options, &schema, &part.schema)
                .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))
        };
        let value_wanted = wanted_of(&table.value);
        let key_wanted = table.key.as_ref().map(wanted_of).unwrap_or_default();
        let place = |part: &Part, wanted: &[usize], column: usize| {
            wanted.iter().position(|i| part.columns[*i] == column)
        };
        let mut origins = Vec::new();
        for column in &spec.columns {
            // With value.fields-include = ALL the value's field wins over the key's.
            let from_value = place(&table.value, &value_wanted, *column).map(Origin::Value);
            let from_key = || {
                let key = table.key.as_ref()?;
                place(key, &key_wanted, *column).map(Origin::Key)
            };
            let origin = from_value.or_else(from_key).ok_or_else(|| {
                DataflowError::internal(format!("column {column} is neither in the key nor in the value"))
            })?;
            origins.push(origin);
        }
        origins.extend(spec.metadata.iter().cloned().map(Origin::Metadata));
        Ok(Self {
            key: table
                .key
                .as_ref()
                .map(|key| build(key, &key_wanted))
                .transpose()?,
            value: build(&table.value, &value_wanted)?,
            origins,
            ranges: Vec::new(),
        })
    }

    /// Whether record headers must be read.
    pub fn wants_headers(&self) -> bool {
        self.origins
            .iter()
            .any(|o| matches!(o, Origin::Metadata(m) if m.key == "headers"))
    }

    pub fn wants_keys(&self) -> bool {
        self.key.is_some()
    }

    /// Decodes records. An error says where the record lies.
    pub fn decode(&mut self, records: &RecordSlice<'_>) -> Result<Batch, DataflowError> {
        let values = run(
            &mut self.value,
            &mut self.ranges,
            records,
            &records.columns.values,
        )?;
        let keys = match &mut self.key {
            None => None,
            Some(key) => Some(run(key, &mut self.ranges, records, &records.columns.keys)?),
        };
        let rows = Pairing::new(&values, keys.as_ref(), records.range.len());
        let mut columns = Vec::with_capacity(self.origins.len());
        for origin in &self.origins {
            columns.push(match origin {
                Origin::Value(index) => rows.value(&values.columns[*index])?,
                Origin::Key(index) => match &keys {
                    Some(keys) => rows.key(&keys.columns[*index])?,
                    None => return Err(DataflowError::internal("a key column without a key format")),
                },
                Origin::Metadata(column) => {
                    let whole = metadata(column, records)?;
                    rows.record(&whole)?
                }
            });
        }
        let kinds = match (&values.kinds, &rows.values) {
            (None, _) => None,
            (Some(kinds), None) => Some(kinds.as_slice().into()),
            (Some(kinds), Some(indices)) => {
                Some(indices.values().iter().map(|i| kinds[*i as usize]).collect())
            }
        };
        Ok(Batch {
            columns,
            kinds,
            rows: rows.count,
        })
    }
}

fn run(
    decoder: &mut Box<dyn Decoder>,
    ranges: &mut Vec<MessageRange>,
    records: &RecordSlice<'_>,
    slices: &[Slice],
) -> Result<Decoded, DataflowError> {
    ranges.clear();
    ranges.extend(slices[records.range.clone()].iter().map(|slice| MessageRange {
        offset: slice.start,
        // A null slice has the length -1, which is the null of messages, too.
        length: slice.length as u32,
    }));
    decoder
        .decode(records.data, ranges)
        .map_err(|error| located(error, records))
}

fn located(error: DecodeError, records: &RecordSlice<'_>) -> DataflowError {
    let offset = records
        .columns
        .offsets
        .get(records.range.start + error.message)
        .copied()
        .unwrap_or(-1);
    DataflowError::data(format!(
        "{} (topic '{}', partition {}, offset {offset})",
        error.reason, records.topic, records.partition
    ))
}

/// Which key row and which record belong to each output row: the rows of key and value of one record, each with each.
struct Pairing {
    count: usize,
    /// `None`: the rows as they are.
    values: Option<UInt32Array>,
    keys: Option<UInt32Array>,
    records: Option<UInt32Array>,
}

impl Pairing {
    fn new(values: &Decoded, keys: Option<&Decoded>, records: usize) -> Self {
        let key_messages = keys.and_then(|k| k.messages.as_ref());
        let plain = values.messages.is_none() && key_messages.is_none();
        if plain {
            debug_assert!(values.rows == records);
            return Self {
                count: values.rows,
                values: None,
                keys: None,
                records: None,
            };
        }
        let message_of =
            |decoded: &Decoded, row: usize| decoded.messages.as_ref().map_or(row as u32, |m| m[row]);
        let Some(keys) = keys else {
            let of_rows: Vec<u32> = (0..values.rows).map(|row| message_of(values, row)).collect();
            return Self {
                count: values.rows,
                values: None,
                keys: None,
                records: Some(of_rows.into()),
            };
        };
        let (mut value_rows, mut key_rows, mut record_rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut first_key = 0;
        for row in 0..values.rows {
            let record = message_of(values, row);
            while first_key < keys.rows && message_of(keys, first_key) < record {
                first_key += 1;
            }
            for key in (first_key..keys.rows).take_while(|key| message_of(keys, *key) == record) {
                value_rows.push(row as u32);
                key_rows.push(key as u32);
                record_rows.push(record);
            }
        }
        Self {
            count: value_rows.len(),
            values: Some(value_rows.into()),
            keys: Some(key_rows.into()),
            records: Some(record_rows.into()),
        }
    }

    fn value(&self, column: &ArrayRef) -> Result<ArrayRef, DataflowError> {
        pick(column, self.values.as_ref())
    }

    fn key(&self, column: &ArrayRef) -> Result<ArrayRef, DataflowError> {
        pick(column, self.keys.as_ref())
    }

    fn record(&self, column: &ArrayRef) -> Result<ArrayRef, DataflowError> {
        pick(column, self.records.as_ref())
    }
}

fn pick(column: &ArrayRef, indices: Option<&UInt32Array>) -> Result<ArrayRef, DataflowError> {
    match indices {
        None => Ok(Arc::clone(column)),
        Some(indices) => Ok(take(column, indices, None)?),
    }
}

/// A metadata column of all records, before pairing.
fn metadata(column: &MetadataColumn, records: &RecordSlice<'_>) -> Result<ArrayRef, DataflowError> {
    let range = records.range.clone();
    let count = range.len();
    Ok(match column.key.as_str() {
        "topic" => texts(records.topic, count),
        "partition" => Arc::new(Int32Array::from_value(records.partition, count)),
        "leader-epoch" => Arc::new(Int32Array::from_value(records.leader_epoch, count)),
        "offset" => Arc::new(Int64Array::from_iter_values(
            records.columns.offsets[range].iter().copied(),
        )),
        "timestamp" => {
            let millis = TimestampMillisecondArray::from_iter_values(
                records.columns.timestamps[range].iter().copied(),
            );
            Arc::new(millis.with_timezone("UTC"))
        }
        "timestamp-type" => texts(
            if records.log_append_time {
                "LogAppendTime"
            } else {
                "CreateTime"
            },
            count,
        ),
        "headers" => headers(&column.ty, records)?,
        other => {
            return Err(DataflowError::new(
                ErrorKind::Input,
                format!("connector 'kafka' has no metadata '{other}'"),
            ));
        }
    })
}

fn texts(text: &str, count: usize) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(count);
    (0..count).for_each(|_| builder.append_value(text));
    Arc::new(builder.finish())
}

fn headers(ty: &LogicalType, records: &RecordSlice<'_>) -> Result<ArrayRef, DataflowError> {
    let (mut keys, mut values, mut lengths) =
        (StringViewBuilder::new(), BinaryViewBuilder::new(), Vec::new());
    for slice in &records.columns.headers[records.range.clone()] {
        let mut length = 0;
        // As in Flink's reader, a header without a value is lost.
        for (key, value) in Headers::new(slice.of(records.data).unwrap_or_default()).iter() {
            if let Some(value) = value {
                keys.append_value(key);
                values.append_value(value);
                length += 1;
            }
        }
        lengths.push(length);
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(map_array(
        ty,
        Arc::new(keys.finish()),
        Arc::new(values.finish()),
        offsets,
        None,
    ))
}
