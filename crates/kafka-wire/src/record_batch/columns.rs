//! A whole batch as columns of positions: decoders run over contiguous bytes without an object per record.

use super::iterate::read_layout;
use super::{BatchError, BatchHeader, RECORD_SIZE_MIN, TimestampType};

/// A part of the data that the columns were read from, or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub start: u32,
    /// -1 is null.
    pub length: i32,
}

impl Slice {
    pub const NULL: Slice = Slice { start: 0, length: -1 };

    pub const fn is_null(self) -> bool {
        self.length < 0
    }

    /// The bytes in `data`, from which the columns must have been read.
    #[inline]
    pub fn of(self, data: &[u8]) -> Option<&[u8]> {
        let length = usize::try_from(self.length).ok()?;
        data.get(self.start as usize..self.start as usize + length)
    }
}

/// Offsets, timestamps, and the positions of keys, values and headers of many records. Columns that are not wanted
/// stay empty. Memory is kept over [`clear`](Self::clear).
///
/// ```
/// use millstream_kafka_wire::compression::Decompressor;
/// use millstream_kafka_wire::record_batch::{BatchBuilder, RecordBatch, RecordColumns};
/// let mut builder = BatchBuilder::new(Default::default());
/// builder.append(1_000, Some(b"k"), Some(b"hello"), &[]);
/// let batch = RecordBatch::read(&builder.build(&mut Default::default())?.into())?;
/// let data = batch.records_data(&mut Decompressor::new(), 1 << 20)?;
/// let mut columns = RecordColumns::new(true, false);
/// columns.append(&batch.header, &data, 0)?;
/// assert_eq!(columns.values[0].of(&data), Some(&b"hello"[..]));
/// # Ok::<(), millstream_kafka_wire::record_batch::BatchError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RecordColumns {
    with_keys: bool,
    with_headers: bool,
    pub offsets: Vec<i64>,
    pub timestamps: Vec<i64>,
    pub keys: Vec<Slice>,
    pub values: Vec<Slice>,
    /// Encoded headers, to be read with [`Headers::new`](super::Headers::new).
    pub headers: Vec<Slice>,
}

impl RecordColumns {
    pub fn new(with_keys: bool, with_headers: bool) -> Self {
        RecordColumns {
            with_keys,
            with_headers,
            ..RecordColumns::default()
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn clear(&mut self) {
        self.offsets.clear();
        self.timestamps.clear();
        self.keys.clear();
        self.values.clear();
        self.headers.clear();
    }

    /// Appends the records of a batch from `from_offset` on. `data` is the batch's decompressed records; positions
    /// are relative to its start. On an error, the records before the malformed one have been appended.
    pub fn append(&mut self, header: &BatchHeader, data: &[u8], from_offset: i64) -> Result<(), BatchError> {
        if u32::try_from(data.len()).is_err() {
            return Err(BatchError::InvalidLength(i32::MAX));
        }
        let count = usize::try_from(header.record_count).unwrap_or(0);
        self.reserve(count.min(data.len() / RECORD_SIZE_MIN));
        let append_time =
            (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp);
        let mut position = 0;
        for index in 0..count {
            let layout = read_layout(data, &mut position)
                .map_err(|what| BatchError::MalformedRecord { index, what })?;
            let offset = header.base_offset.wrapping_add(i64::from(layout.offset_delta));
            if offset < from_offset {
                continue;
            }
            self.offsets.push(offset);
            self.timestamps
                .push(append_time.unwrap_or(header.base_timestamp.wrapping_add(layout.timestamp_delta)));
            self.values.push(slice(layout.value));
            if self.with_keys {
                self.keys.push(slice(layout.key));
            }
            if self.with_headers {
                self.headers.push(slice(Some(layout.headers)));
            }
        }
        Ok(())
    }

    fn reserve(&mut self, count: usize) {
        self.offsets.reserve(count);
        self.timestamps.reserve(count);
        self.values.reserve(count);
        if self.with_keys {
            self.keys.reserve(count);
        }
        if self.with_headers {
            self.headers.reserve(count);
        }
    }
}

/// Positions fit, as the data is at most `u32::MAX` long and lengths are 31 bits.
#[inline]
fn slice(range: Option<(usize, usize)>) -> Slice {
    match range {
        Some((start, end)) => Slice {
            start: start as u32,
            length: (end - start) as i32,
        },
        None => Slice::NULL,
    }
}
