//! Records to rows: the key and value formats, and the metadata columns.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::{ArrayRef, Int32Array, Int64Array, TimestampMillisecondArray, UInt32Array};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_select::interleave::interleave;
use arrow_select::take::take;
use millstream_dataflow::DataflowError;
use millstream_formats::{DecodeError, Decoded, Decoder, MessageRange, ValueError};
use millstream_kafka_wire::record_batch::{Headers, RecordColumns, Slice};
use millstream_plan::MetadataColumn;
use millstream_types::{Batch, ErrorKind, LogicalType, RowKind, map_array};

use super::options::{KafkaTable, Part};
use crate::ScanSpec;
use crate::side_output::DeadLetter;
use crate::side_output::dead_letters::decode_around;

/// Prefix of the value format's metadata keys.
const FORMAT_METADATA: &str = "value.";

/// Decompressed records of one partition, with their origin.
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

impl RecordSlice<'_> {
    /// A record of the slice as it came, for the dead-letter topic.
    pub fn dead_letter(&self, position: usize, reason: String) -> DeadLetter {
        let bytes = |slices: &[Slice]| Some(slices.get(position)?.of(self.data)?.to_vec());
        let headers = self.columns.headers.get(position);
        let headers = headers.and_then(|slice| slice.of(self.data)).unwrap_or_default();
        let headers = Headers::new(headers).iter();
        DeadLetter {
            key: bytes(&self.columns.keys),
            value: bytes(&self.columns.values),
            timestamp_ms: self.columns.timestamps.get(position).copied(),
            // The writer has no headers without a value.
            headers: headers
                .filter_map(|(key, value)| Some((key.to_owned(), value?.to_vec())))
                .collect(),
            place: vec![
                ("__millstream.errors.topic", self.topic.to_owned()),
                ("__millstream.errors.partition", self.partition.to_string()),
                (
                    "__millstream.errors.offset",
                    self.columns.offsets[position].to_string(),
                ),
            ],
            reason,
        }
    }
}

/// The source of an output column.
#[derive(Clone, Debug)]
enum Origin {
    Key(usize),
    Value(usize),
    /// From the key for a tombstone, otherwise from the value.
    Either {
        key: usize,
        value: usize,
    },
    Metadata(MetadataColumn),
}

/// A format's decoder, and how it treats a message without bytes.
struct PartDecoder {
    decoder: Box<dyn Decoder>,
    empty: Empty,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// Like any other message.
    Message,
    /// As no row.
    Nothing,
    /// As an error.
    Refused,
}

impl PartDecoder {
    /// For the requested columns of a part, followed by metadata of its format.
    fn new(part: &Part, wanted: &[usize], metadata: &[&str]) -> Result<Self, DataflowError> {
        let schema = part.schema.project(wanted);
        let decoder = millstream_formats::decoder_with_metadata(
            &part.format,
            &part.options,
            &schema,
            &part.schema,
            metadata,
        )
        .map_err(|e| DataflowError::new(ErrorKind::Input, e.to_string()))?;
        let empty = match part.format.as_str() {
            "json" => Empty::Nothing,
            "csv"
                if part
                    .options
                    .get("ignore-parse-errors")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true")) =>
            {
                Empty::Nothing
            }
            "csv" => Empty::Refused,
            _ => Empty::Message,
        };
        Ok(Self { decoder, empty })
    }
}

/// Decodes records into the columns of a scan.
pub struct RowDecoder {
    key: Option<PartDecoder>,
    value: PartDecoder,
    origins: Vec<Origin>,
    ranges: Vec<MessageRange>,
    /// A record without a value deletes the row of its key.
    upsert: bool,
}

