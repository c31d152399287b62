//! Control batches: the markers that end a transaction on a partition. They take an offset of their own and are never
//! shown to applications.

use super::header::{Attributes, BatchHeader, HEADER_SIZE, LENGTH_PREFIX, NO_SEQUENCE, TimestampType};
use super::iterate::RecordIterator;
use super::{BatchError, header, rewrite};
use crate::varint::write_varint;

const MARKER_VERSION: i16 = 0;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Abort,
    Commit,
}

/// The marker that ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    pub marker: Marker,
    pub coordinator_epoch: i32,
}

/// The record of a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlRecord {
    EndTransaction(EndTransactionMarker),
    /// A kind that concerns brokers among themselves, by its number.
    Other(i16),
}

impl ControlRecord {
    /// Reads the record of a control batch; control batches are never compressed.
    pub fn read(header: &BatchHeader, records_data: &[u8]) -> Result<Self, BatchError> {
        let record = RecordIterator::new(header, records_data)
            .next()
            .ok_or(BatchError::MalformedControl)??;
        let malformed = || BatchError::MalformedControl;
        let key = record
            .key
            .and_then(|key| key.first_chunk::<4>())
            .ok_or_else(malformed)?;
        let kind = i16::from_be_bytes([key[2], key[3]]);
        let marker = match kind {
            ABORT => Marker::Abort,
            COMMIT => Marker::Commit,
            other => return Ok(ControlRecord::Other(other)),
        };
        let value = record
            .value
            .and_then(|value| value.first_chunk::<6>())
            .ok_or_else(malformed)?;
        let coordinator_epoch = i32::from_be_bytes([value[2], value[3], value[4], value[5]]);
        Ok(ControlRecord::EndTransaction(EndTransactionMarker {
            marker,
            coordinator_epoch,
        }))
    }
}

impl EndTransactionMarker {
    /// A control batch with this marker; the broker assigns its offset.
    pub fn to_batch(self, producer_id: i64, producer_epoch: i16, timestamp: i64) -> Vec<u8> {
        let kind = match self.marker {
            Marker::Abort => ABORT,
            Marker::Commit => COMMIT,
        };
        let mut body = vec![0, 0, 0];
        write_varint(&mut body, 4);
        body.extend_from_slice(&MARKER_VERSION.to_be_bytes());
        body.extend_from_slice(&kind.to_be_bytes());
        write_varint(&mut body, 6);
        body.extend_from_slice(&MARKER_VERSION.to_be_bytes());
        body.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        write_varint(&mut body, 0);
        let mut batch = vec![0; HEADER_SIZE];
        write_varint(&mut batch, body.len() as i32);
        batch.extend_from_slice(&body);
        let header = BatchHeader {
            base_offset: 0,
            batch_length: (batch.len() - LENGTH_PREFIX) as i32,
            partition_leader_epoch: -1,
            crc: 0,
            attributes: Attributes::new(Default::default(), TimestampType::CreateTime, true, true),
            last_offset_delta: 0,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id,
            producer_epoch,
            base_sequence: NO_SEQUENCE,
            record_count: 1,
        };
        header::put(&mut batch, 0, &header.to_bytes());
        rewrite::recompute_crc(&mut batch);
        batch
    }
}
