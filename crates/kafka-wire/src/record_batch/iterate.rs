//! Records one by one, as slices of the decompressed data. Nothing is allocated.

use super::{BatchError, BatchHeader, RECORD_SIZE_MIN, TimestampType};
use crate::varint::{read_varint, read_varlong};

/// Where the parts of one record are. Positions are relative to the data that it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordLayout {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<(usize, usize)>,
    pub value: Option<(usize, usize)>,
    /// The count of headers and the headers, up to the end of the record.
    pub headers: (usize, usize),
}

/// Reads the record at `*position` and advances it; `Err` is the violated rule.
#[inline]
pub(super) fn read_layout(data: &[u8], position: &mut usize) -> Result<RecordLayout, &'static str> {
    let length = read_varint(data, position).ok_or("length is cut off")?;
    let length = usize::try_from(length).map_err(|_| "length is negative")?;
    let end = position
        .checked_add(length)
        .filter(|end| *end <= data.len())
        .ok_or("record is cut off")?;
    let body = &data[..end];
    // The attributes of a record are not in use.
    *position += 1;
    let timestamp_delta = read_varlong(body, position).ok_or("timestamp delta is cut off")?;
    let offset_delta = read_varint(body, position).ok_or("offset delta is cut off")?;
    let key = read_slice(body, position).ok_or("key is cut off")?;
    let value = read_slice(body, position).ok_or("value is cut off")?;
    let headers = (*position, end);
    if *position >= end {
        return Err("count of headers is cut off");
    }
    *position = end;
    Ok(RecordLayout {
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers,
    })
}

/// A length and that many bytes; the inner `None` is null.
#[inline]
fn read_slice(body: &[u8], position: &mut usize) -> Option<Option<(usize, usize)>> {
    let length = read_varint(body, position)?;
    let Ok(length) = usize::try_from(length) else {
        return Some(None);
    };
    let start = *position;
    let end = start.checked_add(length).filter(|end| *end <= body.len())?;
    *position = end;
    Some(Some((start, end)))
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub offset: i64,
    /// Milliseconds since 1970, or -1 if the producer gave none.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// Iterates over the records of one batch; ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIterator<'a> {
    data: &'a [u8],
    position: usize,
    index: usize,
    count: usize,
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> RecordIterator<'a> {
    pub fn new(header: &BatchHeader, records_data: &'a [u8]) -> Self {
        let log_append_time = header.timestamp_type() == TimestampType::LogAppendTime;
        RecordIterator {
            data: records_data,
            position: 0,
            index: 0,
            count: usize::try_from(header.record_count).unwrap_or(0),
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: log_append_time.then_some(header.max_timestamp),
        }
    }
}

impl<'a> Iterator for RecordIterator<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let index = self.index;
        self.index += 1;
        match read_layout(self.data, &mut self.position) {
            Ok(layout) => Some(Ok(Record {
                offset: self.base_offset.wrapping_add(i64::from(layout.offset_delta)),
                timestamp: self
                    .append_time
                    .unwrap_or(self.base_timestamp.wrapping_add(layout.timestamp_delta)),
                key: layout.key.map(|(start, end)| &self.data[start..end]),
                value: layout.value.map(|(start, end)| &self.data[start..end]),
                headers: Headers {
                    data: &self.data[layout.headers.0..layout.headers.1],
                },
            })),
            Err(what) => {
                self.count = 0;
                Some(Err(BatchError::MalformedRecord { index, what }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let at_most = (self.data.len() - self.position) / RECORD_SIZE_MIN + 1;
        (0, Some(at_most.min(self.count - self.index.min(self.count))))
    }
}

/// The headers of a record, still in their encoded form.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// The count and the headers.
    data: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Headers in their encoded form, such as a slice of [`RecordColumns`](super::RecordColumns).
    pub fn new(data: &'a [u8]) -> Self {
        Headers { data }
    }

    /// How many there are, as the record claims; 0 if the claim is malformed.
    pub fn count(&self) -> usize {
        let mut position = 0;
        read_varint(self.data, &mut position)
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Keys and values in order; stops at malformed bytes, which [`check`](Self::check) reports.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let data = self.data;
        let mut position = 0;
        let mut left = read_varint(data, &mut position).unwrap_or(0);
        std::iter::from_fn(move || {
            left = left.checked_sub(1).filter(|left| *left >= 0)?;
            let (start, end) = read_slice(data, &mut position)??;
            let key = std::str::from_utf8(&data[start..end]).ok()?;
            let value = read_slice(data, &mut position)?.map(|(start, end)| &data[start..end]);
            Some((key, value))
        })
    }

    /// Checks that the bytes contain exactly the claimed number of headers.
    pub(super) fn check(data: &[u8]) -> Result<(), &'static str> {
        let mut position = 0;
        let count = read_varint(data, &mut position).ok_or("count of headers is cut off")?;
        let count = usize::try_from(count).map_err(|_| "count of headers is negative")?;
        if count > data.len() {
            return Err("count of headers exceeds the record");
        }
        for _ in 0..count {
            let (start, end) = read_slice(data, &mut position)
                .ok_or("key of a header is cut off")?
                .ok_or("key of a header is null")?;
            std::str::from_utf8(&data[start..end]).map_err(|_| "key of a header is not UTF-8")?;
            read_slice(data, &mut position).ok_or("value of a header is cut off")?;
        }
        if position == data.len() {
            Ok(())
        } else {
            Err("record is longer than its parts")
        }
    }
}