impl RowDecoder {
    pub fn new(table: &KafkaTable, spec: &ScanSpec) -> Result<Self, DataflowError> {
        let wanted_of = |part: &Part| -> Vec<usize> {
            (0..part.columns.len())
                .filter(|i| spec.columns.contains(&part.columns[*i]))
                .collect()
        };
        let metadata: Vec<&str> = spec
            .metadata
            .iter()
            .filter_map(|column| column.key.strip_prefix(FORMAT_METADATA))
            .collect();
        let value_wanted = wanted_of(&table.value);
        let key_wanted = table.key.as_ref().map(wanted_of).unwrap_or_default();
        let place = |part: &Part, wanted: &[usize], column: usize| {
            wanted.iter().position(|i| part.columns[*i] == column)
        };
        let mut origins = Vec::new();
        for column in &spec.columns {
            // With value.fields-include = ALL, the value's field takes precedence over the key's.
            let from_value = place(&table.value, &value_wanted, *column).map(Origin::Value);
            let from_key = || {
                let key = table.key.as_ref()?;
                place(key, &key_wanted, *column).map(Origin::Key)
            };
            let either = match (&from_value, from_key()) {
                (Some(Origin::Value(value)), Some(Origin::Key(key))) if table.upsert => {
                    Some(Origin::Either { key, value: *value })
                }
                _ => None,
            };
            let origin = either.or(from_value).or_else(from_key).ok_or_else(|| {
                DataflowError::internal(format!("column {column} is neither in the key nor in the value"))
            })?;
            origins.push(origin);
        }
        for column in &spec.metadata {
            let of_format = column
                .key
                .strip_prefix(FORMAT_METADATA)
                .and_then(|key| metadata.iter().position(|m| *m == key));
            // The format appends its metadata after the columns.
            origins.push(match of_format {
                Some(place) => Origin::Value(value_wanted.len() + place),
                None => Origin::Metadata(column.clone()),
            });
        }
        Ok(Self {
            key: table
                .key
                .as_ref()
                .map(|key| PartDecoder::new(key, &key_wanted, &[]))
                .transpose()?,
            value: PartDecoder::new(&table.value, &value_wanted, &metadata)?,
            origins,
            ranges: Vec::new(),
            upsert: table.upsert,
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

    /// Decodes records. Errors name the record's topic, partition and offset.
    pub fn decode(&mut self, records: &RecordSlice<'_>) -> Result<Batch, DataflowError> {
        self.try_decode(records)?.map_err(|error| located(error, records))
    }

    /// The rows of the records that can be decoded, and the others as dead letters.
    pub fn decode_around(
        &mut self,
        records: &RecordSlice<'_>,
    ) -> Result<(Vec<Batch>, Vec<DeadLetter>), DataflowError> {
        let (mut letters, mut failed) = (Vec::new(), None);
        let part = |range| {
            let part = RecordSlice { range, ..*records };
            match self.try_decode(&part) {
                Ok(decoded) => decoded,
                // Not the fault of a record; what is decoded from here on is dropped.
                Err(error) => {
                    failed.get_or_insert(error);
                    Ok(Batch::inserts(Vec::new(), 0))
                }
            }
        };
        let batches = decode_around(records.range.clone(), part, |position, reason| {
            letters.push(records.dead_letter(position, reason));
        });
        failed.map_or(Ok((batches, letters)), Err)
    }

    /// The inner error is that of a record.
    fn try_decode(&mut self, records: &RecordSlice<'_>) -> Result<Result<Batch, DecodeError>, DataflowError> {
        let columns = records.columns;
        let values = run(&mut self.value, &mut self.ranges, records, &columns.values);
        let keys = match &mut self.key {
            None => Ok(None),
            Some(key) => run(key, &mut self.ranges, records, &columns.keys).map(Some),
        };
        let (values, keys) = match (values, keys) {
            (Ok(values), Ok(keys)) => (values, keys),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        match &keys {
            Some(keys) if self.upsert => self.upserts(&values, keys, records).map(Ok),
            keys => self.inserts(&values, keys.as_ref(), records).map(Ok),
        }
    }

    /// The rows of the records as their format says.
    fn inserts(
        &self,
        values: &Decoded,
        keys: Option<&Decoded>,
        records: &RecordSlice<'_>,
    ) -> Result<Batch, DataflowError> {
        let rows = Pairing::new(values, keys, records.range.len());
        let mut columns = Vec::with_capacity(self.origins.len());
        for origin in &self.origins {
            columns.push(match origin {
                Origin::Value(index) | Origin::Either { value: index, .. } => {
                    rows.value(&values.columns[*index])?
                }
                Origin::Key(index) => match keys {
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

/// The rows of each record, as positions of its key's rows, its value's rows and itself.
#[derive(Default)]
struct Upserts {
    keys: Vec<u32>,
    /// `None` for a tombstone.
    values: Vec<Option<u32>>,
    records: Vec<u32>,
}

impl Upserts {
    fn new(values: &Decoded, keys: &Decoded, records: &RecordSlice<'_>) -> Self {
        let message_of =
            |decoded: &Decoded, row: usize| decoded.messages.as_ref().map_or(row as u32, |m| m[row]);
        let (mut found, mut first_key, mut first_value) = (Self::default(), 0, 0);
        for (record, slice) in (0u32..).zip(&records.columns.values[records.range.clone()]) {
            let keys_end = (first_key..keys.rows)
                .find(|row| message_of(keys, *row) > record)
                .unwrap_or(keys.rows);
            let values_end = (first_value..values.rows)
                .find(|row| message_of(values, *row) > record)
                .unwrap_or(values.rows);
            let is_deletion = slice.length < 0;
            let of_value: Vec<Option<u32>> = if is_deletion {
                vec![None]
            } else {
                (first_value..values_end).map(|row| Some(row as u32)).collect()
            };
            for value in of_value {
                for key in first_key..keys_end {
                    found.keys.push(key as u32);
                    found.values.push(value);
                    found.records.push(record);
                }
            }
            (first_key, first_value) = (keys_end, values_end);
        }
        found
    }
}

impl RowDecoder {
    /// Upserts: a record without a value is a tombstone.
    fn upserts(
        &self,
        values: &Decoded,
        keys: &Decoded,
        records: &RecordSlice<'_>,
    ) -> Result<Batch, DataflowError> {
        let found = Upserts::new(values, keys, records);
        let of_keys = UInt32Array::from(found.keys);
        let of_values = UInt32Array::from(found.values.clone());
        let of_records = UInt32Array::from(found.records);
        let mut columns = Vec::with_capacity(self.origins.len());
        for origin in &self.origins {
            columns.push(match origin {
                Origin::Key(key) => take(&keys.columns[*key], &of_keys, None)?,
                Origin::Value(value) => take(&values.columns[*value], &of_values, None)?,
                Origin::Either { key, value } => {
                    let (key, value) = (&keys.columns[*key], &values.columns[*value]);
                    let place = |(row, of_value): (usize, &Option<u32>)| match of_value {
                        Some(of_value) => (0, *of_value as usize),
                        None => (1, of_keys.value(row) as usize),
                    };
                    let places: Vec<(usize, usize)> = found.values.iter().enumerate().map(place).collect();
                    interleave(&[value.as_ref(), key.as_ref()], &places)?
                }
                Origin::Metadata(column) => take(&metadata(column, records)?, &of_records, None)?,
            });
        }
        let kind = |of_value: &Option<u32>| match of_value {
            Some(_) => RowKind::UpdateAfter,
            None => RowKind::Delete,
        };
        Ok(Batch {
            rows: found.values.len(),
            kinds: Some(found.values.iter().map(kind).collect()),
            columns,
        })
    }
}

fn run(
    part: &mut PartDecoder,
    ranges: &mut Vec<MessageRange>,
    records: &RecordSlice<'_>,
    slices: &[Slice],
) -> Result<Decoded, DecodeError> {
    ranges.clear();
    ranges.extend(slices[records.range.clone()].iter().map(|slice| MessageRange {
        offset: slice.start,
        // A null slice has the length -1, which also means a null message.
        length: slice.length as u32,
    }));
    if part.empty != Empty::Message {
        for (message, range) in ranges
            .iter_mut()
            .enumerate()
            .filter(|(_, range)| range.length == 0)
        {
            if part.empty == Empty::Refused {
                return Err(DecodeError {
                    message,
                    subject: None,
                    reason: ValueError::Syntax("No content to map due to end-of-input"),
                });
            }
            range.length = MessageRange::NULL;
        }
    }
    part.decoder.decode(records.data, ranges)
}

fn located(error: DecodeError, records: &RecordSlice<'_>) -> DataflowError {
    let offset = records
        .columns
        .offsets
        .get(records.range.start + error.message)
        .copied()
        .unwrap_or(-1);
    DataflowError::data(format!(
        "{error} (topic '{}', partition {}, offset {offset})",
        records.topic, records.partition
    ))
}

/// The key row and the record of each output row: the cross product of the key's and the value's rows of a record.
struct Pairing {
    count: usize,
    /// `None`: the rows unchanged.
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
        // As in Flink's reader, headers without a value are dropped.
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
