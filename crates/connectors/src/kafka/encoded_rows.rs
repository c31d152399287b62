//! Rows to be written: their destination, and their encoded keys and values until the producer accepts them.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef};
use millstream_dataflow::DataflowError;
use millstream_formats::{Encoded, Encoder};
use millstream_kafka_wire::KafkaString;
use millstream_types::Batch;

/// The destination of rows.
pub(super) enum Destination {
    Fixed(KafkaString),
    ByRow {
        column: usize,
        allowed: Option<BTreeSet<String>>,
    },
}

impl Destination {
    /// The topic of a row.
    pub fn topic_of(&self, batch: &Batch, row: usize) -> Result<KafkaString, DataflowError> {
        let (column, allowed) = match self {
            Self::Fixed(topic) => return Ok(topic.clone()),
            Self::ByRow { column, allowed } => (*column, allowed),
        };
        let texts = batch.columns[column]
            .as_string_view_opt()
            .filter(|t| t.is_valid(row));
        let Some(name) = texts.map(|t| t.value(row)) else {
            return Err(DataflowError::data(
                "The topic of the sink record is not valid: it is NULL",
            ));
        };
        if allowed.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
            return Err(DataflowError::data(format!(
                "The topic of the sink record is not valid: '{name}' is not in the list of option 'topic'"
            )));
        }
        Ok(KafkaString::from(name))
    }
}

/// Larger buffers of encoded bytes are not kept for reuse.
const SPARE_BYTES_MAX: usize = 8 << 20;

/// The encoder of the key or the value, and the columns that it reads.
pub(super) struct PartEncoder {
    encoder: Box<dyn Encoder>,
    inputs: Vec<usize>,
    /// Buffers of rows that the producer has accepted, for reuse: new memory would have to be zeroed first.
    spare: Vec<Encoded>,
    spare_bytes: usize,
}

impl PartEncoder {
    pub fn new(encoder: Box<dyn Encoder>, inputs: Vec<usize>) -> Self {
        PartEncoder {
            encoder,
            inputs,
            spare: Vec::new(),
            spare_bytes: 0,
        }
    }

    /// Returns the buffers of accepted rows.
    pub fn recycle(&mut self, mut encoded: Encoded) {
        let size = encoded.data.capacity();
        if self.spare_bytes + size <= SPARE_BYTES_MAX {
            encoded.clear();
            self.spare_bytes += size;
            self.spare.push(encoded);
        }
    }

    pub fn encode(&mut self, batch: &Batch) -> Result<Encoded, DataflowError> {
        let mut encoded = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= encoded.data.capacity();
        let part = batch.project(&self.inputs);
        self.encoder
            .encode(&part, &mut encoded)
            .map_err(|e| DataflowError::data(e.to_string()))?;
        Ok(encoded)
    }
}

/// An encoded batch that the producer has not fully accepted.
pub(super) struct Backlog {
    /// For topics, headers and timestamps from columns.
    pub batch: Batch,
    pub key: Option<Encoded>,
    pub value: Encoded,
    /// The next row to write.
    pub next: usize,
}

impl Backlog {
    pub fn new(batch: Batch, key: Option<Encoded>, value: Encoded) -> Self {
        Self {
            batch,
            key,
            value,
            next: 0,
        }
    }

    /// Size of the keys and values.
    pub fn bytes(&self) -> u64 {
        let key = self.key.as_ref().map_or(0, |key| key.data.len());
        (key + self.value.data.len()) as u64
    }
}

/// The message of a row; `None` for a null message.
#[inline]
pub(super) fn message(encoded: &Encoded, row: usize) -> Option<&[u8]> {
    if !encoded.nulls.is_empty() && encoded.nulls.binary_search(&row).is_ok() {
        return None;
    }
    let start = row.checked_sub(1).map_or(0, |before| encoded.ends[before]);
    Some(&encoded.data[start..encoded.ends[row]])
}

/// The headers of a row, from a MAP column.
pub(super) fn headers_of(column: Option<usize>, batch: &Batch, row: usize) -> Vec<(String, Vec<u8>)> {
    let Some(column) = column.map(|c| &batch.columns[c]).filter(|c| c.is_valid(row)) else {
        return Vec::new();
    };
    let Some(entries) = column.as_list_opt::<i32>().map(|l| l.value(row)) else {
        return Vec::new();
    };
    let Some(entries) = entries.as_struct_opt() else {
        return Vec::new();
    };
    let (Some(keys), Some(values)) = (
        entries.column(0).as_string_view_opt(),
        entries.column(1).as_binary_view_opt(),
    ) else {
        return Vec::new();
    };
    // As in Flink's writer, entries with a NULL key or value are omitted.
    let whole = |i: &usize| keys.is_valid(*i) && values.is_valid(*i);
    (0..keys.len())
        .filter(whole)
        .map(|i| (keys.value(i).to_owned(), values.value(i).to_vec()))
        .collect()
}

/// The timestamp of a row, from a column of milliseconds.
pub(super) fn timestamp_at(column: &ArrayRef, row: usize) -> Option<i64> {
    let millis = column.as_primitive_opt::<TimestampMillisecondType>()?;
    millis.is_valid(row).then(|| millis.value(row))
}
