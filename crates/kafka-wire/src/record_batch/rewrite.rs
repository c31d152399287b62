//! In-place changes of batch headers. Changes within the checksum's range compute it again. Bytes that are too short
//! for a header are left unchanged.

use super::builder::BatchProducer;
use super::header::{
    ATTRIBUTES_AT, BASE_SEQUENCE_AT, CRC_AT, HEADER_SIZE, LEADER_EPOCH_AT, LOG_APPEND_TIME, MAX_TIMESTAMP_AT,
    PRODUCER_EPOCH_AT, PRODUCER_ID_AT, TRANSACTIONAL, checksum, put,
};

/// Assigns the batch its offset in the log. Not covered by the checksum.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    if batch.len() >= HEADER_SIZE {
        put(batch, 0, &base_offset.to_be_bytes());
    }
}

/// Notes the epoch of the leader that appended the batch. Not covered by the checksum.
pub fn set_partition_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    if batch.len() >= HEADER_SIZE {
        put(batch, LEADER_EPOCH_AT, &leader_epoch.to_be_bytes());
    }
}

/// Sets the timestamp of all records to the time of the append.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    if batch.len() >= HEADER_SIZE {
        change_attributes(batch, LOG_APPEND_TIME, true);
        set_max_timestamp(batch, now_ms);
    }
}

pub fn set_max_timestamp(batch: &mut [u8], max_timestamp: i64) {
    if batch.len() >= HEADER_SIZE {
        put(batch, MAX_TIMESTAMP_AT, &max_timestamp.to_be_bytes());
        recompute_crc(batch);
    }
}

/// Sets the producer of the batch and the sequence of its first record.
pub fn set_producer(batch: &mut [u8], producer: BatchProducer) {
    if batch.len() >= HEADER_SIZE {
        put(batch, PRODUCER_ID_AT, &producer.producer_id.to_be_bytes());
        put(batch, PRODUCER_EPOCH_AT, &producer.producer_epoch.to_be_bytes());
        put(batch, BASE_SEQUENCE_AT, &producer.base_sequence.to_be_bytes());
        change_attributes(batch, TRANSACTIONAL, producer.transactional);
        recompute_crc(batch);
    }
}

pub fn recompute_crc(batch: &mut [u8]) {
    if batch.len() >= HEADER_SIZE {
        let crc = checksum(batch);
        put(batch, CRC_AT, &crc.to_be_bytes());
    }
}

fn change_attributes(batch: &mut [u8], bit: i16, on: bool) {
    let attributes = i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]]);
    let changed = if on { attributes | bit } else { attributes & !bit };
    put(batch, ATTRIBUTES_AT, &changed.to_be_bytes());
}
